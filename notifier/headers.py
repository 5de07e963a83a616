"""The one place where text becomes a header value: nothing that is written here can end a line or begin another field (A03)."""

import re
from email.headerregistry import HeaderRegistry
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from typing import Any, ClassVar

from notifier.events import clean_line

MAX_SUBJECT_CHARACTERS = 200
MAX_NAME_CHARACTERS = 100
MAX_ID_CHARACTERS = 900  # so that "References: <id>" keeps within the 998 characters of a line (RFC 5322 2.1.1)
MAX_REFERENCES_CHARACTERS = 998
_ID = re.compile(rf"[!-;=?-~]{{1,{MAX_ID_CHARACTERS}}}")  # printable ASCII without blanks and angle brackets


def header_text(text: str, limit: int) -> str:
    """A value of one line that the library will not read as an encoded word.

    `EmailMessage` decodes RFC 2047 words in what it is given; one that holds an encoded line end would split the field
    (CVE-2024-6923), so the mark that begins such a word is taken apart wherever one could follow.
    """
    line = clean_line(text, limit)
    return line.replace("=?", "= ?") if "?=" in line else line


def usable_ids(ids: tuple[str, ...]) -> tuple[str, ...]:
    """Message identifiers that may stand in a header, each once, in order; what others wrote may be anything."""
    return tuple(dict.fromkeys(each for each in ids if _ID.fullmatch(each) and "=?" not in each))


def trimmed(ids: tuple[str, ...]) -> tuple[str, ...]:
    """The root of the thread and its newest messages, at most 998 characters in all (RFC 5322 3.6.4)."""
    if not ids:
        return ()
    kept: list[str] = []
    left = MAX_REFERENCES_CHARACTERS - len(ids[0]) - 2
    for each in reversed(ids[1:]):
        left -= len(each) + 3
        if left < 0:
            break
        kept.append(each)
    return (ids[0], *reversed(kept))


class MessageIds:
    """A header of message identifiers: one to a line, never an encoded word, which is what the library makes of a long one."""

    max_count: ClassVar[int] = 1
    name: str

    @classmethod
    def parse(cls, value: str, kwds: dict[str, Any]) -> None:
        """Take the value as it is; it was made by `bracketed`."""
        kwds["parse_tree"], kwds["decoded"] = None, value

    def fold(self, *, policy: "EmailPolicy[EmailMessage]") -> str:
        """The field, folded between identifiers (RFC 5322 2.2.3)."""
        return f"{self.name}: " + f"{policy.linesep} ".join(str(self).split(" ")) + policy.linesep


def bracketed(ids: tuple[str, ...]) -> str:
    """Identifiers as a header writes them."""
    return " ".join(f"<{each}>" for each in ids)


def mail_policy(*, smtputf8: bool) -> "EmailPolicy[EmailMessage]":
    """The policy all mails are made with: CRLF, seven-bit bodies; headers in UTF-8 only where an address needs it (RFC 6532)."""
    registry = HeaderRegistry()
    for name in ("in-reply-to", "references"):
        registry.map_to_type(name, MessageIds)  # type: ignore[arg-type]  # typeshed wants a BaseHeader; the registry adds it
    return SMTP.clone(header_factory=registry, cte_type="7bit", utf8=smtputf8)
