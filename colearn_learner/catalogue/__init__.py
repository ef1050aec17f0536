"""Models and learners for the data sets that come with the package."""

from colearn_learner.catalogue.factories import prepared, share

__all__ = ["prepared", "share"]
