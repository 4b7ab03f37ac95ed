"""The journal: complete, in order, from any thread; and what a reset leaves behind."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from threading import Barrier, Thread

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rawclient import GUARD, RawClient, off, request, saw, served, whats

from fake_upstream.events import CLIENT_EVENTS, UPSTREAM_EVENTS, Event
from fake_upstream.frames import Frame
from fake_upstream.journal import Journal, Notes
from fake_upstream.notice import Notice, call_soon_threadsafe
from fake_upstream.pacing import burst, lockstep
from fake_upstream.player import play
from fake_upstream.runs import Run
from fake_upstream.script import Chunk, Script, Step


def test_events_are_kept_in_order_and_by_key() -> None:
    journal = Journal()
    for at, key in enumerate("abba"):
        journal.note(Event(at, "asked", key=key))
    assert [event.at for event in journal.since()] == [0, 1, 2, 3]
    assert [event.at for event in journal.since(2)] == [2, 3]
    assert journal.since(99) == ()
    assert [event.at for event in journal.of("a")] == [0, 3]
    assert journal.of("c") == ()


def test_an_event_can_be_completed_later() -> None:
    """As when a write returns: in place, and under its key too."""
    journal = Journal()
    amend = journal.note(Event(1, "emitted", key="a", chunk=0))
    journal.note(Event(2, "finished", key="a"))
    amend(until=3)
    assert journal.since()[0] == journal.of("a")[0] == Event(1, "emitted", key="a", chunk=0, until=3)
    assert journal.first("a", ["emitted"]) == journal.since()[0]


def test_first_is_the_earliest_of_its_kinds() -> None:
    journal = Journal()
    for event in (Event(5, "cut", key="a"), Event(3, "peer_fin", key="a"), Event(1, "asked", key="b")):
        journal.note(event)
    journal.note(Event(9, "peer_fin", key="a"))
    first = journal.first("a", ["cut", "peer_fin", "asked"])
    assert first is not None
    assert (first.what, first.at) == ("peer_fin", 3)
    assert journal.first("a", ["asked"]) is None
    assert journal.first("c", ["cut"]) is None


def test_forget_drops_one_key_only() -> None:
    journal = Journal()
    amend = journal.note(Event(1, "asked", key="a"))
    journal.note(Event(2, "asked", key="b"))
    journal.forget("a")
    journal.forget("never there")
    amend(until=3)
    assert journal.of("a") == ()
    assert whats(journal.since()) == ["asked"]
    assert journal.first("a", ["asked"]) is None
    journal.note(Event(4, "asked", key="a"))
    assert [event.at for event in journal.of("a")] == [4]


def test_a_late_event_of_an_earlier_generation_is_counted_and_dropped() -> None:
    journal = Journal()
    notes = Notes(journal)
    notes.begin("a")
    amend = notes.note("asked")
    assert journal.reset() == journal.generation == 1
    assert journal.since() == journal.of("a") == ()
    notes.note("emitted")(until=5)
    amend(until=5)
    assert (journal.since(), journal.late) == ((), 1)
    notes.begin("b")  # a new request on the old connection belongs to the new generation
    notes.note("asked")
    assert [(event.what, event.key, event.connection) for event in journal.since()] == [("asked", "b", 1)]
    journal.reset()
    assert journal.late == 0


def test_notes_number_connections_and_requests() -> None:
    journal = Journal()
    first, second = Notes(journal), Notes(journal)
    first.note("accepted")
    second.begin("b")
    second.note("asked")
    first.begin("a")
    first.note("asked")
    assert [(e.connection, e.request, e.key) for e in journal.since()] == [(1, 0, ""), (2, 1, "b"), (1, 2, "a")]


def test_notes_keep_a_time_that_is_given() -> None:
    journal = Journal()
    Notes(journal).note("closed", at=42, note="fin")
    assert journal.since()[0] == Event(42, "closed", connection=1, note="fin")


def test_many_threads_note_at_once() -> None:
    """Nothing is lost, each thread's events stay in their order, and no two connections share a number."""
    journal, threads, each = Journal(), 8, 400
    barrier = Barrier(threads)

    def note(name: str) -> None:
        barrier.wait()
        notes = Notes(journal)
        notes.begin(name)
        for index in range(each):
            notes.note("emitted", chunk=index)(until=index)

    running = [Thread(target=note, args=(f"thread {n}",)) for n in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert len(journal.since()) == threads * each
    for n in range(threads):
        events = journal.of(f"thread {n}")
        assert [(event.chunk, event.until) for event in events] == [(index, index) for index in range(each)]
    assert {event.connection for event in journal.since()} == set(range(1, threads + 1))
    assert {event.request for event in journal.since()} == set(range(1, threads + 1))


def test_a_reset_beside_writers_mixes_no_generations() -> None:
    """Whatever is kept after the last reset was noted after it; every other note was counted or wiped."""
    journal, each = Journal(), 2_000
    generations: list[int] = []

    def note() -> None:
        notes = Notes(journal)
        for _ in range(each):
            notes.begin("a")
            notes.note("asked", note=str(notes.generation))

    writers = [Thread(target=note) for _ in range(3)]
    for thread in writers:
        thread.start()
    while any(thread.is_alive() for thread in writers):
        generations.append(journal.reset())
    for thread in writers:
        thread.join()
    assert generations == list(range(1, len(generations) + 1))
    assert {event.note for event in journal.since()} <= {str(generations[-1])}


def test_a_listener_hears_each_event_and_may_fail(caplog: pytest.LogCaptureFixture) -> None:
    """Its failure is logged; the note is kept, and the other listeners hear it."""
    journal, heard = Journal(), []

    def fails(event: Event) -> None:
        raise BrokenPipeError(event.what)

    journal.listeners += [fails, heard.append]
    with caplog.at_level(logging.WARNING, logger="fake_upstream"):
        journal.note(Event(1, "asked"))
    assert [event.what for event in heard] == ["asked"]
    assert whats(journal.since()) == ["asked"]
    assert "BrokenPipeError" in caplog.text


names = st.text(max_size=20)
numbers = st.none() | st.integers(0, 2**63)
events = st.builds(
    Event,
    at=st.integers(0, 2**63),
    what=st.sampled_from(UPSTREAM_EVENTS + CLIENT_EVENTS),
    connection=st.integers(0, 10**6),
    request=st.integers(0, 10**6),
    key=names,
    chunk=numbers,
    size=numbers,
    until=numbers,
    planned=numbers,
    note=names,
    headers=st.lists(st.tuples(names, names), max_size=3).map(tuple),
    body=names,
)


@given(events)
def test_events_survive_json(event: Event) -> None:
    assert Event.from_json(json.loads(json.dumps(event.to_json()))) == event


def test_json_says_only_what_is_set() -> None:
    assert Event(1, "asked").to_json() == {"at": 1, "what": "asked"}
    assert Event(0, "emitted", chunk=0, size=0).to_json() == {"at": 0, "what": "emitted", "chunk": 0, "size": 0}


async def test_saw_answers_for_the_past_and_for_the_future(loop: str) -> None:
    journal = Journal()
    with anyio.fail_after(GUARD):
        journal.note(Event(1, "asked", key="a"))
        assert (await journal.saw("a", "asked", "cut")).at == 1

        async def wait(kind: str, seen: list[Event]) -> None:
            seen.append(await journal.saw("a", kind))

        seen: list[Event] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait, "cut", seen)
            tasks.start_soon(wait, "closed", seen)
            await anyio.wait_all_tasks_blocked()
            journal.note(Event(2, "cut", key="b"))
            journal.note(Event(3, "emitted", key="a"))
            await anyio.wait_all_tasks_blocked()
            assert seen == []
            await off(journal.note, Event(4, "cut", key="a"))
            await off(journal.note, Event(5, "closed", key="a"))
        assert sorted(event.at for event in seen) == [4, 5]


