"""Informational responses and trailers as a plain blocking socket sees them: exact bytes, only where they belong."""

from __future__ import annotations

import pytest
from rawclient import SERVICE, RawClient, converse, off, request, saw, served, whats

from fake_upstream.expect import wants_leave
from fake_upstream.faults import empty_response, malformed_response_chunk
from fake_upstream.pacing import burst
from fake_upstream.script import Chunk, Early, Ending, Expect, Script, ScriptError, Step

TEXT = Script(burst(2, 3), payload="text", text="abcdef", content_type="text/plain")
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n" + SERVICE
WHOLE = HEAD + b"content-length: 6\r\n\r\nabcdef"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\nlink: </b>\r\n\r\n"
EARLY = Early(headers=(("link", "</a>"), ("link", "</b>")))


def _asking(text: str = "hello", **options: str) -> tuple[bytes, bytes]:
    """Head and body of a request that asks for leave to send its body."""
    head, _, body = request(text, headers=("expect: 100-continue",), **options).partition(b"\r\n\r\n")  # type: ignore[arg-type]
    return head + b"\r\n\r\n", body


async def test_continue_is_sent_before_the_body_and_noted(loop: str) -> None:
    async with served() as up:
        up.runs.arm("hello", TEXT.but(framing="content-length"))
        with RawClient(up.url) as client:
            head, body = _asking()
            client.send(head)
            assert await off(client.read, len(CONTINUE)) == CONTINUE
            assert client.has_nothing()
            assert up.journal.of("hello") == ()
            client.send(body)
            assert await off(client.read, len(WHOLE)) == WHOLE
        (interim,) = [event for event in up.journal.since() if event.what == "interim_sent"]
        assert (interim.note, interim.key, interim.until is not None) == ("100", "", True)


async def test_nobody_who_does_not_ask_gets_a_continue(loop: str) -> None:
    async with served() as up:
        up.runs.arm("hello", TEXT.but(framing="content-length"))
        for text in (request(), request(headers=("expect: something",))):
            with RawClient(up.url) as client:
                client.send(text)
                assert (await off(client.head)).startswith(b"HTTP/1.1 200 OK\r\n")
        head, body = _asking(version="1.0")
        with RawClient(up.url) as client:
            client.send(head + body)
            assert (await off(client.head)).startswith(b"HTTP/1.1 200 OK\r\n")
        assert "interim_sent" not in whats(up.journal.since())


async def test_ignore_waits_for_the_body_and_says_nothing(loop: str) -> None:
    """What a client gets that asks for leave in vain and then sends its body all the same."""
    async with served() as up:
        up.runs.arm("hello", TEXT.but(framing="content-length", expect="ignore"))
        with RawClient(up.url) as client:
            head, body = _asking()
            client.send(head + body[:1])
            client.send(body[1:])
            assert await off(client.read, len(WHOLE)) == WHOLE
        assert "interim_sent" not in whats(up.journal.since())


