"""A whole fake upstream: journal, runs, the speech port and the control port, on the loop that is running."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from fake_upstream.app import SpeechApp
from fake_upstream.control import ControlApp
from fake_upstream.door import Door, listen, url_of
from fake_upstream.journal import Journal
from fake_upstream.runs import Runs
from fake_upstream.script import Script
from fake_upstream.serving import serve

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class FakeUpstream:
    """What a started fake upstream offers. Its journal and runs may be used from any thread."""

    def __init__(self, default: Callable[[str, Script], Script] | None = None, api_key: str | None = None) -> None:
        self.journal = Journal()
        self.runs = Runs(self.journal, default)
        self.api_key = api_key
        """The key that a request must have; None asks for none."""
        self.url = ""
        """What one would put in OPENAI_BASE_URL; ends in /v1."""
        self.control_url = ""
        self.door: Door

    @property
    def connections(self) -> int:
        """How many speech connections it has now."""
        return len(self.door.wires)

    def refuse(self) -> None:
        """Refuse connections, and reset those there are. On the serving loop."""
        self.door.shut()

    def accept(self) -> None:
        """Accept connections again. From any thread."""
        self.door.reopen()

    def narrow(self, key: str, size: int) -> None:
        """Have the kernel keep at most about `size` unsent bytes of the response to this `input`. From any thread."""
        for wire in tuple(self.door.wires):
            if wire.notes.key == key:
                wire.narrow(size)

    def close_idle(self) -> None:
        """Send FIN on every speech connection that waits for a request. From any thread."""
        for wire in tuple(self.door.wires):
            if not wire.owned:
                wire.half_close()


@asynccontextmanager
async def fake_upstream(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    control_host: str = "127.0.0.1",
    control_port: int = 0,
    control_token: str | None = None,
    default: Callable[[str, Script], Script] | None = None,
    api_key: str | None = None,
) -> AsyncGenerator[FakeUpstream]:
    """Run a fake upstream until the block is left. It is ready when the block begins; several may run at once.

    Raises OSError if a port is in use, ValueError for a control API that strangers could reach without a token.
    """
    if control_host not in LOOPBACK and not control_token:
        raise ValueError(f"control_host is {control_host!r}: give a control_token too, or keep to 127.0.0.1")
    upstream = FakeUpstream(default, api_key)
    speech, control = listen(host, port), None
    try:
        control = listen(control_host, control_port)
        upstream.url, upstream.control_url = f"{url_of(speech)}/v1", url_of(control)
        speech_app = SpeechApp(upstream.journal, upstream.runs, api_key)
        upstream.door = Door(speech)
        control_app = ControlApp(upstream, control_token)
        async with (
            serve(control_app, Door(control), Journal()),
            serve(speech_app, upstream.door, upstream.journal, own_continue=True),
        ):
            yield upstream
    finally:
        speech.close()
        if control:
            control.close()
