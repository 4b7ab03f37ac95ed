"""This project's own harness; it has nothing to do with streamproof's."""
