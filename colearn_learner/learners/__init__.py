"""One learner for each machine learning framework."""
