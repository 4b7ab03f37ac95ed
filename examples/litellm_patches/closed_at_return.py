"""Half a fix: the response is streamed, and its context is closed as the function returns (BerriAI/litellm#14892).

The client gets a 200 and then no bytes, and the connection breaks.
"""

from speech import HttpxBinaryResponseContent, replace_speech


async def speak(create):
    async with create() as response:
        return HttpxBinaryResponseContent(response=response.http_response)


def apply():
    replace_speech(speak)
