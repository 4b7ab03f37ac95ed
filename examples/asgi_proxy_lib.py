"""The library asgi-proxy-lib as a gateway. `pip install asgi-proxy-lib==0.2a0`, and then

streamproof run --target app:examples/asgi_proxy_lib.py:build
"""

from asgi_proxy import asgi_proxy


def build(upstream_url):
    return asgi_proxy(upstream_url.removesuffix("/v1"))  # the client's own path begins with /v1
