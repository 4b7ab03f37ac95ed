"""The fix: the stream is deferred, and the first pull decides what the answer's head says.

The server's own task pulls, so that a client that leaves cancels the pull, also before the head.
"""

import openai
from litellm.proxy import proxy_server
from speech import Deferred, replace_speech
from starlette.responses import Response, StreamingResponse


class FirstPullDecides(StreamingResponse):
    """Sends its head once the first bytes are there, or the upstream's own error instead."""

    async def stream_response(self, send):
        items = aiter(self.body_iterator)
        try:
            first = await anext(items, b"")
        except openai.APIStatusError as error:
            await self._refuse(error.response, send)
            return

        async def again():
            yield first
            async for data in items:
                yield data

        self.body_iterator = again()
        await super().stream_response(send)

    async def _refuse(self, answer, send):
        kept = {name: answer.headers[name] for name in ("content-type", "retry-after") if name in answer.headers}
        await Response(answer.content, answer.status_code, kept)({"type": "http"}, None, send)


async def speak(create):
    return Deferred(create)


def apply():
    replace_speech(speak)
    proxy_server.StreamingResponse = FirstPullDecides
