"""What holds for every request to the service: paths, methods, the key, and the headers of each answer. Pure.

Sources: OpenAI API reference, "Authentication" and "Debugging requests"; its guide "Rate limits", "Rate limits in
headers"; RFC 9110, sections 11.6.1 and 15.5.6.
"""

from __future__ import annotations

from hmac import compare_digest

from fake_upstream import models
from fake_upstream.script import Script
from fake_upstream.speech import Refusal, json_script

SPEECH_PATH = "/v1/audio/speech"
MODELS_PATH = "/v1/models"
HEALTH_PATH = "/health"
READ = ("GET", "HEAD")
VERSION = "2020-10-01"
LIMIT = 10_000
"""Requests a minute that the headers allow; nobody counts them. One is given back every 6 ms."""
KEYS_AT = "You can find your API key at https://platform.openai.com/account/api-keys."


def methods_of(path: str) -> tuple[str, ...]:
    """The methods that a path has; none if there is no such path."""
    if path == SPEECH_PATH:
        return ("POST",)
    if path in (MODELS_PATH, HEALTH_PATH) or (path.startswith(f"{MODELS_PATH}/") and path != f"{MODELS_PATH}/"):
        return READ
    return ()


def check_key(path: str, authorization: str, api_key: str | None) -> None:
    """Raises Refusal (401) unless the request has the key that is asked for. Health is for everybody."""
    if api_key is None or path == HEALTH_PATH:
        return
    scheme, _, given = authorization.partition(" ")
    given = given.strip()
    challenge = (("www-authenticate", "Bearer"),)
    if scheme.lower() != "bearer" or not given:
        message = (
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer "
            f"auth (i.e. Authorization: Bearer YOUR_KEY). {KEYS_AT}"
        )
        raise Refusal(401, message, headers=challenge)
    if not compare_digest(given.encode(), api_key.encode()):
        message = f"Incorrect API key provided: {_masked(given)}. {KEYS_AT}"
        raise Refusal(401, message, code="invalid_api_key", headers=challenge)


def answer(method: str, path: str) -> Script | None:
    """What a path answers; None for speech, where the body decides. Raises Refusal (404, 405)."""
    allowed = methods_of(path)
    if not allowed:
        raise Refusal(404, f"Invalid URL ({method} {path})")
    if method not in allowed:
        message = f"Not allowed to {method} on {path}. (HINT: Perhaps you meant to use {allowed[0]}?)"
        raise Refusal(405, message, code="method_not_supported", headers=(("allow", ", ".join(allowed)),))
    if path == SPEECH_PATH:
        return None
    if path == HEALTH_PATH:
        return json_script(200, {"status": "ok"})
    name = path.removeprefix(MODELS_PATH).removeprefix("/")
    return json_script(200, models.model(name) if name else models.listed())


def headers_of(request: int, seconds: float) -> tuple[tuple[str, str], ...]:
    """The headers of the answer to request number `request`, for which a script takes `seconds`.

    By the script, not by the clock: an answer is the same each time.
    """
    return (
        ("x-request-id", f"req_{request:08x}"),
        ("openai-processing-ms", str(round(seconds * 1000))),
        ("openai-version", VERSION),
        ("x-ratelimit-limit-requests", str(LIMIT)),
        ("x-ratelimit-remaining-requests", str(LIMIT - 1)),
        ("x-ratelimit-reset-requests", f"{60_000 // LIMIT}ms"),
    )


def _masked(key: str) -> str:
    """A key as the service repeats it: enough to know it by."""
    first, last = (8, 4) if len(key) > 12 else (2, 0)
    return key[:first] + "*" * (len(key) - first - last) + key[len(key) - last :]