async def test_saw_answers_with_what_it_saw_when_a_reset_follows_at_once(loop: str) -> None:
    """Another thread may take the event back in between; it was seen, so it is the answer."""

    class Hasty(Journal):
        async def until(self, condition: Callable[[], bool]) -> None:
            await super().until(condition)
            self.reset()

    journal = Hasty()
    journal.note(Event(1, "cut", key="a"))
    assert (await journal.saw("a", "cut")).at == 1
    assert journal.since() == ()


async def test_a_wait_can_be_given_up(loop: str) -> None:
    """And leaves nothing behind on the notice board."""
    notice = Notice()
    with anyio.move_on_after(0):
        await notice.until(lambda: False)
    assert notice._waiting == []


async def test_a_change_between_the_question_and_the_entry_is_not_missed(loop: str) -> None:
    """Another thread may change things, and notify, before the waiter is on the board."""
    answers = iter([False, True])
    with anyio.fail_after(GUARD):
        await Notice().until(lambda: next(answers))


def test_a_notice_to_a_loop_that_has_ended_is_no_error() -> None:
    """A task may be torn away in the middle of its wait, and its loop with it."""
    for backend in ("asyncio", "trio"):
        notice = Notice()

        async def wait(notice: Notice = notice) -> None:
            notice._waiting.append((call_soon_threadsafe(), anyio.Event()))

        anyio.run(wait, backend=backend)
        notice.notify()
        assert notice._waiting == []


