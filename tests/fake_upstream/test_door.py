"""The speech port can be shut: refused connections, reset ones, and the same port afterwards."""

from __future__ import annotations

import socket

import anyio
import httpx
import pytest
from rawclient import GUARD, RawClient, off, request, saw, served, whats

from fake_upstream.pacing import burst, lockstep
from fake_upstream.script import Script
from fake_upstream.upstream import FakeUpstream

QUICK = Script(burst(1, 10), framing="content-length")


async def _answers(up: FakeUpstream) -> bool:
    up.runs.arm("quick", QUICK)
    with RawClient(up.url) as client:
        client.send(request("quick"))
        return (await off(client.answer))[0] == 200


async def test_a_shut_door_refuses_and_resets(loop: str) -> None:
    """Whoever comes is refused, whoever is there is reset; reopened it is the same port as before."""
    async with served() as up:
        url = up.url
        up.runs.arm("hello", Script(lockstep(2, 5)))
        with RawClient(up.url) as playing, RawClient(up.url) as idle:
            playing.send(request())
            await up.journal.saw("hello", "emitted")
            await saw(up.journal, "accepted", connection=2)
            up.door.shut()
            assert (await off(playing.rest))[1] == "reset"
            assert await off(idle.rest) == (b"", "reset")
        for _ in range(3):
            with pytest.raises(ConnectionRefusedError):
                RawClient(url)
        assert "peer_reset" not in whats(up.journal.since())
        up.door.reopen()
        assert await _answers(up)
        assert up.url == url


async def test_a_door_can_be_shut_and_opened_many_times(loop: str) -> None:
    """From another thread too; nobody who was let in before is still there, however fast they came."""
    async with served() as up:
        for _ in range(30):
            clients = [RawClient(up.url) for _ in range(5)]
            up.door.shut()
            for client in clients:
                with client:
                    assert (await off(client.rest))[1] == "reset"
            with pytest.raises(ConnectionRefusedError):
                RawClient(up.url)
            await off(up.door.reopen)
        assert await _answers(up)


async def test_nobody_slips_in_between_accept_and_the_first_step(loop: str) -> None:
    """A connection is the door's from the instant it is accepted."""
    async with served() as up:
        for n in range(1, 31):
            with RawClient(up.url) as client:
                while not up.door.wires:
                    await anyio.sleep(0)
                up.door.shut()
                assert (await off(client.rest))[1] == "reset"
                await saw(up.journal, "closed", connection=n)
            while up.door.wires:
                await anyio.sleep(0)
            up.door.reopen()


async def test_the_port_is_given_to_nobody_while_it_is_shut(loop: str) -> None:
    """Others ask the kernel for ports meanwhile, and get other ones."""
    async with served() as up:
        port = int(up.url.removesuffix("/v1").rpartition(":")[2])
        up.door.shut()
        others = [socket.create_server(("127.0.0.1", 0)) for _ in range(300)]
        try:
            assert port not in [sock.getsockname()[1] for sock in others]
            up.door.reopen()
            assert await _answers(up)
        finally:
            for sock in others:
                sock.close()


async def test_shutdown_behind_a_shut_door(loop: str) -> None:
    async with served() as up:
        up.door.shut()
    with pytest.raises(ConnectionRefusedError):
        RawClient(up.url)


async def test_the_door_over_the_control_api(loop: str) -> None:
    """Twice is no error; connections are counted while they are there."""
    async with (
        served() as up,
        httpx.AsyncClient(base_url=up.control_url, trust_env=False, timeout=GUARD) as http,
    ):

        async def connections() -> int:
            answer = (await http.get("/")).json()
            count: int = answer["connections"]
            return count

        assert await connections() == 0
        with RawClient(up.url):
            await saw(up.journal, "accepted", connection=1)
            assert await connections() == 1
            for _ in range(2):
                assert (await http.post("/refuse")).json() == {"schema": 1}
                with pytest.raises(ConnectionRefusedError):
                    RawClient(up.url)
            while await connections():
                pass
        for _ in range(2):
            assert (await http.post("/accept")).json() == {"schema": 1}
            assert await _answers(up)
