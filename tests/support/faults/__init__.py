"""Real processes, and faults that are injected into them."""
