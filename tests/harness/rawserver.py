"""A server of bare sockets in a thread of its own: it plays one function a connection and knows no HTTP library.

def talk(peer):
    peer.request()
    peer.send(HEAD + chunk(b"audio"))
    return peer.end()              # how the client left

with serving(talk) as server:
    ...ask server.url...
    server.result()                # what `talk` returned, or raises what it raised

Every wait has a guard that only a deadlock can reach; none is a threshold.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from queue import Queue
from threading import Thread
from time import monotonic_ns
from typing import Any, Literal

import anyio

GUARD = 30.0
"""Seconds after which a test that waits for ever fails instead."""
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ntransfer-encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """One chunk of the chunked coding."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Peer:
    """The server's end of one connection, with blocking calls."""

    def __init__(self, sock: socket.socket, cues: Queue[object], news: Queue[Any]) -> None:
        self.sock = sock
        self.cues = cues
        self.news = news
        sock.settimeout(GUARD)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def request(self) -> tuple[bytes, bytes]:
        """The head and the body of one request with a Content-Length."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        size = int(lengths[0].split(b":")[1]) if lengths else 0
        while len(body) < size:
            body += self._more()
        return head, body

    def _more(self) -> bytes:
        data = self.sock.recv(65_536)
        assert data, "the client left before its request was whole"
        return data

    def send(self, data: bytes) -> int:
        """Write all; when that began (ns)."""
        began = monotonic_ns()
        self.sock.sendall(data)
        return began

    def stuff(self, data: bytes = bytes(65_536)) -> int:
        """Write until the kernel takes no more; how many bytes it took."""
        self.sock.setblocking(False)
        taken = 0
        try:
            while True:
                taken += self.sock.send(data)
        except BlockingIOError:
            return taken
        finally:
            self.sock.settimeout(GUARD)

    def cue(self) -> object:
        """Wait until the test says so."""
        return self.cues.get(timeout=GUARD)

    def tell(self, what: object = None) -> None:
        """Tell the test something."""
        self.news.put(what)

    def end(self) -> Literal["fin", "reset"]:
        """How the client left; bytes before that are read away."""
        try:
            while self.sock.recv(65_536):
                pass
        except ConnectionResetError:
            return "reset"
        return "fin"

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Talk = Callable[[Peer], Any]


class RawServer:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.cues: Queue[object] = Queue()
        self.news: Queue[Any] = Queue()
        self.outcome: Future[Any] = Future()
        host, port = sock.getsockname()[:2]
        self.url = f"http://[{host}]:{port}/v1/audio/speech" if ":" in host else f"http://{host}:{port}/v1/audio/speech"

    def cue(self) -> None:
        """Let `Peer.cue` go on."""
        self.cues.put(None)

    async def told(self) -> Any:
        """What `Peer.tell` said."""
        return await anyio.to_thread.run_sync(partial(self.news.get, timeout=GUARD), abandon_on_cancel=True)

    def result(self) -> Any:
        return self.outcome.result(GUARD)

    def visited(self) -> bool:
        """Whether a connection waits to be accepted."""
        self.sock.settimeout(0)
        try:
            self.sock.accept()[0].close()
        except BlockingIOError:
            return False
        return True

    def play(self, talk: Talk) -> None:
        try:
            sock, _ = self.sock.accept()
            with sock:
                answer = talk(Peer(sock, self.cues, self.news))
        except BaseException as error:
            self.outcome.set_exception(error)
        else:
            self.outcome.set_result(answer)


@contextmanager
def listening(host: str = "127.0.0.1") -> Iterator[RawServer]:
    """A server that nobody serves yet: connections come through, and nothing answers."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, 0))
        sock.listen(64)
        sock.settimeout(GUARD)
        yield RawServer(sock)


@contextmanager
def serving(talk: Talk, host: str = "127.0.0.1") -> Iterator[RawServer]:
    """One connection, for which `talk` is played. The block's end waits for it, and raises what it raised."""
    with listening(host) as server:
        thread = Thread(target=server.play, args=(talk,), daemon=True)
        thread.start()
        yield server
        server.result()
        thread.join(GUARD)


def answering(data: bytes, end: Literal["fin", "reset"] = "fin") -> Talk:
    """A talk: read the request, send these bytes, close."""

    def talk(peer: Peer) -> None:
        peer.request()
        peer.send(data)
        if end == "reset":
            peer.reset()

    return talk
