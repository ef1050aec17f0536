"""Networks by name, and references to experiments on them."""
