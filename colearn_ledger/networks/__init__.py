"""Networks by name, and references to their experiments."""
