"""The words of an HTML text, in time linear in its length."""

import re

from resiliparse.extract.html2text import extract_plain_text

MAX_LISTS = 200  # each level of a list indents every line in it, so that depth times lines is what comes out
_LIST_TAG = re.compile(r"<(/?)[ou]l\b", re.IGNORECASE)
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]{0,20})([^<>]{0,2000})>")
_MARKED_TAGS = frozenset({"div", "blockquote", "span", "p", "pre", "table"})
QUOTE_MARKS = (  # one element, with all that is in it: Gmail, Thunderbird, Apple Mail, Yahoo, Zoho, Proton, Tuta, Outlook for phones
    "gmail_attr", "moz-cite-prefix", "yahoo_quoted", "zmail_extra", "tutanota_quote", "protonmail_signature", "gmail_signature", "moz-signature",
    "ms-outlook-mobile-signature", "applemailsignature", "apple-mail-signature",
)  # fmt: skip
BLOCKQUOTE_MARKS = ("gmail_quote", "protonmail_quote", 'type="cite"', "type='cite'", "type=cite", "cite=")
REST_MARKS = (
    "divrplyfwdmsg",
    "appendonsend",
    "outlookmessageheader",
    "mail-editor-reference-message-container",
)  # Outlook: all from here on
_BLANK_LINES = re.compile(r"\n{3,}")
_CHARSET = re.compile(rb"(?i)<meta[^>]{0,100}charset=[\"']?([a-z0-9_:.-]{1,40})")


def html_text(html: str) -> str:
    """What a person would read; without script, style and the addresses behind links."""
    folded = html.lower()
    if folded.count("<ul") + folded.count("<ol") > MAX_LISTS:
        html = _LIST_TAG.sub(r"<\1div", html)
    text = extract_plain_text(html, preserve_formatting=True, links=False, alt_texts=False, noscript=True)
    return _BLANK_LINES.sub("\n\n", text or "").strip()


def without_quotes(html: str) -> str | None:
    """The HTML without what mail programs mark as quoted or as a signature; None when nothing is marked. One pass over the tags."""
    folded = html.lower()
    if not any(mark in folded for mark in (*QUOTE_MARKS, *BLOCKQUOTE_MARKS, *REST_MARKS)):
        return None
    out: list[str] = []
    at = depth = 0
    inside = ""  # the tag of the element that is left out, while in it
    for tag in _TAG.finditer(html):
        name = tag[2].lower()
        if inside:
            depth += (-1 if tag[1] else 1) if name == inside else 0
            if depth == 0:
                inside, at = "", tag.end()
        elif not tag[1] and name in _MARKED_TAGS:
            attributes = tag[3].lower()
            rest = any(mark in attributes for mark in REST_MARKS)
            if rest or _is_marked(name, attributes):
                out.append(html[at : tag.start()])
                inside, depth, at = name, 1, len(html)
            if rest:
                break
    out.append(html[at:])
    return "".join(out)


def _is_marked(name: str, attributes: str) -> bool:
    marks = (*QUOTE_MARKS, *BLOCKQUOTE_MARKS) if name == "blockquote" else QUOTE_MARKS
    return any(mark in attributes for mark in marks)


def html_charset(octets: bytes) -> str | None:
    """The charset an HTML text names in its first 1,024 octets (HTML 13.2.3.2), for mail that does not name it."""
    found = _CHARSET.search(octets, 0, 1024)
    return found[1].decode("ascii") if found else None
