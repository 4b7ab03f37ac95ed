"""Speech through the OpenAI SDK as a deferred stream: the shape in which a gateway can hand it on.

The SDK's streamed response lives inside `async with`. A function cannot return it from there, for then it is closed
(openai_closed_at_return.py); and it must not open it before somebody listens, for then nobody may ever close it. So the
context is made, entered and left by the one who iterates.
"""

from contextlib import aclosing

import openai


class DeferredSpeech:
    """A response that asks the upstream at the first pull. To be iterated once, by one task."""

    def __init__(self, client: openai.AsyncOpenAI, **fields):
        self._client = client
        self._fields = fields
        self._used = False

    async def aiter_bytes(self, chunk_size=None):
        """The audio as it arrives. Raises openai.APIStatusError, with the upstream's status, before the first byte."""
        if self._used:
            raise RuntimeError("this speech was iterated or closed before: ask for another")
        self._used = True
        # Made here, not before: what `create` returns is a coroutine that must be awaited.
        create = self._client.audio.speech.with_streaming_response.create
        async with create(**self._fields) as response, aclosing(response.iter_bytes(chunk_size)) as items:
            async for data in items:
                yield data

    async def aclose(self):
        """For who has not begun to iterate; a generator that was begun is closed itself."""
        self._used = True


def aspeech(client: openai.AsyncOpenAI, text: str, model="tts-1", voice="alloy"):
    return DeferredSpeech(client, input=text, model=model, voice=voice)


def speech(client: openai.OpenAI, text: str, model="tts-1", voice="alloy"):
    """The sync path has no such trouble and stays as it was: a whole body, read before it is returned."""
    return client.audio.speech.create(input=text, model=model, voice=voice)
