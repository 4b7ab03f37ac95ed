"""Proxies that are broken on purpose: the faithful reference with exactly one defect each.

They test the tests. A specimen is a file with `build(upstream_url)` and `CATCHES`: the scenarios that must fail on
it, and no others. Run one with `streamproof run --target specimen:NAME`.
"""
