"""The one place where text becomes a header: nothing written here can end a line or begin another field (A03).

Each header that holds what people wrote is a type of our own in the library's registry. The library's types first read the
value as a header: they decode RFC 2047 words in it, so that an encoded line end splits the field (CVE-2024-6923), they lose
blanks between encoded words, and they encode identifiers that are longer than a line. Ours take a value as the text it is.
"""

import re
from email.header import Header
from email.headerregistry import HeaderRegistry
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from email.utils import quote
from typing import Any, ClassVar

from notifier.events import clean_line

MAX_SUBJECT_CHARACTERS = 200
MAX_NAME_CHARACTERS = 100
MAX_MARK_CHARACTERS = 500
MAX_ID_CHARACTERS = 900  # so that "References: <id>" keeps within the 998 characters of a line (RFC 5322 2.1.1)
MAX_REFERENCES_CHARACTERS = 998
LINE_CHARACTERS = 76  # RFC 2047 2, RFC 3834 3.1.5
_ID = re.compile(rf"[!-;=?-~]{{1,{MAX_ID_CHARACTERS}}}")  # printable ASCII without blanks and angle brackets
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/?^_`{|}~ \-]+")  # RFC 5322 3.2.3 and blanks: a phrase that needs no quotes


def usable_ids(ids: tuple[str, ...]) -> tuple[str, ...]:
    """Message identifiers that may stand in a header, each once, in order; what others wrote may be anything."""
    return tuple(dict.fromkeys(each for each in ids if _ID.fullmatch(each) and "=?" not in each))


def trimmed(ids: tuple[str, ...]) -> tuple[str, ...]:
    """The root of the thread and its newest messages, at most 998 characters in all (RFC 5322 3.6.4)."""
    kept: list[str] = []
    left = MAX_REFERENCES_CHARACTERS - len(ids[0]) - 2 if ids else 0
    for each in reversed(ids[1:]):
        left -= len(each) + 3
        if left < 0:
            break
        kept.append(each)
    return (*ids[:1], *reversed(kept))


def bracketed(ids: tuple[str, ...]) -> str:
    """Identifiers as a header writes them."""
    return " ".join(f"<{each}>" for each in ids)


def mailbox_text(name: str, path: str) -> str:
    """A mailbox as `Mailbox` takes it; `path` is an address that notifier.mailbox let pass."""
    return f"{clean_line(name, MAX_NAME_CHARACTERS)} <{path}>"


class _Literal:
    """A header whose value is taken as it is; its one line is cleaned already, which the policy checks."""

    max_count: ClassVar[int] = 1
    name: str

    @classmethod
    def parse(cls, value: str, kwds: dict[str, Any]) -> None:
        """Read nothing into the value."""
        kwds["parse_tree"], kwds["decoded"] = None, value

    def _encoded(self, text: str, policy: "EmailPolicy[EmailMessage]") -> str:
        """Text in encoded words (RFC 2047), also where it only looks like one."""
        return Header(text, "utf-8", maxlinelen=LINE_CHARACTERS, header_name=self.name).encode(linesep=policy.linesep)


class MessageIds(_Literal):
    """Message identifiers, folded between them and nowhere else (RFC 5322 2.2.3)."""

    def fold(self, *, policy: "EmailPolicy[EmailMessage]") -> str:
        """The whole field with its line end."""
        return f"{self.name}: " + f"{policy.linesep} ".join(str(self).split(" ")) + policy.linesep


class Text(_Literal):
    """A line of text (RFC 5322 3.6.5)."""

    def fold(self, *, policy: "EmailPolicy[EmailMessage]") -> str:
        """The whole field with its line end."""
        return f"{self.name}: {self._value(str(self), policy)}{policy.linesep}"

    def _value(self, text: str, policy: "EmailPolicy[EmailMessage]") -> str:
        if text.isascii() and "=?" not in text:
            return Header(text, "us-ascii", maxlinelen=LINE_CHARACTERS, header_name=self.name).encode(linesep=policy.linesep)
        return text if policy.utf8 and "=?" not in text else self._encoded(text, policy)


class Mailbox(_Literal):
    """One mailbox (RFC 5322 3.4): a display name, which may be missing, and an address in angle brackets."""

    def fold(self, *, policy: "EmailPolicy[EmailMessage]") -> str:
        """The whole field with its line end."""
        return f"{self.name}: {self._value(str(self), policy)}{policy.linesep}"

    def _value(self, text: str, policy: "EmailPolicy[EmailMessage]") -> str:
        name, _, address = text.rpartition("<")
        name, address = name.strip(), f"<{address}"
        if not name:
            return address
        if "=?" in name or not (name.isascii() or policy.utf8):
            return f"{self._encoded(name, policy)}{policy.linesep} {address}"
        shown = name if _ATOMS.fullmatch(name) else f'"{quote(name)}"'
        space = f"{policy.linesep} " if len(shown) + len(address) > LINE_CHARACTERS - len(self.name) - 3 else " "
        return f"{shown}{space}{address}"


TYPES: dict[str, type[_Literal]] = {
    "from": Mailbox,
    "to": Mailbox,
    "reply-to": Mailbox,
    "subject": Text,
    "x-triaged-loop": Text,
    "message-id": MessageIds,
    "in-reply-to": MessageIds,
    "references": MessageIds,
}


def mail_policy(*, smtputf8: bool) -> "EmailPolicy[EmailMessage]":
    """The policy all mails are made with: CRLF, seven-bit bodies; headers in UTF-8 only where an address needs it (RFC 6532)."""
    registry = HeaderRegistry()
    for name, kind in TYPES.items():
        registry.map_to_type(name, kind)  # type: ignore[arg-type]  # the registry adds BaseHeader itself
    return SMTP.clone(header_factory=registry, cte_type="7bit", utf8=smtputf8)
