"""Address lists (RFC 5322 3.4) by a linear tokenizer that never recurses and refuses what is ambiguous (A04, A28)."""

import re

from intake.mail.header import text_of
from itsm.address import MAX_ADDRESS_CHARACTERS, Address

MAX_FIELD_CHARACTERS = 65_536
MAX_ADDRESSES = 1_000
_PLAIN = re.compile(r"[^\s<>()\[\],;:\\\"@\x00-\x1f]{1,128}@(?:[^\s<>()\[\],;:\\\"@\x00-\x1f]{1,255}|\[[0-9A-Fa-fIPv:.]{1,60}\])\Z")
_QUOTED = re.compile(r'"[^"\r\n\x00]{1,100}"@[^\s<>()\[\],;:\\"@\x00-\x1f]{1,255}\Z')


class _Reader:
    """Reads one field; `flush` ends a mailbox at a comma, semicolon or the end."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.found: list[Address] = []
        self.words: list[str] = []  # outside of angle brackets; a quoted string is one word
        self.comment: list[str] = []
        self.angle: str | None = None

    def read(self) -> list[Address]:
        text, size = self.text, len(self.text)
        plain_from = 0
        while self.at < size and len(self.found) < MAX_ADDRESSES:
            octet = text[self.at]
            if octet not in '"(<,;:':
                self.at += 1
                continue
            self.words.append(text[plain_from : self.at])
            self._special(octet)
            plain_from = self.at
        self.words.append(text[plain_from : self.at])
        self.flush()
        return self.found

    def _special(self, octet: str) -> None:
        self.at += 1
        if octet == '"':
            self.words.append(f'"{self._until_quote()}"')
        elif octet == "(":
            self.comment.append(self._until_parenthesis())
        elif octet == "<":
            end = self.text.find(">", self.at)
            end = len(self.text) if end < 0 else end
            inside = self.text[self.at : end]
            self.angle = inside if self.angle is None else self.angle
            self.at = min(end + 1, len(self.text))
        elif octet == ":":
            if "@" not in "".join(self.words):
                self.words, self.comment = [], []  # the name of a group (RFC 5322 3.4)
            else:
                self.words.append(":")
        else:
            self.flush()

    def _until_quote(self) -> str:
        out: list[str] = []
        while self.at < len(self.text):
            octet = self.text[self.at]
            self.at += 1
            if octet == '"':
                break
            if octet == "\\" and self.at < len(self.text):
                octet = self.text[self.at]
                self.at += 1
            out.append(octet)
        return "".join(out)

    def _until_parenthesis(self) -> str:
        depth, start = 1, self.at
        while self.at < len(self.text) and depth:
            octet = self.text[self.at]
            depth += 1 if octet == "(" else -1 if octet == ")" else 0
            self.at += 1
        return self.text[start : self.at - 1 if depth == 0 else self.at]

    def flush(self) -> None:
        """End a mailbox and keep it when it has an addr-spec that can be read in one way only."""
        written = "".join(self.words).strip()
        address = (self.angle if self.angle is not None else written).strip()
        if self.angle is not None:
            address = address.rpartition(":")[2] if address.startswith("@") else address  # obsolete route (RFC 5322 4.4)
            name = written
        else:
            name = " ".join(self.comment)
        spec = addr_spec(address)
        if spec is None and self.angle is not None and not address.strip("<> ") and "@" in written:
            spec, name = addr_spec(written.split()[-1]), ""
        if spec is not None:
            self.found.append(Address(name=_name(name), address=spec))
        self.words, self.comment, self.angle = [], [], None


def addr_spec(text: str) -> str | None:
    """The addr-spec in a text, None when it is none or could be read in two ways."""
    text = text.strip().strip("<>").strip().strip("'") if len(text) <= MAX_ADDRESS_CHARACTERS + 4 else ""
    if "=?" in text:
        text = text_of(text).strip().strip("<>")
    compact = text.replace(" ", "") if " @" in text or "@ " in text else text
    if len(compact) <= MAX_ADDRESS_CHARACTERS and (_PLAIN.match(compact) or _QUOTED.match(compact)):
        return compact
    return None


def _name(text: str) -> str:
    name = text_of(text).strip()
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = name[1:-1]
    return name.replace('"', "").strip()[:250]


def addresses(raw: str | None) -> tuple[Address, ...]:
    """The mailboxes of a field, groups dissolved."""
    if not raw:
        return ()
    text = raw[:MAX_FIELD_CHARACTERS]
    if not text.isascii():
        text = text_of(text)
    return tuple(_Reader(text).read())
