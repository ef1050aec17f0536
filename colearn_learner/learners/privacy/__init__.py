"""Differential privacy for learners."""
