"""Half a fix: the response is opened before it is returned, and read in LiteLLM's own chunks of 8,192 bytes.

Errors keep their status. But a client that leaves before the head leaves the upstream at work, and small chunks wait
for others.
"""

from speech import HttpxBinaryResponseContent, replace_speech


class Opened(HttpxBinaryResponseContent):
    def __init__(self, context, response):
        super().__init__(response=response.http_response)
        self.context = context
        self.streamed = response

    async def aiter_bytes(self, chunk_size=None):
        return self.items(chunk_size)

    async def items(self, chunk_size):
        try:
            async for data in self.streamed.iter_bytes(chunk_size):
                yield data
        finally:
            await self.context.__aexit__(None, None, None)


async def speak(create):
    context = create()
    return Opened(context, await context.__aenter__())


def apply():
    replace_speech(speak)