@pytest.mark.parametrize("framing", ["content-length", "chunked"])
async def test_final_answers_at_once_and_closes(loop: str, framing: str) -> None:
    """The body never comes; the response says that the connection closes, and it does."""
    async with served() as up:
        up.runs.arm("hello", TEXT.but(framing=framing, expect="final", status=409))
        data, how = await off(converse, up.url, _asking()[0])
        lines = {"content-length": b"content-length: 6", "chunked": b"transfer-encoding: chunked"}
        body = {"content-length": b"abcdef", "chunked": b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"}
        assert how == "fin"
        assert data == (
            b"HTTP/1.1 409 Conflict\r\ncontent-type: text/plain\r\n" + SERVICE + b""
            b"connection: close\r\n" + lines[framing] + b"\r\n\r\n" + body[framing]
        )
        run = up.runs.get("hello")
        assert run
        assert run.attempts == 1
        asked, *_ = up.journal.of("hello")
        assert (asked.what, asked.body) == ("asked", "")


async def test_final_with_an_ending_of_its_own(loop: str) -> None:
    async with served() as up:
        up.runs.arm("hello", TEXT.but(expect="final", ending=Ending(kind="reset", gate=True)))
        with RawClient(up.url) as client:
            client.send(_asking()[0])
            assert b"connection: close" in await off(client.head)
            assert await off(client.read, 16) == b"3\r\nabc\r\n3\r\ndef\r\n"
            run = up.runs.get("hello")
            assert run
            run.release()
            assert await off(client.rest) == (b"", "reset")


async def test_the_last_one_armed_decides_and_disarmed_decides_no_more(loop: str) -> None:
    async with served() as up:
        for text, expect in (("one", "final"), ("two", "ignore"), ("three", "continue")):
            up.runs.arm(text, TEXT.but(framing="content-length", expect=expect))
        decided: list[str | None] = []
        for disarm in ("two", "one", "three"):
            run = up.runs.expecting()
            decided.append(run and run.key)
            up.runs.disarm(disarm)
        assert decided == ["two", "one", None]
        up.runs.arm("one", TEXT.but(expect="final"))
        up.runs.arm("two", TEXT.but(expect="ignore"))
        up.runs.arm("one", TEXT.but(expect="final"))
        run = up.runs.expecting()
        assert run
        assert run.key == "one"


async def test_the_control_port_gives_leave(loop: str) -> None:
    """Whatever the scripts say: its clients ask too, for large scripts."""
    async with served() as up:
        up.runs.arm("hello", TEXT.but(expect="final"))
        with RawClient(up.control_url) as client:
            client.send(_asking(path="/release")[0])
            assert (await off(client.head)).startswith(b"HTTP/1.1 100 ")


async def test_leave_is_given_to_one_who_is_gone(loop: str) -> None:
    """Not an error: the connection ends, and the next one works."""
    async with served() as up:
        with RawClient(up.url) as client:
            client.send(_asking()[0])
            client.reset()
        await saw(up.journal, "closed", connection=1)
        assert "crashed" not in whats(up.journal.since())
        up.runs.arm("hello", TEXT)
        assert (await off(converse, up.url, request(headers=("connection: close",))))[0].endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    ("value", "version", "wants"),
    [
        ("100-continue", "1.1", True),
        ("100-Continue", "1.1", True),
        ("x, 100-continue ", "1.1", True),
        ("100-continue", "1.0", False),
        ("100", "1.1", False),
        ("", "1.1", False),
    ],
)
def test_who_wants_leave(value: str, version: str, wants: bool) -> None:
    assert wants_leave((("Expect", value),), version) is wants
    assert not wants_leave((("x-expect", value),), version)


async def test_early_hints_come_before_the_head_each_at_its_gate(loop: str) -> None:
    script = TEXT.but(early=(EARLY, Early(gate=True, status=102)), head=Step(gate=True), framing="content-length")
    async with served() as up:
        run = up.runs.arm("hello", script)
        assert script.gates == 2
        with RawClient(up.url) as client:
            client.send(request())
            assert await off(client.recv) == HINTS
            assert client.has_nothing()
            run.release()
            assert await off(client.recv) == b"HTTP/1.1 102 Processing\r\n\r\n"
            assert client.has_nothing()
            run.release()
            assert await off(client.read, len(WHOLE)) == WHOLE
        events = [event for event in up.journal.of("hello") if event.what in ("asked", "interim_sent", "head_sent")]
        assert [(event.what, event.note) for event in events[1:]] == [
            ("interim_sent", "103"),
            ("interim_sent", "102"),
            ("head_sent", ""),
        ]


async def test_http_1_0_gets_no_early_hints_and_its_gates_stay_in_step(loop: str) -> None:
    script = TEXT.but(early=(Early(gate=True),), head=Step(gate=True), framing="content-length")
    async with served() as up:
        run = up.runs.arm("hello", script)
        with RawClient(up.url) as client:
            client.send(request(version="1.0"))
            await up.journal.saw("hello", "asked")
            run.release()
            assert client.has_nothing()
            run.release()
            assert await off(client.rest) == (WHOLE, "fin")
        assert "interim_sent" not in whats(up.journal.of("hello"))


async def test_early_hints_and_then_the_end(loop: str) -> None:
    """A silent script has no head, and may have hints; an empty response has not even those."""
    async with served() as up:
        up.runs.arm("hello", Script(silent=True, early=(EARLY,), ending=Ending(kind="fin")))
        up.runs.arm("empty", empty_response(TEXT.but(early=(EARLY,))))
        assert await off(converse, up.url, request()) == (HINTS, "fin")
        assert await off(converse, up.url, request("empty")) == (b"", "fin")


