"""The wire: who left and how, in every phase of a conversation; and what it does to the socket itself.

Races hide in single tries: each phase is tried many times, which costs a millisecond or two each.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio
import pytest
from rawclient import GUARD, RawClient, converse, off, request, saw, served, whats

from fake_upstream.journal import Journal, Notes
from fake_upstream.pacing import burst
from fake_upstream.script import Chunk, Ending, Script, Step
from fake_upstream.upstream import FakeUpstream
from fake_upstream.wire import PeerLeft, Wire

TIMES = 30
Depart = Callable[[RawClient], None]


def _fin_then_reset(client: RawClient) -> None:
    client.half_close()
    client.reset()


DEPARTURES: dict[str, tuple[Depart, str]] = {
    "shutdown": (RawClient.half_close, "fin"),
    "close": (RawClient.close, "fin"),
    "linger 0": (RawClient.reset, "reset"),
    "shutdown, then linger 0": (_fin_then_reset, "fin"),
}
departures = pytest.mark.parametrize(("depart", "how"), DEPARTURES.values(), ids=DEPARTURES)


async def _heard(up: FakeUpstream, text: str, how: str) -> None:
    """The journal tells how the client of a running response left, once, and that the response was cut."""
    cut = await up.journal.saw(text, "cut")
    await up.journal.saw(text, "closed")
    left = [event.what for event in up.journal.of(text) if event.what.startswith("peer_")]
    assert left == [f"peer_{how}"]
    assert cut.note == how


@departures
async def test_departure_before_the_head(loop: str, depart: Depart, how: str) -> None:
    async with served() as up:
        for n in range(TIMES):
            up.runs.arm(f"run {n}", Script(burst(1, 10), head=Step(gate=True)))
            with RawClient(up.url) as client:
                client.send(request(f"run {n}"))
                await up.journal.saw(f"run {n}", "asked")
                depart(client)
                await _heard(up, f"run {n}", how)
            assert "head_sent" not in whats(up.journal.of(f"run {n}"))


@pytest.mark.parametrize("depart", [RawClient.half_close, RawClient.close])
async def test_departure_right_behind_the_request(loop: str, depart: Depart) -> None:
    """The FIN may be read before the request is: it stands under the request all the same, once."""
    async with served() as up:
        for n in range(TIMES):
            up.runs.arm(f"run {n}", Script(burst(1, 10), head=Step(gate=True)))
            with RawClient(up.url) as client:
                client.send(request(f"run {n}"))
                depart(client)
                await _heard(up, f"run {n}", "fin")


@departures
async def test_departure_while_the_stream_is_silent(loop: str, depart: Depart, how: str) -> None:
    async with served() as up:
        for n in range(TIMES):
            up.runs.arm(f"run {n}", Script((Chunk(size=10), Chunk(size=10, gate=True))))
            with RawClient(up.url) as client:
                client.send(request(f"run {n}"))
                await off(client.head)
                await off(client.read, len(b"a\r\n" + bytes(10) + b"\r\n"))
                depart(client)
                await _heard(up, f"run {n}", how)


@departures
@pytest.mark.parametrize("extra", [b"\r\n", request("more")], ids=["CRLF", "request"])
async def test_departure_behind_bytes_that_hypercorn_does_not_read(
    loop: str, extra: bytes, depart: Depart, how: str
) -> None:
    """hypercorn stops reading after the first byte behind a request; the wire does not."""
    async with served() as up:
        for n in range(TIMES):
            up.runs.arm(f"run {n}", Script((Chunk(size=10), Chunk(size=10, gate=True))))
            with RawClient(up.url) as client:
                client.send(request(f"run {n}") + extra)
                await off(client.head)
                await off(client.read, len(b"a\r\n" + bytes(10) + b"\r\n"))
                depart(client)
                await _heard(up, f"run {n}", how)


@departures
async def test_departure_while_idle_on_keep_alive(loop: str, depart: Depart, how: str) -> None:
    async with served() as up:
        for n in range(TIMES):
            up.runs.arm(f"run {n}", Script(burst(1, 10), framing="content-length"))
            with RawClient(up.url) as client:
                client.send(request(f"run {n}"))
                await off(client.answer)
                connection = (await up.journal.saw(f"run {n}", "finished")).connection
                depart(client)
                closed = await saw(up.journal, "closed", connection=connection)
            events = [e for e in up.journal.since() if e.connection == connection and e.what.startswith("peer_")]
            assert whats(tuple(events)) == [f"peer_{how}"]
            assert events[0].at <= closed.at
            assert "cut" not in whats(up.journal.of(f"run {n}"))


@departures
async def test_departure_before_any_request(loop: str, depart: Depart, how: str) -> None:
    async with served() as up:
        for n in range(1, TIMES + 1):
            with RawClient(up.url) as client:
                await saw(up.journal, "accepted", connection=n)
                depart(client)
                await saw(up.journal, "closed", connection=n)
            assert whats(tuple(e for e in up.journal.since() if e.connection == n)) == [
                "accepted",
                f"peer_{how}",
                "closed",
            ]


@pytest.fixture
def blocked(monkeypatch: pytest.MonkeyPatch) -> list[socket.socket]:
    """Sockets on which a wire waited for room: the positive sign that a write is blocked."""
    waited: list[socket.socket] = []
    wait_writable = anyio.wait_writable

    async def spy(sock: socket.socket) -> None:
        waited.append(sock)
        await wait_writable(sock)

    monkeypatch.setattr(anyio, "wait_writable", spy)
    return waited


BIG = Script((Chunk(size=8_000_000),), payload="pcm")
"""More than the buffers of both ends hold."""


@asynccontextmanager
async def _stalled(up: FakeUpstream, text: str, blocked: list[socket.socket]) -> AsyncGenerator[RawClient]:
    """A client that does not read, and an upstream blocked in its write to it."""
    up.runs.arm(text, BIG)
    before = len(blocked)
    with RawClient(up.url, receive_buffer=4096) as client:
        client.send(request(text))
        while len(blocked) == before:
            await anyio.sleep(0)
        yield client


@pytest.mark.parametrize(
    ("depart", "how"),
    [(RawClient.half_close, "fin"), (RawClient.reset, "reset"), (RawClient.close, "reset"), (_fin_then_reset, None)],
    ids=["shutdown", "linger 0", "close with bytes unread", "shutdown, then linger 0"],
)
async def test_departure_while_a_write_is_blocked(
    loop: str, blocked: list[socket.socket], depart: Depart, how: str | None
) -> None:
    """A close with unread bytes pending is a RST on the wire. FIN and RST at once: whichever is seen, once."""
    async with served() as up:
        for n in range(TIMES):
            async with _stalled(up, f"run {n}", blocked) as client:
                depart(client)
                event = await up.journal.saw(f"run {n}", "peer_fin", "peer_reset")
                await _heard(up, f"run {n}", how or event.what.removeprefix("peer_"))
            emitted = await up.journal.saw(f"run {n}", "emitted")
            assert emitted.until is None  # the write never returned


async def test_departure_while_chunks_flow(loop: str) -> None:
    """A client that reads on after its FIN left with FIN, however many writes were under way."""
    async with served() as up:
        for n in range(TIMES):
            up.runs.arm(f"run {n}", Script(burst(5_000, 64), ending=Ending(gate=True)))
            with RawClient(up.url) as client:
                client.send(request(f"run {n}"))
                await off(client.head)
                client.half_close()
                assert (await off(client.rest))[1] == "fin"
            await _heard(up, f"run {n}", "fin")


async def test_bytes_behind_a_request_do_not_turn_our_fin_into_a_reset(loop: str) -> None:
    """The kernel answers close() with RST where unread bytes wait: the wire reads them away first."""
    async with served() as up:
        for n in range(TIMES):
            up.runs.arm(f"run {n}", Script(burst(3, 100), framing="close-delimited"))
            data, how = await off(converse, up.url, request(f"run {n}") + b"x" * 1000)
            assert (len(data.partition(b"\r\n\r\n")[2]), how) == (300, "fin")


@contextmanager
def _pair() -> Iterator[tuple[socket.socket, RawClient]]:
    """Both ends of a TCP connection: ours, non-blocking, and the client's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = RawClient(f"http://127.0.0.1:{listener.getsockname()[1]}")
        ours, _ = listener.accept()
    ours.setblocking(False)
    with ours, client:
        yield ours, client


