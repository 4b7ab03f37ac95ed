"""What serving.py relies on in hypercorn, which is not its public interface: a new version breaks here first."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anyio
import h11
import hypercorn.events
import pytest
from hypercorn.config import Config
from hypercorn.events import Closed, RawData, Updated
from hypercorn.protocol.h11 import H2CProtocolRequiredError, H2ProtocolAssumedError, H11Protocol
from hypercorn.typing import ConnectionState
from rawclient import GUARD

from fake_upstream.serving import _Context, _Flag, _OwnContinue, _Tasks

GET = b"GET /path%20x?q=1 HTTP/1.1\r\nhost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n"
HELLO = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}


def test_the_version_is_the_pinned_one() -> None:
    assert version("hypercorn").startswith("0.18.")


def test_what_h11protocol_takes() -> None:
    """By position, in this order."""
    assert list(inspect.signature(H11Protocol.__init__).parameters) == [
        "self",
        "app",
        "config",
        "context",
        "task_group",
        "connection_state",
        "ssl",
        "client",
        "server",
        "send",
    ]
    assert inspect.iscoroutinefunction(H11Protocol.handle)


def test_what_the_events_hold() -> None:
    assert RawData(b"x").data == b"x"
    assert Closed() == Closed()
    assert Updated(idle=True).idle
    known = {name for name, value in vars(hypercorn.events).items() if inspect.isclass(value)}
    assert {"Event", "RawData", "Closed", "Updated"} <= known


@pytest.mark.parametrize(
    "name", ["events", "config", "typing", "utils", "protocol.h11", "protocol.http_stream", "protocol.ws_stream"]
)
def test_the_protocols_know_no_loop(name: str) -> None:
    """They import neither asyncio nor trio, so one wrapper serves both."""
    spec = find_spec(f"hypercorn.{name}")
    assert spec
    assert spec.origin
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    loops = {module for module in imported if module.partition(".")[0] in ("asyncio", "trio", "anyio")}
    assert not loops


def test_our_stand_ins_have_what_the_protocols_ask_for() -> None:
    """h11.py and http_stream.py name these attributes of context, event and task group, and no others."""
    asked: dict[str, set[str]] = {"context": set(), "task_group": set()}
    for name in ("h11", "http_stream"):
        spec = find_spec(f"hypercorn.protocol.{name}")
        assert spec
        assert spec.origin
        for node in ast.walk(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
                owner = node.value.attr if isinstance(node.value, ast.Attribute) else node.value.id
                asked.get(owner, set()).add(node.attr)
    assert asked["context"] == {"event_class", "mark_request", "terminated"}
    assert asked["task_group"] == {"spawn_app"}
    assert all(hasattr(_Context(), name) for name in asked["context"])
    assert all(hasattr(_Tasks, name) for name in asked["task_group"])
    assert all(inspect.iscoroutinefunction(getattr(_Flag, name)) for name in ("set", "clear", "wait"))


class Talk:
    """An H11Protocol whose app is this test: what the app got, what was to be sent."""

    def __init__(self, engine: type[H11Protocol] = H11Protocol) -> None:
        self.scopes: list[dict[str, Any]] = []
        self.mail: list[dict[str, Any]] = []
        self.out: list[Any] = []
        self.app_send: Callable[[dict[str, Any] | None], Awaitable[None]]
        config = Config()
        config.include_date_header = config.include_server_header = False
        state: Any = ConnectionState({"wire": "the wire"})  # type: ignore[typeddict-unknown-key]
        arguments: Any = (lambda: None, config, _Context(), self, state, False, ("c", 1), ("s", 2), self._send)
        self.protocol = engine(*arguments)

    async def _send(self, event: Any) -> None:
        self.out.append(event)

    async def spawn_app(self, app: Any, config: Any, scope: Any, send: Any) -> Any:
        self.scopes.append(scope)
        self.app_send = send

        async def put(message: dict[str, Any]) -> None:
            self.mail.append(message)

        return put

    @property
    def sent(self) -> bytes:
        return b"".join(event.data for event in self.out if isinstance(event, RawData))


async def test_the_state_reaches_the_scope(loop: str) -> None:
    talk = Talk()
    await talk.protocol.handle(RawData(GET))
    (scope,) = talk.scopes
    assert scope["state"] == {"wire": "the wire"}
    assert (scope["type"], scope["method"], scope["path"], scope["query_string"]) == ("http", "GET", "/path x", b"q=1")
    assert scope["http_version"] == "1.1"
    assert (b"host", b"x") in scope["headers"]


async def test_the_body_comes_as_it_arrives(loop: str) -> None:
    talk = Talk()
    await talk.protocol.handle(RawData(POST + b"ab"))
    await talk.protocol.handle(RawData(b"c"))
    assert talk.mail == [
        {"type": "http.request", "body": b"ab", "more_body": True},
        {"type": "http.request", "body": b"c", "more_body": True},
        {"type": "http.request", "body": b"", "more_body": False},
    ]


async def test_response_start_sends_the_head_at_once(loop: str) -> None:
    """Not with the first body bytes: the wire may take over in between, and nothing may come late."""
    talk = Talk()
    await talk.protocol.handle(RawData(GET))
    await talk.app_send(HELLO)
    assert talk.sent == b"HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\n"
    await talk.app_send({"type": "http.response.body", "body": b"ok"})
    assert talk.sent.endswith(b"\r\n\r\nok")


async def test_a_response_makes_way_for_the_next_request(loop: str) -> None:
    """All within the app's own send(): when it returns, the next request may be on its way to the app."""
    talk = Talk()
    for number in (1, 2, 3):
        await talk.protocol.handle(RawData(GET))
        await talk.app_send({**HELLO, "headers": [(b"content-length", b"0")]})
        await talk.app_send({"type": "http.response.body", "body": b"", "more_body": False})
        assert len(talk.scopes) == number
        assert talk.out[-1] == Updated(idle=True)
        await talk.app_send(None)  # the app returned
    assert Closed() not in talk.out


