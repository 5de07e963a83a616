"""Address lists (RFC 5322 3.4) by a linear tokenizer that never recurses and refuses what is ambiguous (A04, A28)."""

import re
from typing import NamedTuple

from intake.mail.charset import clean
from intake.mail.header import eight_bit, text_of
from itsm.address import MAX_ADDRESS_CHARACTERS, Address

MAX_FIELD_CHARACTERS = 65_536
MAX_ADDRESSES = 1_000
MAX_NAME_CHARACTERS = 250
_ATOMS = r"[^\s<>()\[\],;:\\\"@\x00-\x1f\x7f]"
_ADDR_SPEC = re.compile(rf"(?:{_ATOMS}{{1,64}}|\"[^\"\\\r\n\x00]{{1,62}}\")@(?:{_ATOMS}{{1,255}}|\[[0-9A-Fa-fIPv:.]{{1,60}}\])\Z")
_PLAIN_MAILBOX = re.compile(  # most fields
    rf"(?:([A-Za-z][A-Za-z .\-]{{0,100}}) )?<({_ATOMS}{{1,64}}@[A-Za-z0-9.\-]{{1,255}})>\Z|([A-Za-z0-9][\w.+=\-]{{0,63}}@[A-Za-z0-9.\-]{{1,255}})\Z",
    re.ASCII,
)
_SPECIAL = re.compile(r'["(<,;:]')
_AMBIGUOUS = re.compile(r"[\[\]\\>]")


class Found(NamedTuple):
    """The mailboxes of a field; whether one with an "@" could not be read; whether some were left out because the field is too long."""

    addresses: tuple[Address, ...]
    doubtful: bool = False
    cut: bool = False


class _Reader:
    """Reads one field; `flush` ends a mailbox at a comma, a semicolon or the end. `doubtful` tells that one could not be read."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.found: list[Address] = []
        self.doubtful = False
        self._begin()

    def _begin(self) -> None:
        self.words: list[str] = []  # outside of angle brackets
        self.comments: list[str] = []
        self.angles: list[str] = []
        self.has_at = self.is_ambiguous = False

    def read(self) -> None:
        while len(self.found) < MAX_ADDRESSES:
            special = _SPECIAL.search(self.text, self.at)
            self._plain(self.text[self.at : special.start() if special else len(self.text)])
            if special is None:
                self.at = len(self.text)
                break
            self.at = special.end()
            self._special(special[0])
        self.flush()

    def _plain(self, text: str) -> None:
        if not text:
            return
        self.words.append(text)
        if "@" in text:
            self.is_ambiguous |= bool(self.angles)  # `<a@b> c@d`
            self.has_at = True
        self.is_ambiguous |= _AMBIGUOUS.search(text) is not None and "@" in text

    def _special(self, sign: str) -> None:
        if sign == '"':
            self.words.append(f'"{self._until_quote()}"')
        elif sign == "(":
            self.comments.append(self._until_parenthesis())
        elif sign == "<":
            end = self.text.find(">", self.at)
            end = len(self.text) if end < 0 else end
            self.angles.append(self.text[self.at : end])
            self.at = min(end + 1, len(self.text))
        elif sign == ":" and not self.has_at:
            self._begin()  # the name of a group (RFC 5322 3.4)
        elif sign == ":":
            self.words.append(":")
        else:
            self.flush()

    def _until_quote(self) -> str:
        out: list[str] = []
        while self.at < len(self.text):
            sign = self.text[self.at]
            self.at += 1
            if sign == '"':
                break
            if sign == "\\" and self.at < len(self.text):
                sign = self.text[self.at]
                self.at += 1
            out.append(sign)
        return "".join(out)

    def _until_parenthesis(self) -> str:
        depth, start = 1, self.at
        while self.at < len(self.text) and depth:
            sign = self.text[self.at]
            depth += 1 if sign == "(" else -1 if sign == ")" else 0
            self.at += 1
        return self.text[start : self.at - 1 if depth == 0 else self.at]

    def flush(self) -> None:
        """Keep a mailbox when it has an addr-spec that can be read in one way only."""
        written = "".join(self.words).strip()
        spec = None
        angles = [each for each in self.angles if each.strip()]
        if angles and (self.is_ambiguous or len(angles) > 1):
            self.doubtful = True
        elif angles:
            route = angles[0].strip()
            spec = addr_spec(route.rpartition(":")[2] if route.startswith("@") else route)  # obsolete route (RFC 5322 4.4)
            self.doubtful |= spec is None
        elif written:
            spec = addr_spec(written)
            self.doubtful |= spec is None and self.has_at
        if spec is not None:
            self.found.append(Address(name=_name(written if angles else " ".join(self.comments)), address=spec))
        self._begin()


def addr_spec(text: str) -> str | None:
    """The addr-spec in a text, None when it is none or could be read in two ways."""
    if len(text) > MAX_ADDRESS_CHARACTERS + 20:
        return None
    text = text.strip().strip("<>").strip().strip("'")
    compact = text.replace(" ", "") if " @" in text or "@ " in text else text
    return compact if len(compact) <= MAX_ADDRESS_CHARACTERS and _ADDR_SPEC.match(compact) else None


def _name(text: str) -> str:
    name = text_of(text, guess=False).strip()
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = name[1:-1]
    return name.replace('"', "").strip()[:MAX_NAME_CHARACTERS]


def addresses(raw: str | None, charset: str | None = None) -> tuple[Address, ...]:
    """The mailboxes of a field, groups dissolved, without those that can be read in two ways."""
    return read_addresses(raw, charset).addresses


def read_addresses(raw: str | None, charset: str | None = None) -> Found:
    """The mailboxes of a field, at most 1,000 of 64 Ki characters. Nobody may be trusted by a field that is doubtful.

    `charset` is what the body declares, for raw 8-bit names.
    """
    if not raw:
        return Found(())
    plain = _PLAIN_MAILBOX.match(raw) if raw.isascii() else None
    if plain:
        return Found((Address(name=(plain[1] or "").strip(), address=plain[2] or plain[3]),))
    reader = _Reader(clean(eight_bit(raw[:MAX_FIELD_CHARACTERS], charset=charset)))
    reader.read()
    cut = len(raw) >= MAX_FIELD_CHARACTERS or "@" in reader.text[reader.at :]
    return Found(tuple(reader.found), reader.doubtful, cut)
