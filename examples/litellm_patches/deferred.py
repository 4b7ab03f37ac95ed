"""Half a fix: the stream is deferred, and the 200 has gone out before anybody pulls.

It streams, and lets go whenever the client leaves; but an upstream error comes too late to be one.
"""

from speech import Deferred, replace_speech


async def speak(create):
    return Deferred(create)


def apply():
    replace_speech(speak)
