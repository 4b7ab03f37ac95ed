"""What the client asks for is what the upstream is asked for."""

import json
from typing import Any

from fake_upstream.pacing import burst
from fake_upstream.script import Script
from harness.evidence import how_it_ended
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "Every field of the speech request reaches the upstream unchanged."
KIND = "required"
CITES = ("OpenAI API reference, Create speech", "BerriAI/litellm#33976")
FIELDS: dict[str, dict[str, Any]] = {
    "all-fields": {"instructions": "Whisper; Ångström, 声を低く, بهدوء 🙂.", "speed": 1.25, "response_format": "mp3"},
    "custom-voice": {"voice": {"id": "voice_1234"}},
    "unknown-key": {"x_streamproof": {"kept": True}},
}
VARIANTS = FIELDS
KINDS = {"unknown-key": "observed"}
SCRIPT = Script(burst(2, 500), content_type="audio/mpeg")


async def play(stage: Stage) -> None:
    client, _ = await stage.ask(SCRIPT, fields=stage.variant)
    await client.ends()


def judge(record: Record) -> Judgement:
    (exchange,) = record.exchanges
    asked = next(iter(exchange.seen("asked")), None)
    if asked is None:
        yield Finding("the request at the upstream", how_it_ended(exchange))
        return
    sent = json.loads(exchange.request)
    try:
        got = json.loads(asked.body)
    except ValueError:
        got = None
    if not isinstance(got, dict):
        yield Finding("a JSON object at the upstream", f"{asked.body[:80]!r}", "", "document")
        return
    for name, value in sent.items():
        # The model's name is the gateway's to map, and some name the provider in it.
        if name != "model" and got.get(name) != value:
            yield Finding(f"{name} = {value!r}", f"{name} = {got.get(name, 'absent')!r}", "", name)
