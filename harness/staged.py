"""The two ends of one request, as a scenario commands them. They wait through their stage, which has the patience."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fake_upstream.runs import Run
from fake_upstream.sse import AudioDecoder
from harness.client import Client
from harness.codings import Undecodable, Unpacker, Unsupported, unpacker
from harness.far_upstream import FarRun
from harness.patience import CLOSE_FLOOR, FLOOR
from harness.record import LET_GO, Goal
from harness.sockets import Leave

NARROW = 65_536
"""Bytes of a socket's buffer that is kept small. Kernels let one grow to many megabytes."""

if TYPE_CHECKING:
    from harness.stage import Stage


class StagedClient:
    """The client's end of one request, as a scenario commands it."""

    def __init__(self, stage: Stage, index: int, recorder: Client) -> None:
        self.stage = stage
        self.index = index
        self.recorder = recorder
        self._decoder = AudioDecoder()
        self._unpacker: Unpacker | None = None
        self._read = 0
        self._content = 0
        self._audio = 0

    async def _until(
        self, goal: Goal, what: str, condition: Callable[[], bool], floor: float = FLOOR, staging: bool = False
    ) -> bool:
        recorder = self.recorder
        happened = await self.stage.wait(
            goal,
            what,
            self.index,
            recorder.notice.until,
            condition,
            floor,
            over=lambda: recorder.over,
            staging=staging,
            come=lambda: len(recorder.body),
        )
        if not happened and not recorder.over:
            recorder.note("timed_out", note=what)
        return happened

    async def has_head(self, *, staging: bool = False) -> bool:
        """Wait until the client has status and headers. `staging`: to put the claim to the test, not as the claim."""
        return await self._until(
            "head", "the client has the head", lambda: self.recorder.status is not None, staging=staging
        )

    async def has_leave(self) -> bool:
        """Wait until a request that says `Expect: 100-continue` has leave to send its body, or a final status."""
        return await self._until("head", "the client has leave to send its body", lambda: self.recorder.has_leave)

    def send_body(self) -> None:
        """Send the body that waits for leave, with or without it."""
        self.recorder.send_body()

    @property
    def trailers(self) -> list[tuple[str, str]]:
        """The fields behind the last chunk, if there is one."""
        _, end, section = self.recorder.tail.rpartition(b"\r\n0\r\n")
        pairs = (line.partition(":") for line in section.decode("latin-1").split("\r\n") if line and end)
        return [(name.lower(), value.strip()) for name, _, value in pairs]

    async def holds(self, size: int, *, staging: bool = False) -> bool:
        """Wait until the client holds `size` body bytes."""
        return await self._until(
            "holds", f"the client holds {size} bytes", lambda: len(self.recorder.body) >= size, staging=staging
        )

    async def unpacks(self, size: int) -> bool:
        """Wait until what came, with its content coding undone, is `size` bytes."""
        what = f"the client has unpacked {size} bytes"
        return await self._until("holds", what, lambda: self._take_in() and self._content >= size)

    async def hears(self, size: int, *, staging: bool = False) -> bool:
        """Wait until the events that came carry `size` bytes of audio."""
        what = f"the client hears {size} bytes of audio"
        return await self._until("holds", what, lambda: self._take_in() and self._audio >= size, staging=staging)

    async def hears_the_end(self) -> bool:
        """Wait until an event has said that the speech is complete."""
        what = "the client hears that the speech is complete"
        return await self._until("holds", what, lambda: self._take_in() and self._decoder.done)

    def _take_in(self) -> bool:
        """Read on in what came. What cannot be unpacked is not there."""
        new = bytes(self.recorder.body[self._read :])
        if not new:
            return True
        self._read += len(new)
        try:
            if not self._unpacker:
                self._unpacker = unpacker(dict(self.recorder.headers).get("content-encoding", ""))
            content = self._unpacker.feed(new)
        except (Undecodable, Unsupported):
            return False
        self._content += len(content)
        self._audio += len(self._decoder.feed(content))
        return True

    async def ends(self) -> bool:
        """Wait until the response is over, well or badly."""
        return await self._until("over", "the client's response is over", lambda: self.recorder.over, CLOSE_FLOOR)

    def leave(self, how: Leave) -> None:
        """Close the client's connection."""
        self.recorder.leave(how)

    def half_close(self) -> None:
        """Close the sending side only."""
        self.recorder.half_close()

    def pause(self) -> None:
        """Read no more of the body, from the head on; with `narrow` little of it stays with our kernel."""
        self.recorder.pause()

    def resume(self) -> None:
        self.recorder.resume()

    def narrow(self) -> None:
        """Keep the kernel from taking much that is not read: at our end, where it is we who do not read."""
        self.recorder.narrow(NARROW)


class StagedUpstream:
    """The upstream's end of one request, as a scenario commands it."""

    def __init__(self, stage: Stage, index: int, run: Run | FarRun) -> None:
        self.stage = stage
        self.index = index
        self.run = run

    def release(self, gates: int | None = 1) -> None:
        """Open the script's next gates; None opens all."""
        self.run.release(gates)

    async def saw(self, *kinds: str, what: str = "", floor: float = FLOOR, staging: bool = False) -> bool:
        """Wait for the upstream's first event of one of these kinds."""
        journal, key = self.stage.upstream.journal, self.run.key
        text = what or f"the upstream notes {' or '.join(kinds)}"
        return await self.stage.wait(
            "saw",
            text,
            self.index,
            journal.until,
            lambda: journal.first(key, kinds) is not None,
            floor,
            staging=staging,
        )

    def narrow(self) -> None:
        """Keep the kernel from taking much that the target does not read. Call it once the request is there."""
        self.stage.upstream.narrow(self.run.key, NARROW)

    @property
    def taken(self) -> int:
        """Body bytes that were handed to the target, its kernel and ours included."""
        return sum(e.size or 0 for e in self.stage.upstream.journal.of(self.run.key) if e.what == "emitted")

    @property
    def keeps_its_connection(self) -> bool:
        """Whether the script is played, and its connection serves the next request."""
        finished = self.stage.upstream.journal.first(self.run.key, ("finished",))
        return finished is not None and finished.note == "keep"

    async def sees_the_target_leave(self) -> bool:
        """Wait until the upstream sees its connection closed or reset by the target."""
        return await self.saw(*LET_GO, what="the upstream sees the target leave", floor=CLOSE_FLOOR)

    async def is_done_with(self, *, floor: float = CLOSE_FLOOR, staging: bool = False) -> bool:
        """Wait until the target has left or the script is played to its end."""
        return await self.saw(*LET_GO, "finished", what="the upstream is done with", floor=floor, staging=staging)
