"""Traces of the reference, for the Rust tests."""
