"""Checks that a learner behaves as agents expect."""
