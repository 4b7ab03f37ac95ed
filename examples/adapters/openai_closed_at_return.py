"""What not to do: a response returned out of its own `async with` is closed before anybody iterates it.

Status and headers are there, so that it looks well; the body is not (BerriAI/litellm#14892).
"""

import openai


async def aspeech(client: openai.AsyncOpenAI, text: str, model="tts-1", voice="alloy"):
    create = client.audio.speech.with_streaming_response.create
    async with create(input=text, model=model, voice=voice) as response:
        return response
