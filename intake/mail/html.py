"""The words of an HTML text, in time linear in its length."""

import re

from resiliparse.extract.html2text import extract_plain_text

MAX_LISTS = 200  # each level of a list indents every line in it, so that depth times lines is what comes out
_LIST_TAG = re.compile(r"<(/?)[ou]l\b", re.IGNORECASE)
_BLANK_LINES = re.compile(r"\n{3,}")
_CHARSET = re.compile(rb"(?i)<meta[^>]{0,100}charset=[\"']?([a-z0-9_:.-]{1,40})")


def html_text(html: str) -> str:
    """What a person would read; without script, style and the addresses behind links."""
    folded = html.lower()
    if folded.count("<ul") + folded.count("<ol") > MAX_LISTS:
        html = _LIST_TAG.sub(r"<\1div", html)
    text = extract_plain_text(html, preserve_formatting=True, links=False, alt_texts=False, noscript=True)
    return _BLANK_LINES.sub("\n\n", text or "").strip()


def html_charset(octets: bytes) -> str | None:
    """The charset an HTML text names in its first 1,024 octets (HTML 13.2.3.2), for mail that does not name it."""
    found = _CHARSET.search(octets, 0, 1024)
    return found[1].decode("ascii") if found else None
