"""Has never heard of `Expect: 100-continue` and says so, 417, as RFC 9110 allows for other expectations only."""

from harness.proxies.reference import Head, Message, Proxy, Receive, Send, finish, start

CATCHES = ("fidelity/expect_continue",)


class RefusesExpectations(Proxy):
    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if any(name.lower() == b"expect" for name, _ in scope.get("headers", ())):
            await start(send, Head(417, [(b"content-length", b"0")]))
            await finish(send)
        else:
            await super().__call__(scope, receive, send)


build = RefusesExpectations
