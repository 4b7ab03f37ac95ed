"""An OpenAI-compatible speech server that plays scripts: timed or gated chunks, every way a stream can break.

It imports nothing of the harness. Start with `fake_upstream.upstream.FakeUpstream`, or run `python -m fake_upstream`.
"""
