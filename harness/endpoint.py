"""The options that say how a request gets through a target: the words of a command, read and written again."""

from __future__ import annotations

import argparse

from harness.preset import PLAIN, Endpoint, is_field


def add_endpoint(parser: argparse.ArgumentParser, whose: str) -> None:
    """Add --header, --path, --model and --voice."""
    parser.add_argument(
        "--header", action="append", default=[], type=_header, metavar="'NAME: VALUE'", help=f"a header field {whose}"
    )
    parser.add_argument("--path", type=_path, metavar="PATH", help=f"the path {whose}, from the root")
    parser.add_argument("--model", default=PLAIN.model, help=f"the model {whose} (default %(default)s)")
    parser.add_argument("--voice", default=PLAIN.voice, help=f"the voice {whose} (default %(default)s)")


def endpoint_of(args: argparse.Namespace) -> Endpoint:
    """What the options say; a path that they do not say is ""."""
    return Endpoint("", args.path or "", tuple(args.header), args.model, args.voice)


def options(args: argparse.Namespace) -> tuple[str, ...]:
    """The words that say it again. The values of header fields may be secrets: they are left out."""
    words = [word for name, _ in args.header for word in ("--header", f"{name}: ...")]
    for name in ("path", "model", "voice", "upstream_bind", "upstream_control"):
        value = getattr(args, name, None)
        if value and value != getattr(PLAIN, name, None):
            words += [f"--{name.replace('_', '-')}", value]
    words += ["--inline"] if getattr(args, "inline", False) else []
    return tuple(words)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not is_field(name.strip(), value.strip()):
        raise argparse.ArgumentTypeError(
            f"{text!r}: write 'NAME: VALUE' in ASCII, as in 'Authorization: Bearer sk-...'"
        )
    return name.strip(), value.strip()


def _path(text: str) -> str:
    if not text.startswith("/") or not text.isascii() or not text.isprintable() or " " in text:
        raise argparse.ArgumentTypeError(f"{text!r}: begin it with /, in ASCII, as in /v1/audio/speech")
    return text