@contextmanager
def _wire() -> Iterator[tuple[Wire, RawClient, Journal]]:
    """A wire that nobody pumps, its client, its journal."""
    with _pair() as (ours, client):
        journal = Journal()
        wire = Wire(ours, Notes(journal))
        try:
            yield wire, client, journal
        finally:
            wire.drop()


async def _write_until_it_fails(wire: Wire) -> None:
    async def write() -> None:
        while True:
            await wire.write(b"more")

    with anyio.fail_after(GUARD), pytest.raises(PeerLeft):
        await write()


@departures
async def test_a_failed_write_tells_fin_from_reset(loop: str, depart: Depart, how: str) -> None:
    """The writer may meet the departure before the reader does: a write after a FIN is answered with RST too."""
    for _ in range(TIMES):
        with _wire() as (wire, client, journal):
            depart(client)
            if depart is RawClient.half_close:
                client.close()
            await _write_until_it_fails(wire)
            assert wire.peer == how
            assert wire.left.is_set()
            assert whats(journal.since()) == ["write_failed", f"peer_{how}"]


async def test_the_pump_and_the_writer_note_a_departure_once(loop: str) -> None:
    for _ in range(TIMES):
        with _wire() as (wire, client, journal):
            client.reset()
            with anyio.fail_after(GUARD):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(wire.pump)
                    await _write_until_it_fails(wire)
            assert whats(journal.since()).count("peer_reset") == 1
            assert "peer_fin" not in whats(journal.since())