async def test_trailers_follow_the_last_chunk(loop: str) -> None:
    """Announced in the head, in their order, and the connection goes on behind them."""
    script = TEXT.but(trailers=(("x-sum", "5"), ("X-End", "caf\u00e9"), ("x-sum", "6")))
    async with served() as up:
        up.runs.arm("hello", script)
        with RawClient(up.url) as client:
            for number in (1, 2):
                client.send(request())
                head = HEAD.replace(b"0001\r\n", b"000%d\r\n" % number) + b"trailer: x-sum, X-End\r\n"
                body = CHUNKED.removeprefix(HEAD) + b"0\r\nx-sum: 5\r\nX-End: caf\xe9\r\nx-sum: 6\r\n\r\n"
                assert await off(client.read, len(head + body)) == head + body
            assert client.has_nothing()


async def test_trailers_that_the_script_announces_itself(loop: str) -> None:
    async with served() as up:
        up.runs.arm("hello", TEXT.but(trailers=(("x-sum", "5"),), headers=(("Trailer", "x-other"),)))
        with RawClient(up.url) as client:
            client.send(request())
            head = await off(client.head)
            assert b"Trailer: x-other\r\n" in head
            assert b"x-sum" not in head


@pytest.mark.parametrize("how", ["cut", "HEAD", "1.0"])
async def test_no_trailers_without_the_end_of_the_chunked_coding(loop: str, how: str) -> None:
    script = TEXT.but(trailers=(("x-sum", "5"),), ending=Ending(kind="fin" if how == "cut" else "finish"))
    async with served() as up:
        up.runs.arm("hello", script)
        options = {"HEAD": {"method": "HEAD"}, "1.0": {"version": "1.0"}}.get(how, {})
        data, end = await off(converse, up.url, request(headers=("connection: close",), **options))  # type: ignore[arg-type]
        assert (b"x-sum: 5" in data, end) == (False, "fin")
        assert (b"trailer: x-sum" in data) is (how != "1.0")


async def test_head_gets_no_malformed_chunk_either(loop: str) -> None:
    async with served() as up:
        up.runs.arm("hello", malformed_response_chunk(TEXT))
        data, how = await off(converse, up.url, request(method="HEAD"))
        assert (data, how) == (HEAD + b"transfer-encoding: chunked\r\n\r\n", "fin")


async def test_head_without_a_body_is_refused_without_a_body(loop: str) -> None:
    async with served() as up:
        plain = request(method="HEAD", body=b"", headers=("connection: close",))
        data, how = await off(converse, up.url, plain)
        head, _, body = data.partition(b"\r\n\r\n")
        assert (head[:12], body, how) == (b"HTTP/1.1 405", b"", "fin")


@pytest.mark.parametrize(
    ("fields", "name", "remedy"),
    [
        ({"early": (Early(status=101),)}, "early[0].status", "101 would end HTTP"),
        ({"early": (Early(), Early(status=200))}, "early[1].status", "100 or 102 to 199"),
        ({"early": (Early(status=99),)}, "early[0].status", "100 or more"),
        ({"early": (Early(after=-1),)}, "early[0].after", "seconds"),
        ({"early": (Early(headers=(("a b", "c"),)),)}, "early[0].headers", "no space or colon"),
        ({"early": (Early(),), "framing": "http10"}, "early", "HTTP/1.0 has no informational responses"),
        ({"trailers": (("a", "b\n"),)}, "trailers", "no line break"),
        ({"trailers": (("a", "b"),), "framing": "content-length"}, "trailers", 'only the framing "chunked"'),
        ({"trailers": (("a", "b"),), "framing": "close-delimited"}, "trailers", 'only the framing "chunked"'),
        ({"ranges": 1}, "ranges", "true or false"),
        ({"expect": "wait"}, "expect", "choose one of continue, ignore, final"),
    ],
)
def test_refusals(fields: dict[str, object], name: str, remedy: str) -> None:
    with pytest.raises(ScriptError) as caught:
        Script(**fields)  # type: ignore[arg-type]
    assert caught.value.field_name == name
    assert remedy in str(caught.value)


def test_a_script_says_what_it_expects() -> None:
    expectations: tuple[Expect, ...] = ("continue", "ignore", "final")
    assert [Script((Chunk(size=1),), expect=each).expect for each in expectations] == [*expectations]
