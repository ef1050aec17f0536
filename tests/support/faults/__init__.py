"""Real processes, and the faults that befall them."""
