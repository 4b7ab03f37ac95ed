"""Has httpx's own limit of 100 connections; who finds none free waits (vllm-project/production-stack#765)."""

import httpx

from harness.proxies.reference import Proxy

CATCHES = ("pressure/all_open",)


class HundredConnections(Proxy):
    def __init__(self, upstream_url: str) -> None:
        super().__init__(upstream_url)
        self.http = httpx.AsyncClient(limits=httpx.Limits(max_connections=100), timeout=None, trust_env=False)


build = HundredConnections
