"""The examples: each is a program, and a module whose factory an agent takes.

python examples/keras_mnist.py
colearn agent run … --learner examples.keras_mnist:make_learner --learner-arg learner=0
"""

import sys
from pathlib import Path

# As a program an example finds `common` beside it; let it do so as a module of this package too.
sys.path.append(str(Path(__file__).parent))
