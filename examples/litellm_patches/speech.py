"""What the patches share: the place that they change, and a response that is more than its bytes."""

from contextlib import aclosing

from litellm.llms.openai.openai import OpenAIChatCompletion
from litellm.types.llms.openai import HttpxBinaryResponseContent


def replace_speech(speak):
    """Have LiteLLM's async speech call of OpenAI be `speak(create)`, where create() is the SDK's streamed response."""

    async def async_audio_speech(self, model, input, voice, optional_params, **options):  # noqa: A002 - its name there
        wanted = ("api_key", "api_base", "timeout", "max_retries", "client", "shared_session")
        given = {name: options[name] for name in wanted if name in options}
        client = self._get_openai_client(is_async=True, **given)

        def create():
            return client.audio.speech.with_streaming_response.create(
                model=model, voice=voice, input=input, **optional_params
            )

        return await speak(create)

    OpenAIChatCompletion.async_audio_speech = async_audio_speech


class Deferred(HttpxBinaryResponseContent):
    """Opens the upstream's response at the first pull, and closes it when the pulling ends."""

    def __init__(self, create):
        super().__init__(response=None)
        self.create = create

    async def aiter_bytes(self, chunk_size=None):
        """As LiteLLM calls it: awaited, then iterated. Chunks are as they come; regrouping them would hold bytes."""
        return self.items()

    async def items(self):
        async with self.create() as response, aclosing(response.iter_bytes()) as items:
            yield b""  # the head is there: who waits for no more than that need not wait for the first audio
            async for data in items:
                yield data
