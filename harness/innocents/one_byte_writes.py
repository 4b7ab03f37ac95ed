"""Writes a piece's first and last bytes one at a time: no boundary of the upstream's is one of the client's.

The middle of a big piece goes in one: two hundred megabytes of single bytes would test our patience, nothing else.
"""

from contextlib import aclosing

import httpx

from harness.proxies.reference import Head, Proxy, Stream, deferred_stream, streams_of

CATCHES = ()
SINGLE = 48


class OneByteWrites(Proxy):
    async def ask(self, request: httpx.Request) -> Stream:
        async with aclosing(deferred_stream(self.http, request)) as stream:
            async for item in stream:
                if isinstance(item, Head):
                    yield item
                    continue
                middle = max(SINGLE, len(item) - SINGLE)
                for byte in item[:SINGLE]:
                    yield bytes((byte,))
                if item[SINGLE:middle]:
                    yield item[SINGLE:middle]
                for byte in item[middle:]:
                    yield bytes((byte,))


build = OneByteWrites
make_stream = streams_of(OneByteWrites)
