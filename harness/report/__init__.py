"""Reports: results as text at a terminal and as JSON."""
