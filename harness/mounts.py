"""Targets that stand: each with an upstream of its own, in a process that we host, start, or only know the URL of.

A target stands when it is first needed, and is used again until it dies, is spoilt, or the run is over.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from anyio import to_thread
from anyio.from_thread import BlockingPortal

from fake_upstream.pacing import burst
from fake_upstream.script import Script
from fake_upstream.upstream import FakeUpstream, fake_upstream
from harness.far_upstream import FarUpstream
from harness.health import Health
from harness.hosting import Host, MissingError, Runner, StartError
from harness.install import Progress, install
from harness.loops import Loop, Pairing
from harness.portals import Portals
from harness.program import Program
from harness.ready import wait_until_ready
from harness.servers import LOOPS_OF_SERVER
from harness.target import Target
from harness.turns import Turns

URL_PATIENCE = 5.0
"""Seconds that a target which somebody else has started may take to answer."""
CANARY = "A canary of streamproof, to see whether requests pass."
CANARY_SCRIPT = Script(burst(1, 100), content_type="audio/mpeg")


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Where a target that somebody else has started finds its upstream: at an address on which ours listens, or at
    one that runs already and is commanded over its control URL."""

    bind: tuple[str, int] = ("127.0.0.1", 0)
    control_url: str = ""
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Mounted:
    """A target that stands, with the upstream it was pointed at and the loop that this one runs on."""

    runner: Runner | None
    """None for a target that somebody else has started."""
    url: str
    """Its root; paths are the endpoints'."""
    upstream: FakeUpstream | FarUpstream
    portal: BlockingPortal
    turns: Turns
    close: Callable[[], None]
    health: dict[str, Health] = field(default_factory=dict)
    """By target: those routes through which a request has come to this upstream, and apps that were asked."""

    @asynccontextmanager
    async def refusing(self) -> AsyncGenerator[None]:
        """The upstream refuses connections. On the client's loop; the upstream's is asked from a thread."""
        await to_thread.run_sync(self.portal.call, self.upstream.refuse)
        try:
            yield
        finally:
            self.upstream.accept()


