"""Examples: each file is a program, and a module with a factory of learners for agents.

python examples/keras_mnist.py
colearn agent run … --learner examples.keras_mnist:make_learner --learner-arg learner=0
"""

import sys
from pathlib import Path

# Examples import `common` as programs in this folder do; make that work in this package too.
sys.path.append(str(Path(__file__).parent))
