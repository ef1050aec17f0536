"""Honest experiments with random decisions, and the frauds that are planted into them."""
