"""A second implementation of the audit, which imports none of our packages."""
