"""Content stores: a folder, Kubo, gateways, and several in layers."""
