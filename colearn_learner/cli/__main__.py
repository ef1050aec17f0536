"""Entry point of `python -m colearn_learner.cli`, equivalent to `colearn`."""

from colearn_learner.cli import main

main(prog_name="colearn")
