"""Drives a proxy from both ends, records what happened, judges it, and reports. Start reading with run.py."""
