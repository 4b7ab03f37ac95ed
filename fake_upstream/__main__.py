"""`python -m fake_upstream --port 9900 --loop trio`: the fake upstream by hand. Prints what happens."""

from __future__ import annotations

import argparse
import io
import logging
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from time import monotonic_ns

import anyio

from fake_upstream.events import Event
from fake_upstream.hand_script import by_hand
from fake_upstream.upstream import LOOPBACK, fake_upstream


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m fake_upstream",
        description="An OpenAI-compatible speech service that plays scripts.",
        epilog="A script may stand in the request text: 'Hello [[chunks=10x512 every=0.2 end=reset]]'. "
        "The environment variable STREAMPROOF_CONTROL_TOKEN guards the control API.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address of the speech port (default %(default)s)")
    parser.add_argument("--port", type=_port, default=0, help="speech port; 0 lets the kernel choose (the default)")
    parser.add_argument("--control-host", default="127.0.0.1", help="address of the control port (default %(default)s)")
    parser.add_argument("--control-port", type=_port, default=0, help="control port; 0 lets the kernel choose")
    parser.add_argument("--loop", choices=("asyncio", "trio"), default="asyncio", help="event loop (default asyncio)")
    parser.add_argument("--api-key", type=_key, help="refuse requests that do not have this key (default: none needed)")
    args = parser.parse_args(argv)
    token = os.environ.get("STREAMPROOF_CONTROL_TOKEN")
    if args.control_host not in LOOPBACK and not token:
        parser.error(
            f"--control-host {args.control_host}: others could reach the control API; "
            "set STREAMPROOF_CONTROL_TOKEN, or keep to 127.0.0.1"
        )
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # requests may hold what this terminal has no letters for
    try:
        anyio.run(partial(_serve, args, token), backend=args.loop)
    except KeyboardInterrupt:  # before the signal had a receiver
        pass
    except OSError as error:
        print(
            f"fake_upstream: cannot listen on {args.host}:{args.port} (control {args.control_host}:"
            f"{args.control_port}): {error.strerror}. Choose another --port, or 0 for a free one.",
            file=sys.stderr,
        )
        return 2
    print("stopped", flush=True)
    return 130


async def _serve(args: argparse.Namespace, token: str | None) -> None:
    """Serve until SIGINT: taken as an event, because KeyboardInterrupt strikes in the middle of anything."""
    with anyio.open_signal_receiver(signal.SIGINT) as interrupts:
        async with fake_upstream(
            host=args.host,
            port=args.port,
            control_host=args.control_host,
            control_port=args.control_port,
            control_token=token,
            default=by_hand,
            api_key=args.api_key,
        ) as upstream:
            print(f"speech   {upstream.url}  (OPENAI_BASE_URL)", flush=True)
            print(f"control  {upstream.control_url}", flush=True)
            began = monotonic_ns()
            upstream.journal.listeners.append(lambda event: print(line(event, began), flush=True))
            async for _ in interrupts:
                break


def line(event: Event, began: int) -> str:
    """One event in one line: seconds since the start, connection/request, what, and its details."""
    details = [f"chunk {event.chunk}"] if event.chunk is not None else []
    if event.size is not None:
        details.append(f"{event.size} bytes" if event.what != "released" else f"{event.size} gates")
    details += [event.note] if event.note else []
    return f"{(event.at - began) / 1e9:9.3f}  {event.connection}/{event.request}  {event.what:<12} {' '.join(details)}"


def _key(text: str) -> str:
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise argparse.ArgumentTypeError("a key is ASCII text without spaces, one character at least")
    return text


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give a number from 0 to 65535")
    return port


if __name__ == "__main__":
    sys.exit(main())
