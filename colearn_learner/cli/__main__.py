"""`python -m colearn_learner.cli`, the same as `colearn`."""

from colearn_learner.cli import main

main(prog_name="colearn")
