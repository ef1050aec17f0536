"""Weights as files: content references, stores and a format that cannot execute code."""
