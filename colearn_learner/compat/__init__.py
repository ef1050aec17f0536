"""The ancestor's local driver, results, plot and registry."""
