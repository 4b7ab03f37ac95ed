"""When the client leaves, the watching task closes the stream while the other one still pulls (BerriAI/litellm#34496).

Python refuses: "asynchronous generator is already running". The refusal ends the request all the same, with noise.
"""

from contextvars import ContextVar

from harness.proxies.reference import Proxy, Receive, Send, Stream

CATCHES = ("closure/clean_unwinding",)
pulled: ContextVar[list[Stream]] = ContextVar("pulled")


class ClosesWhilePulled(Proxy):
    async def __call__(self, scope: dict[str, object], receive: Receive, send: Send) -> None:
        pulled.set([])
        await super().__call__(scope, receive, send)

    async def hand_on(self, stream: Stream, send: Send) -> None:
        pulled.get().append(stream)
        await super().hand_on(stream, send)

    async def client_left(self, receive: Receive) -> None:
        await super().client_left(receive)
        for stream in pulled.get():
            await stream.aclose()


build = ClosesWhilePulled