async def test_bytes_before_the_fin_are_read_first(loop: str) -> None:
    with _wire() as (wire, client, _), anyio.fail_after(GUARD):
        client.send(b"all of it")
        client.close()
        await wire.pump()
        assert wire.peer == "fin"
        assert await wire.read() == b"all of it"
        assert [await wire.read(), await wire.read()] == [b"", b""]


async def test_one_write_is_one_send(loop: str) -> None:
    """Where the buffers have room, 64 KB and their chunk header go to the kernel in one call."""

    class Counting(socket.socket):
        sizes: list[int]

        def send(self, data: memoryview, *flags: int) -> int:  # type: ignore[override]
            self.sizes.append(super().send(data, *flags))
            return self.sizes[-1]

    with _pair() as (ours, client):
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        counting = Counting(fileno=ours.detach())
        counting.setblocking(False)
        counting.sizes = []
        wire = Wire(counting, Notes(Journal()))
        for size in (1, 512, 8192, 65_536 + 9):
            await wire.write(b"x" * size)
            assert await off(client.read, size) == b"x" * size
        assert counting.sizes == [1, 512, 8192, 65_536 + 9]
        assert wire.accepted == sum(counting.sizes)
        wire.drop()


async def test_writes_do_not_interleave(loop: str) -> None:
    """A frame that blocks half-way is finished before the next one begins."""
    frames = [bytes([letter]) * 8_000_000 for letter in b"ab"]
    with _wire() as (wire, client, _), anyio.fail_after(GUARD):
        async with anyio.create_task_group() as tasks:
            for frame in frames:
                tasks.start_soon(wire.write, frame)
            await anyio.wait_all_tasks_blocked()
            data = await off(client.read, 16_000_000)
        assert data in (frames[0] + frames[1], frames[1] + frames[0])


async def test_nagle_is_off(loop: str) -> None:
    with _wire() as (wire, _, _):
        assert wire.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_fin_stays_a_fin_over_bytes_that_nobody_read(loop: str) -> None:
    """Where bytes wait unread, the kernel answers close() with RST: the wire reads them away."""
    with _wire() as (wire, client, _):
        await wire.write(b"answer")
        client.send(b"x" * 100_000)
        wire.fin()
        assert await off(client.rest) == (b"answer", "fin")


@pytest.mark.parametrize("how", ["fin", "reset"])
async def test_our_own_close(loop: str, how: str) -> None:
    """It is noted once, ends the pump, fails further writes, and is no departure of the peer."""
    with _wire() as (wire, client, journal), anyio.fail_after(GUARD):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wire.pump)
            await anyio.wait_all_tasks_blocked()
            getattr(wire, how)()
            wire.fin()
            wire.reset()
        assert await wire.read() == b""
        with pytest.raises(PeerLeft):
            await wire.write(b"late")
        assert [(event.what, event.note) for event in journal.since()] == [("closed", how)]
        assert (wire.peer, wire.closed, wire.left.is_set()) == (None, True, True)
        assert await off(client.rest) == (b"", how)


async def test_closing_frees_a_blocked_writer(loop: str) -> None:
    """A write that waits for room fails when the connection is reset under it."""
    with _wire() as (wire, _, _), anyio.fail_after(GUARD):
        failed = anyio.Event()

        async def write() -> None:
            with pytest.raises(PeerLeft):
                await wire.write(bytes(8_000_000))
            failed.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write)
            await anyio.wait_all_tasks_blocked()
            assert not failed.is_set()
            wire.reset()
        assert failed.is_set()


async def test_half_close_goes_on_reading(loop: str) -> None:
    with _wire() as (wire, client, journal), anyio.fail_after(GUARD):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wire.pump)
            wire.half_close()
            assert await off(client.recv) == b""
            client.send(b"and yet")
            assert await wire.read() == b"and yet"
            client.close()
        assert whats(journal.since()) == ["peer_fin"]


async def test_hang_keeps_the_departure_apart_from_the_ending(loop: str) -> None:
    """A client that leaves a hanging response did not cut it: its script had finished."""
    async with served() as up:
        up.runs.arm("hello", Script(ending=Ending(kind="hang")))
        with RawClient(up.url) as client:
            client.send(request())
            await up.journal.saw("hello", "finished")
            client.reset()
        await up.journal.saw("hello", "closed")
        assert whats(up.journal.of("hello")) == ["asked", "head_sent", "finished", "peer_reset", "closed"]
