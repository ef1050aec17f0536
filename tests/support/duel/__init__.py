"""Random steps that drive the reference and a contract side by side."""
