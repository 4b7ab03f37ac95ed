"""Soaking: verdicts on our own proxies, in random order, many at a time, while the machine is disturbed.

It counts those that are not as declared. `draw.py` says what comes next, `disturb.py` gets in the way, `tally.py`
counts and keeps the state, `command.py` is `streamproof soak`.
"""
