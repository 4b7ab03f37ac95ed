"""Clients that send anything and leave anyhow: the server outlives them and keeps nothing of them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from random import Random

import anyio
import pytest
import sniffio
import trio
from rawclient import SPEECH, RawClient, descriptors, off, request, served, whats

from fake_upstream.pacing import lockstep
from fake_upstream.script import Ending, Script

HOSTILE = 300
CHUNKED = f"POST {SPEECH} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n".encode()

CRIMES: dict[str, Callable[[Random], bytes]] = {
    "says nothing": lambda random: b"",
    "stops in the request line": lambda random: request()[: random.randrange(1, 40)],
    "stops in the body": lambda random: request()[: -random.randrange(1, 40)],
    "binary": lambda random: random.randbytes(random.randrange(1, 5_000)),
    "binary headers": lambda random: b"GET / HTTP/1.1\r\nhost: x\r\nx: " + random.randbytes(50) + b"\r\n\r\n",
    "endless header": lambda random: b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"a" * random.randrange(70_000),
    "many headers": lambda random: request(headers=tuple(f"x-{n}: {n}" for n in range(2_000))),
    "pipelined": lambda random: request("held") * random.randrange(2, 9),
    "bytes behind the request": lambda random: request("held") + random.randbytes(random.randrange(1, 99)),
    "two lengths": lambda random: request(headers=("content-length: 3",)),
    "length and chunked": lambda random: request(headers=("transfer-encoding: chunked",)),
    "length below 0": lambda random: b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
    "huge length": lambda random: b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999\r\n\r\nabc",
    "bad chunk": lambda random: CHUNKED + b"\r\n" + random.choice([b"zz\r\n", b"5\r\nabc", b"-1\r\n"]),
    "expects and goes": lambda random: CHUNKED + b"expect: 100-continue\r\n\r\n",
    "websocket": lambda random: b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: bKdPyn3u98cTfZJSh4TNeQ==\r\n\r\n" + random.randbytes(5),
    "half a websocket": lambda random: b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\n"
    b"upgrade: websocket\r\n\r\n",
    "h2c": lambda random: b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n"
    b"http2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
    "h2": lambda random: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + random.randbytes(random.randrange(40)),
    "another upgrade": lambda random: request("held", headers=("connection: upgrade", "upgrade: tea/1")) + b"leaves",
    "connect": lambda random: b"CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n" + random.randbytes(9),
    "connect to speech": lambda random: request("quick", method="CONNECT"),
    "odd path": lambda random: b"GET /%ff%fe%00%0a?%zz&=&&\xc3\xa9 HTTP/1.1\r\nhost: x\r\n\r\n",
    "no path": lambda random: b"OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n",
    "deep JSON": lambda random: request(body=b"[" * 100_000),
    "no UTF-8": lambda random: request(body=b'{"input": "' + random.randbytes(30) + b'"}'),
    "lone surrogate": lambda random: request(body=b'{"model": "m", "voice": "v", "input": "\\ud800"}'),
    "no host": lambda random: b"GET / HTTP/1.1\r\n\r\n",
    "TLS": lambda random: bytes.fromhex("16030100c8010000c40303") + random.randbytes(200),
    "a good request": lambda random: request(random.choice(["held", "quick", "hangs", "never armed"])),
}  # fmt: skip


def _offend(url: str, random: Random) -> str:
    """One hostile conversation. A few bytes are read, or none; then FIN, RST or a half-close and RST."""
    crime = random.choice(list(CRIMES))
    data = CRIMES[crime](random)
    cut = random.choice([len(data), random.randrange(len(data) + 1)])
    says_all, reads, half_closes, resets = (random.random() < chance for chance in (0.5, 0.5, 0.3, 0.5))
    most = random.choice([1, 100, 65_536])
    with RawClient(url) as client, suppress(OSError):
        client.send(data[:cut])
        if says_all:
            client.send(data[cut:])
        client.sock.setblocking(False)
        if reads:
            with suppress(BlockingIOError):
                client.recv(most)
        if half_closes:
            client.half_close()
        if resets:
            client.reset()
    return crime


def _tasks() -> int:
    if sniffio.current_async_library() == "trio":
        return trio.lowlevel.current_statistics().tasks_living
    return len(asyncio.all_tasks())


@pytest.mark.parametrize("seed", [1, 2])
async def test_hostile_clients(loop: str, seed: int) -> None:
    """After 300 of them the server answers as before and holds no connection, task or descriptor of theirs."""
    random = Random(seed)
    async with served() as up:
        up.runs.arm("held", Script(lockstep(3, 100)))
        up.runs.arm("hangs", Script(lockstep(1, 100), ending=Ending(kind="hang")))
        up.runs.arm("quick", Script(lockstep(1, 100), framing="content-length"))
        with RawClient(up.url) as client:  # threads and buffers that stay are there before we count
            client.send(request("quick"))
            await off(client.answer)
        await up.journal.until(lambda: "closed" in whats(up.journal.since()))
        tasks, before = _tasks(), descriptors()
        crimes = [await off(_offend, up.url, random) for _ in range(HOSTILE)]
        assert set(crimes) == set(CRIMES)

        def all_gone() -> bool:
            noted = whats(up.journal.since())
            return noted.count("accepted") == noted.count("closed") == HOSTILE + 1

        await up.journal.until(all_gone)
        while _tasks() > tasks:  # the guard of `served` ends this if one stays
            await anyio.sleep(0)
        assert descriptors() == before
        # hypercorn trips over bytes behind a websocket's handshake; nothing else may crash, not even its own connection
        crashed = {crimes[event.connection - 2] for event in up.journal.since() if event.what == "crashed"}
        assert crashed <= {"websocket"}
        with RawClient(up.url) as client:
            client.send(request("quick"))
            assert (await off(client.answer))[0] == 200


async def test_no_descriptor_is_left_after_shutdown(loop: str) -> None:
    """Whatever the connections were doing when the server stopped."""
    before = descriptors()
    async with served() as up:
        up.runs.arm("held", Script(lockstep(3, 100)))
        clients = [RawClient(up.url) for _ in range(40)]
        for index, client in enumerate(clients):
            client.send(request("held")[: (None, 0, 30, -1)[index % 4]])
        await up.journal.until(lambda: whats(up.journal.since()).count("emitted") == 10)
        await up.journal.until(lambda: whats(up.journal.since()).count("accepted") == 40)
    for client in clients:
        assert (await off(client.rest))[1] == "reset"
        client.close()
    assert descriptors() == before
    with pytest.raises(ConnectionRefusedError):
        RawClient(up.url)


async def test_the_accept_loop_outlives_errors_of_accept(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of descriptors for a moment, or a connection gone before it was taken: the next one is served."""
    import fake_upstream.upstream

    class Failing(socket.socket):
        failures = 3

        def accept(self) -> tuple[socket.socket, object]:
            if self.failures:
                self.failures -= 1
                raise OSError(24, "Too many open files")
            return super().accept()

    listen = fake_upstream.upstream.listen

    def failing(host: str, port: int) -> socket.socket:
        sock = Failing(fileno=listen(host, port).detach())
        sock.setblocking(False)
        return sock

    monkeypatch.setattr(fake_upstream.upstream, "listen", failing)
    async with served() as up:
        with RawClient(up.url) as client:
            client.send(request(method="GET", path="/nothing"))
            assert (await off(client.answer))[0] == 404
