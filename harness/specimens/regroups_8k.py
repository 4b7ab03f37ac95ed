"""Collects small chunks into 8 KB before it sends them (BerriAI/litellm#21373)."""

from harness.specimens.regroups_256 import Regroups

HALF_FIX = "The body is handed on while it comes, but read with a chunk size: aiter_bytes(8192)."
CATCHES = (
    "delivery/lockstep",
    "delivery/not_regrouped",
    "delivery/tail",
    "events/progressive",
    "delivery/compressed",
    "events/crlf",
    "events/final_event",
)


class Regroups8K(Regroups):
    piece = 8_192


build = Regroups8K
