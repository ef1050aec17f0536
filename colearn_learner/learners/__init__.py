"""Learners for the supported machine learning frameworks."""