async def test_a_conversation_in_the_journal(loop: str) -> None:
    """Every station, in order, with its details; times never run backwards."""
    async with served() as up:
        run = up.runs.arm("hello", Script((Chunk(size=3), Chunk(size=5, gate=True)), framing="content-length"))
        with RawClient(up.url) as client:
            client.send(request(headers=("x-trace: 42",)))
            await off(client.head)
            await off(client.read, 3)
            await off(run.release)
            await off(client.read, 5)
            await up.journal.saw("hello", "recycled")
            client.half_close()
            await off(client.rest)
        events = up.journal.of("hello")
        names = ["asked", "head_sent", "emitted", "released", "emitted", "finished", "recycled"]
        assert [event.what for event in events] == names
        asked, head, first, released, second, finished, recycled = events
        assert asked.note == "POST /v1/audio/speech"
        assert ("x-trace", "42") in asked.headers
        assert '"input": "hello"' in asked.body
        assert [(e.chunk, e.size) for e in (first, second)] == [(0, 3), (1, 5)]
        assert (released.size, released.connection, finished.note) == (1, 0, "keep")
        for event in (head, first, second, finished):
            assert event.planned is not None
            assert event.until is not None
            assert event.planned <= event.at <= event.until
            assert (event.connection, event.request) == (1, 1)
        assert (recycled.connection, recycled.request) == (1, 1)
        assert [event.at for event in events] == sorted(event.at for event in events)
        assert second.at >= released.at
        others = [event for event in up.journal.since() if event.key == ""]
        assert whats(tuple(others)) == ["accepted", "peer_fin", "closed"]
        assert {event.connection for event in others} == {1}


async def test_requests_on_an_old_connection_are_kept_after_a_reset(loop: str) -> None:
    """What that connection does between the reset and the request is counted as late."""
    async with served() as up:
        script = Script(burst(1, 4), framing="content-length")
        up.runs.arm("hello", script)
        with RawClient(up.url) as old, RawClient(up.url) as idle:
            for client in (old, idle):
                client.send(request())
                await off(client.answer)
            await up.journal.until(lambda: [e.what for e in up.journal.of("hello")].count("recycled") == 2)
            assert len(up.journal.of("hello")) == 10
            up.journal.reset()
            old.send(request())
            await off(old.answer)
            await up.journal.saw("hello", "recycled")
            idle.close()
            await up.journal.until(lambda: up.journal.late == 2)  # its FIN and our close
            assert whats(up.journal.since()) == ["asked", "head_sent", "emitted", "finished"]
            old.close()
            await saw(up.journal, "closed", connection=1)


async def test_emitted_is_noted_before_the_write(loop: str) -> None:
    """The client may hold the bytes before the write returns: its "received" must not come before our "emitted"."""
    journal = Journal()
    noted: list[list[str]] = []

    class Wire:
        """Stands in for the connection: looks into the journal at the instant of each write."""

        closed, peer = False, None

        def __init__(self) -> None:
            self.notes = Notes(journal)
            self.left = anyio.Event()

        def reset(self) -> None:
            pass

        async def write(self, data: bytes) -> None:
            noted.append([f"{event.what} {data.decode()} {event.until}" for event in journal.since()[-1:]])

    frames = [
        Frame("head", Step(), b"h"),
        *[Frame("chunk", Step(), b"%d" % n, chunk=n, size=1) for n in range(2)],
        Frame("end", Step(), b"e"),
    ]
    wire: object = Wire()
    with anyio.fail_after(GUARD):
        assert await play(wire, frames, Run("a", Script(), journal))  # type: ignore[arg-type]
    assert noted == [["head_sent h None"], ["emitted 0 None"], ["emitted 1 None"], ["finished e None"]]
    assert all(event.until is not None and event.until >= event.at for event in journal.since())


async def test_whoever_holds_a_chunk_finds_it_in_the_journal(loop: str) -> None:
    async with served() as up:
        run = up.runs.arm("hello", Script(lockstep(100, 8)))

        def hold_and_look(client: RawClient) -> list[int | None]:
            client.read(len(b"8\r\n" + bytes(8) + b"\r\n"))
            return [event.chunk for event in up.journal.of("hello") if event.what == "emitted"]

        with RawClient(up.url) as client:
            client.send(request())
            await off(client.head)
            for n in range(100):
                if n:
                    run.release()
                assert await off(hold_and_look, client) == list(range(n + 1))
