"""LiteLLM's proxy with one patch to its speech route: python start.py PATCH UPSTREAM PORT

PATCH is a module beside this file, with a function `apply()`; `none` leaves LiteLLM as it is. UPSTREAM is the base URL
of a speech API, ending in /v1. It runs in LiteLLM's own environment (litellm[proxy]==1.83.8), and as a target:

    streamproof run --target 'cmd:VENV/bin/python examples/litellm_patches/start.py deferred {upstream} {port}'
"""

import importlib
import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PATCHES = ["none", *sorted(path.stem for path in HERE.glob("*.py") if path.stem not in ("start", "speech"))]
CONFIG = """
model_list:
  - model_name: tts-1
    litellm_params: {{model: openai/tts-1, api_base: "{upstream}", api_key: sk-fake, max_retries: 0}}
router_settings: {{num_retries: 0, disable_cooldowns: true}}
"""
"""Without these settings it retries three times and then cools its only deployment down for five seconds."""


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in PATCHES:
        sys.exit(f"say PATCH UPSTREAM PORT, PATCH being one of {', '.join(PATCHES)}; found {sys.argv[1:]}")
    patch, upstream, port = sys.argv[1:]
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # a price list from the network is of no use here
    os.environ["LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY"] = "true"
    if patch != "none":
        sys.path.insert(0, str(HERE))
        importlib.import_module(patch).apply()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(CONFIG.format(upstream=upstream), encoding="utf-8")
        sys.argv = ["litellm", "--config", str(config), "--host", "127.0.0.1", "--port", port]
        importlib.import_module("litellm").run_server()


if __name__ == "__main__":
    main()
