"""Speech through aiohttp as a deferred stream."""

import aiohttp


async def speak(session: aiohttp.ClientSession, url: str, text: str):
    """The audio as it arrives. Raises aiohttp.ClientResponseError, with the status, before the first byte."""
    body = {"model": "tts-1", "voice": "alloy", "input": text}
    async with session.post(f"{url}/audio/speech", json=body) as response:
        response.raise_for_status()
        async for data in response.content.iter_any():
            yield data
