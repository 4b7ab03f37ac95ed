"""Proxies with odd habits that are correct: the faithful reference, each with one freedom that a proxy may take.

They test the tests from the other side: who is accused here is accused wrongly, and the scenario is at fault. An
innocent is a file with `build(upstream_url)` and `CATCHES`: none, or a desired claim that its habit gives up by
right. Run one with `streamproof run --target innocent:NAME`.
"""
