"""Where a citation leads: issues and repositories on GitHub, RFCs, and the few documents that scenarios quote. Pure."""

from __future__ import annotations

import re

ISSUE = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)#(?P<number>\d+)")
REPOSITORY = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?=$|: )")
RFC = re.compile(r"RFC (?P<number>\d+)(?:, sections? (?P<section>[\d.]*\d))?")
DOCUMENTS = {
    "OpenAI API reference, Create speech": "https://platform.openai.com/docs/api-reference/audio/createSpeech",
    "OpenAI API reference, Debugging requests": "https://platform.openai.com/docs/api-reference/debugging-requests",
    "OpenAI API reference": "https://platform.openai.com/docs/api-reference",
    "WHATWG HTML": "https://html.spec.whatwg.org/multipage/server-sent-events.html",
}


def link(citation: str) -> str:
    """The address of what a citation begins with; "" if it names nothing that has one known here."""
    if found := ISSUE.match(citation):
        return f"https://github.com/{found['repo']}/issues/{found['number']}"  # leads to a pull request, too
    if found := RFC.match(citation):
        page = f"https://www.rfc-editor.org/rfc/rfc{found['number']}"
        return f"{page}#section-{found['section']}" if found["section"] else page
    for name, address in DOCUMENTS.items():
        if citation.startswith(name):
            return address
    if found := REPOSITORY.match(citation):
        return f"https://github.com/{found['repo']}"
    return ""
