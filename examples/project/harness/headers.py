KEPT = (b"content-type", b"content-length", b"retry-after", b"x-request-id")


def kept(headers):
    """The header fields that go on to the client."""
    return [(name, value) for name, value in headers if name.lower() in KEPT]