class Mounts:
    """All that stands. May be asked from any thread; `close` leaves nothing behind."""

    def __init__(
        self, portals: Portals, server: str, elsewhere: Elsewhere, progress: Progress, host: type[Host]
    ) -> None:
        self.server = server
        self._new_host = host
        self._portals = portals
        self._elsewhere = elsewhere
        self._shared: FakeUpstream | FarUpstream | None = None
        """The upstream that all proxies which somebody else has started share."""
        self._progress = progress
        self._lock = Lock()
        self._stack = ExitStack()
        self._hosts: dict[Loop, Host] = {}
        self._apart: list[Host] = []
        """Hosts of one app each."""
        self._no_stream: dict[str, str] = {}
        """Apps that offer no stream of their own, and how that was said."""
        self._closed = False
        self._programs: list[Program] = []
        self._mounted: dict[tuple[str, Loop, Loop | None], Mounted] = {}
        self._failed: dict[tuple[str, Loop | None], str] = {}

    def mount(self, target: Target, loops: Pairing, name: str = "", *, apart: bool = False) -> Mounted:
        """The target, standing. Another `name` is another one; an app that stands `apart` has a process of its own.

        Raises StartError, again and again for the same.
        """
        if apart:
            return self._stand_apart(target, loops)
        key = (target.stands_as + name, loops.upstream, loops.target)
        with self._lock:
            if self._closed:
                raise StartError("the run is over")
            for failed in (target.stands_as, target.name):
                if reason := self._failed.get((failed, loops.target)):
                    raise StartError(reason)
            failed = target.stands_as
            try:
                if key not in self._mounted:
                    self._mounted[key] = self._stand(target, loops, self._host)
                mounted = self._mounted[key]
                failed = target.name
                if not target.app and target.name not in mounted.health:
                    self._prove(target, mounted)
            except StartError as error:
                self._failed[failed, loops.target] = str(error)
                raise
            return mounted

    def inspect(self, target: Target, loops: Pairing) -> dict[str, Any]:
        """Have an app's own stream put to the deferred-stream contract, in a process of its own: {"courses": […]}.

        Raises MissingError where the target offers none, StartError where it cannot be put to the contract.
        """
        if not target.app or loops.target is None:
            raise MissingError("this is about a stream that an app's module offers, and the target is a program")
        if missing := self._no_stream.get(target.app):
            raise MissingError(missing)
        host = self._host_apart(loops.target, Host)  # not inline: there all apps' contexts go into one ledger
        try:
            return host.command(do="inspect", app=target.app, upstream_loop=loops.upstream)
        except MissingError as error:
            self._no_stream[target.app] = str(error)
            raise
        finally:
            self._end_apart(host)

    def unmount(self, mounted: Mounted) -> None:
        """Take it down; nobody else may be using it."""
        self.forget(mounted)
        if isinstance(mounted.runner, Host) and not self._end_apart(mounted.runner):
            with suppress(StartError):
                mounted.runner.command(do="unmount", url=mounted.url)
        mounted.close()

    def forget(self, mounted: Mounted) -> None:
        """Have the next one who needs it get a new one. A program of ours is ended; an app may still be in use."""
        if mounted.runner is None:
            return  # there is only this one
        with self._lock:
            if isinstance(mounted.runner, Program):
                self._bury(mounted.runner)
            for key in [key for key, other in self._mounted.items() if other is mounted]:
                del self._mounted[key]

    def bury(self, runner: Runner) -> None:
        """What stood on it is gone; the next one who needs it starts a new one."""
        if not self._end_apart(runner):
            with self._lock:
                self._bury(runner)

    def loops_of(self, target: Target) -> tuple[Loop, ...]:
        """The loops that an app can run on. Raises MissingError or StartError."""
        with self._lock:
            answer = self._host(next(iter(self._hosts), "asyncio")).command(do="describe", app=target.app)
        return tuple(loop for loop in LOOPS_OF_SERVER[self.server] if loop in answer["loops"])

    def host_of(self, loop: Loop) -> Host | None:
        """The child process on a loop, if it was started."""
        return self._hosts.get(loop)

    def interrupt(self) -> None:
        """Start nothing new, and end what runs, also where somebody waits for it to get ready and holds the lock."""
        self._closed = True
        runners: list[Runner] = [*self._hosts.values(), *self._apart, *self._programs]
        for runner in runners:
            runner.stop()

    def close(self) -> None:
        with self._lock:
            self.interrupt()
            self._hosts.clear()
            self._apart.clear()
            self._programs.clear()
            self._mounted.clear()
            self._stack.close()

    def _stand(self, target: Target, loops: Pairing, host: Callable[[Loop], Host]) -> Mounted:
        """Have an upstream, and the target in front of it. Raises StartError; then nothing is left.

        `host` gives the process for an app.
        """
        portal = self._portals.of("upstream", loops.upstream)
        opened = ExitStack()
        try:
            upstream: FakeUpstream | FarUpstream = opened.enter_context(self._upstream(portal, target))
            upstream.runs.arm(CANARY, CANARY_SCRIPT)
            runner, url = self._start(target, loops, upstream, host)
        except BaseException:
            opened.close()
            raise
        self._stack.callback(opened.close)
        return Mounted(runner, url, upstream, portal, Turns(), opened.close)

    def _stand_apart(self, target: Target, loops: Pairing) -> Mounted:
        """Nobody else's, so nobody else waits for it."""
        assert loops.target is not None
        host = self._host_apart(loops.target, self._new_host)
        try:
            return self._stand(target, loops, lambda _: host)
        except BaseException:
            self._end_apart(host)
            raise

    def _upstream(self, portal: BlockingPortal, target: Target) -> AbstractContextManager[FakeUpstream | FarUpstream]:
        if not target.url:
            return portal.wrap_async_context_manager(fake_upstream())
        if self._shared is None:
            self._shared = self._stack.enter_context(self._upstream_elsewhere(portal))
        return nullcontext(self._shared)

    def _upstream_elsewhere(self, portal: BlockingPortal) -> AbstractContextManager[FakeUpstream | FarUpstream]:
        if self._elsewhere.control_url:
            return FarUpstream(self._elsewhere.control_url, self._elsewhere.token)
        host, port = self._elsewhere.bind
        return _named_port(portal.wrap_async_context_manager(fake_upstream(host=host, port=port)), host, port)

    def _start(
        self, target: Target, loops: Pairing, upstream: FakeUpstream | FarUpstream, host: Callable[[Loop], Host]
    ) -> tuple[Runner | None, str]:
        if target.url:
            return None, target.url
        if target.preset:
            self._progress(f"starting {target.stands_as}")
            program = Program(target.preset, upstream.url, install(target.preset, self._progress))
            self._programs.append(program)
            return program, program.url
        assert loops.target is not None
        process = host(loops.target)
        return process, process.command(do="mount", app=target.app, upstream=upstream.url)["url"]

    def _prove(self, target: Target, mounted: Mounted) -> None:
        """Raises StartError unless a request comes through; a program that cannot be used is ended."""
        preset = target.preset
        self._progress(f"waiting until {target.name} is ready")
        try:
            whole = wait_until_ready(
                mounted.url,
                target.endpoint,
                mounted.upstream,
                preset.ready_seconds if preset else URL_PATIENCE,
                mounted.runner,
                preset.ready_path if preset else "",
            )
        except StartError:
            if isinstance(mounted.runner, Program) and not mounted.health:
                self._bury(mounted.runner)
            raise
        mounted.health[target.name] = Health(whole)

    def _host(self, loop: Loop) -> Host:
        if loop in self._hosts and self._hosts[loop].state() == "dead":
            self._bury(self._hosts[loop])
        if loop not in self._hosts:
            self._hosts[loop] = self._new_host(loop, self.server)
        return self._hosts[loop]

    def _host_apart(self, loop: Loop, new_host: type[Host]) -> Host:
        with self._lock:
            if self._closed:
                raise StartError("the run is over")
            host = new_host(loop, self.server)
            self._apart.append(host)
        return host

    def _end_apart(self, runner: Runner) -> bool:
        """End a host of one app, if it is one. Without the lock: a process takes its time to go."""
        with self._lock:
            if not isinstance(runner, Host) or runner not in self._apart:
                return False
            self._apart.remove(runner)
        runner.stop()
        return True

    def _bury(self, runner: Runner) -> None:
        if isinstance(runner, Host) and self._hosts.get(runner.loop) is runner:
            del self._hosts[runner.loop]
            runner.stop()
        elif isinstance(runner, Program) and runner in self._programs:
            self._programs.remove(runner)
            runner.stop()
        for key in [key for key, mounted in self._mounted.items() if mounted.runner is runner]:
            del self._mounted[key]


@contextmanager
def _named_port(upstream: AbstractContextManager[FakeUpstream], host: str, port: int) -> Generator[FakeUpstream]:
    """Raises StartError that names the port, if it cannot be had."""
    with ExitStack() as stack:
        try:
            started = stack.enter_context(upstream)
        except OSError as error:
            reason = f"our upstream cannot listen on {host}:{port}: {error.strerror}; see --upstream-bind"
            raise StartError(reason) from None
        yield started
