"""A second implementation of docs/protocol.md, and random lives that compare it with the first."""