@pytest.mark.parametrize(
    "request_bytes", [GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"), b"GET / HTTP/1.0\r\n\r\n"]
)
async def test_the_last_response_closes(loop: str, request_bytes: bytes) -> None:
    talk = Talk()
    await talk.protocol.handle(RawData(request_bytes))
    await talk.app_send(HELLO)
    await talk.app_send({"type": "http.response.body", "body": b"ok"})
    assert talk.out[-1] == Closed()


async def test_closed_becomes_a_disconnect(loop: str) -> None:
    talk = Talk()
    await talk.protocol.handle(RawData(POST))
    await talk.protocol.handle(Closed())
    assert talk.mail == [{"type": "http.disconnect"}]


async def test_an_app_that_ends_without_a_response_is_a_500_and_a_close(loop: str) -> None:
    """Which the wire drops where a script was cut, so that only the close is left of it."""
    talk = Talk()
    await talk.protocol.handle(RawData(GET))
    await talk.app_send(None)
    assert talk.sent.startswith(b"HTTP/1.1 500 ")
    assert talk.out[-1] == Closed()


async def test_bytes_behind_a_request_stop_its_reading(loop: str) -> None:
    """The blind spot for which the wire reads by itself: handle() returns only once the response is out."""
    talk = Talk()
    with anyio.fail_after(GUARD):
        async with anyio.create_task_group() as tasks:
            returned = anyio.Event()

            async def feed() -> None:
                await talk.protocol.handle(RawData(GET + GET))
                returned.set()

            tasks.start_soon(feed)
            await anyio.wait_all_tasks_blocked()
            assert not returned.is_set()
            assert len(talk.scopes) == 1
            await talk.app_send(HELLO)
            await talk.app_send({"type": "http.response.body", "body": b"ok"})
            await returned.wait()
        assert len(talk.scopes) == 2


async def test_nonsense_is_answered_and_closed(loop: str) -> None:
    talk = Talk()
    await talk.protocol.handle(RawData(b"nonsense\r\n\r\n"))
    assert talk.sent.startswith(b"HTTP/1.1 400 ")
    assert talk.out[-1] == Closed()


async def test_leave_to_send_the_body(loop: str) -> None:
    talk = Talk()
    await talk.protocol.handle(RawData(POST.replace(b"\r\n\r\n", b"\r\nexpect: 100-continue\r\n\r\n")))
    assert talk.sent.startswith(b"HTTP/1.1 100 ")


async def test_leave_is_ours_to_give_and_the_body_comes_all_the_same(loop: str) -> None:
    talk = Talk(_OwnContinue)
    await talk.protocol.handle(RawData(POST.replace(b"\r\n\r\n", b"\r\nexpect: 100-continue\r\n\r\n")))
    assert (talk.sent, len(talk.scopes), talk.mail) == (b"", 1, [])
    await talk.protocol.handle(RawData(b"abc"))
    assert [message["more_body"] for message in talk.mail] == [True, False]
    await talk.app_send(HELLO)
    assert talk.sent.startswith(b"HTTP/1.1 200 ")


async def test_http_2_is_an_exception(loop: str) -> None:
    talk = Talk()
    with pytest.raises(H2ProtocolAssumedError):
        await talk.protocol.handle(RawData(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
    talk = Talk()
    with pytest.raises(H2CProtocolRequiredError):
        await talk.protocol.handle(
            RawData(GET.replace(b"\r\n\r\n", b"\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"))
        )


async def test_success_makes_a_tunnel_of_a_connect_and_a_refusal_does_not(loop: str) -> None:
    """Why hypercorn is told of a refusal, whatever the wire has sent."""
    for status in (404, 200):
        talk = Talk()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(talk.protocol.handle, RawData(b"CONNECT x:1 HTTP/1.1\r\nhost: x:1\r\n\r\n"))
            await anyio.wait_all_tasks_blocked()  # it waits for the response: what follows may be no HTTP
            await talk.app_send({**HELLO, "status": status, "headers": [(b"content-length", b"0")]})
            last = {"type": "http.response.body", "body": b"", "more_body": False}
            if status == 404:
                await talk.app_send(last)
                assert talk.out[-1] == Updated(idle=True)
            else:
                with pytest.raises(h11.LocalProtocolError):
                    await talk.app_send(last)
            tasks.cancel_scope.cancel()
