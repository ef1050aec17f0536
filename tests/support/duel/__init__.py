"""The reference and a contract, driven through the same random steps."""
