"""One claim a file: FAMILY/NAME.py is the scenario FAMILY/NAME. See docs/adding-a-scenario.md for the form."""
