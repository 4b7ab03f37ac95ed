"""Readiness: a request must come through to our own upstream. The fake upstream itself stands in for a target here."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from anyio.from_thread import start_blocking_portal

from fake_upstream.upstream import FakeUpstream, fake_upstream
from harness import ready
from harness.hosting import StartError
from harness.preset import PLAIN, Endpoint
from harness.ready import wait_until_ready


@contextmanager
def upstreams(api_key: str | None = None) -> Iterator[tuple[FakeUpstream, FakeUpstream]]:
    """Ours, and one that is somebody else's."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(fake_upstream(api_key=api_key)) as ours,
        portal.wrap_async_context_manager(fake_upstream()) as other,
    ):
        yield ours, other


@contextmanager
def answering(answer: bytes, again: bytes = b"") -> Iterator[str]:
    """A server that answers every connection with these bytes, and then for ever with `again`; its root URL."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                connection, _ = server.accept()
                with connection:
                    try:
                        if not connection.recv(65_536):
                            return  # the end of the test
                        connection.sendall(answer)
                        while again:
                            connection.sendall(again)
                    except OSError:
                        pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        socket.create_connection(server.getsockname()).close()
        thread.join()


def root(upstream: FakeUpstream) -> str:
    return upstream.url.removesuffix("/v1")


def trouble(url: str, endpoint: Endpoint, ours: FakeUpstream, ready_path: str = "") -> str:
    """What is said after one look."""
    with pytest.raises(StartError) as error:
        wait_until_ready(url, endpoint, ours, 0, ready_path=ready_path)
    return str(error.value)


def test_a_request_that_comes_through_is_all_it_takes() -> None:
    with upstreams() as (ours, _):
        wait_until_ready(root(ours), PLAIN, ours, 0)
        wait_until_ready(root(ours), PLAIN, ours, 0, ready_path="/health")


def test_an_answer_from_elsewhere_is_none_of_ours() -> None:
    with upstreams() as (ours, other):
        assert trouble(root(other), PLAIN, ours) == (
            f"the target was not ready after 0 s: POST {other.url}/audio/speech is answered 200, "
            f"but not from our upstream, which is {ours.url}."
        )


def test_a_wrong_path_is_told_with_its_answer() -> None:
    with upstreams() as (ours, _):
        said = trouble(root(ours), Endpoint(path="/speak"), ours)
        assert said.startswith(f"the target was not ready after 0 s: POST {root(ours)}/speak is answered 404: ")


def test_a_ready_path_that_does_not_answer_200_is_told_and_nothing_else_is_asked() -> None:
    with upstreams() as (ours, _):
        assert trouble(root(ours), PLAIN, ours, "/nowhere") == (
            f"the target was not ready after 0 s: GET {root(ours)}/nowhere is answered 404."
        )


def test_wrong_credentials_are_told_and_right_ones_come_through() -> None:
    with upstreams(api_key="sk-bread") as (ours, _):
        said = trouble(root(ours), PLAIN, ours)
        assert said.startswith("the target answers a plain request 401: ")
        assert said.endswith("; see --header, --model")
        wait_until_ready(root(ours), Endpoint(headers=(("Authorization", "Bearer sk-bread"),)), ours, 0)


def test_nobody_there_is_told() -> None:
    with socket.socket() as reserved, upstreams() as (ours, _):
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        assert trouble(url, PLAIN, ours) == (
            f"the target was not ready after 0 s: POST {url}/v1/audio/speech: [Errno 111] Connection refused."
        )


def test_a_server_that_speaks_no_http_is_told() -> None:
    with answering(b"bread\r\n\r\n") as url, upstreams() as (ours, _):
        said = trouble(url, PLAIN, ours)
        assert said.startswith(f"the target was not ready after 0 s: POST {url}/v1/audio/speech: ")


def test_an_answer_whose_encoding_is_a_lie_is_an_answer() -> None:
    """What is wrong with it is a claim's business; here it is only not ours."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nbread"
    with answering(answer) as url, upstreams() as (ours, _):
        assert "is answered 200, but not from our upstream" in trouble(url, PLAIN, ours)


def test_an_answer_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready, "LONGEST_ANSWER", 0.5)
    with (
        answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n") as url,
        upstreams() as (ours, _),
    ):
        assert trouble(url, PLAIN, ours) == (
            f"the target was not ready after 0 s: POST {url}/v1/audio/speech: it is still being answered after 0 s."
        )


def test_an_error_without_words_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*args: object, **fields: object) -> None:
        raise httpx.ReadTimeout("")

    monkeypatch.setattr(httpx.Client, "stream", silent)
    with upstreams() as (ours, _):
        assert trouble("http://h", PLAIN, ours).endswith("POST http://h/v1/audio/speech: ReadTimeout.")


class Runner:
    """A program that dies while it is waited for."""

    def __init__(self) -> None:
        self.looks = 0

    def state(self) -> str:
        self.looks += 1
        return "dead" if self.looks == 3 else "running"

    def died(self) -> bool:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError

    def output(self) -> str:
        return "heating"

    def epitaph(self) -> str:
        return "it died"


def test_a_program_that_dies_meanwhile_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready, "PAUSE", 0)
    with socket.socket() as reserved, upstreams() as (ours, _):
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        with pytest.raises(StartError, match=r"^it died$"):
            wait_until_ready(url, PLAIN, ours, 1e6, Runner())
        with pytest.raises(StartError, match=r"Connection refused\. It printed last:\nheating$"):
            wait_until_ready(url, PLAIN, ours, 0, Runner())
