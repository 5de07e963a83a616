"""DKIM (RFC 6376) of mail from our own door: which keys are needed, and whose signature holds. Pure; the keys come from `intake.signing_keys`.

dkimpy verifies; it comes with the extra `mailauth`. Only a signature of the very domain of From counts (strict alignment, RFC 7489 3.1.1),
over the whole body, with SHA-256, over From and over each field that decides what becomes of the mail.
"""

import re
from collections.abc import Mapping

import msgspec

from intake.mail.addresses import read_addresses
from intake.mail.header import Header
from itsm.address import domain_of

try:
    import dkim
except ImportError:  # the extra is not installed
    dkim = None

MAX_HEADER_BYTES = 65_536
MAX_SIGNATURES = 3  # of the domain of From
MAX_SIGNATURE_BYTES = 8_192
MAX_BLANKS = 100  # in a row, in a signature: the library's patterns cost the square of them
MAX_CHECKED_BYTES = 64 * 1024 * 1024
ALGORITHMS = frozenset({"rsa-sha256", "ed25519-sha256"})  # RFC 8301: not rsa-sha1
# Each of them stands at most once, and is signed where it is there: it names the writer, the thread, or the mail itself.
SIGNED = ("from", "subject", "date", "message-id", "in-reply-to", "references")
ONCE = (*SIGNED, "to", "cc", "sender", "reply-to", "content-type", "content-transfer-encoding", "mime-version")
_FIELD = re.compile(rb"(?m)^([!-9;-~]{1,100}):((?:[^\n]|\n[ \t])*)")
_SELECTOR = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")
_DOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?")


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """One that may count: its place among the DKIM-Signature fields, the name its key stands under, and whether its body is `relaxed`."""

    place: int
    name: str
    relaxed: bool


def is_installed() -> bool:
    """Whether signatures can be verified here."""
    return dkim is not None


def names_of_keys(raw: bytes) -> tuple[str, ...]:
    """The names of the TXT records that are needed to verify a mail, at most three."""
    return tuple(dict.fromkeys(each.name for each in _signatures(raw)[1]))


def signed_by(raw: bytes, keys: Mapping[str, bytes]) -> str:
    """The domain of From, where a signature of it holds; else "". `keys` are TXT records by name. Never raises."""
    if dkim is None or not keys or len(raw) > MAX_CHECKED_BYTES:
        return ""
    domain, found = _signatures(raw)
    return domain if any(each.name in keys and _holds(raw, each, keys) for each in found) else ""


def _signatures(raw: bytes) -> tuple[str, list[Signature]]:
    """The domain of From, and the signatures of it that may count."""
    head, whole = _header_block(raw)
    fields = [(name.decode("ascii").lower(), value) for name, value in _FIELD.findall(head)]
    names = [name for name, _ in fields]
    if not whole or any(names.count(each) > 1 for each in ONCE) or "dkim-signature" not in names:
        return "", []
    header = Header((name, value.decode("ascii", "surrogateescape")) for name, value in fields if name == "from")
    people = read_addresses(header.raw("from"))
    if people.doubtful or len(people.addresses) != 1:
        return "", []
    domain = domain_of(people.addresses[0].address).casefold()
    found: list[Signature] = []
    for place, value in enumerate(value for name, value in fields if name == "dkim-signature"):
        signature = _usable(value, place, domain, frozenset(names))
        if signature is not None and len(found) < MAX_SIGNATURES:
            found.append(signature)
    return domain, found


def _header_block(raw: bytes) -> tuple[bytes, bool]:
    """The header with line feeds, and whether all of it was looked at: what is longer than 64 KiB is not verified."""
    head = raw[: MAX_HEADER_BYTES + 4].replace(b"\r\n", b"\n")
    end = head.find(b"\n\n")
    return (head[: end + 1], True) if end >= 0 else (head, False)


def _usable(value: bytes, place: int, domain: str, there: frozenset[str]) -> Signature | None:
    """A signature of this domain that covers what it must, else None."""
    if len(value) > MAX_SIGNATURE_BYTES or b" " * MAX_BLANKS in re.sub(rb"\s", b" ", value):
        return None
    parts = (each.partition("=") for each in value.decode("ascii", "replace").split(";"))
    tags = {name.strip(): "".join(written.split()) for name, _, written in parts}
    covered = {each.casefold() for each in tags.get("h", "").split(":")}
    needed = {"from", *(each for each in SIGNED if each in there)}
    body = tags.get("c", "simple/simple").partition("/")[2] or "simple"  # RFC 6376 3.5
    fits = (
        tags.get("d", "").casefold() == domain
        and _DOMAIN.fullmatch(domain) is not None
        and _SELECTOR.fullmatch(tags.get("s", "")) is not None
        and tags.get("a", "") in ALGORITHMS
        and "l" not in tags  # what stands behind that length is nobody's word (RFC 6376 8.2)
        and needed <= covered
    )
    return Signature(place=place, name=f"{tags['s']}._domainkey.{domain}".lower(), relaxed=body == "relaxed") if fits else None


def _holds(raw: bytes, signature: Signature, keys: Mapping[str, bytes]) -> bool:
    """Whether dkimpy verifies it with the key that stands in DNS; a key under test counts as none (RFC 6376 3.6.1)."""
    flags = [each.partition(b"=")[2] for each in keys[signature.name].split(b";") if each.partition(b"=")[0].strip() == b"t"]
    if any(b"y" in each.strip().split(b":") for each in flags):
        return False
    mail = _with_blanks_joined(raw) if signature.relaxed else raw

    def key_of(name: bytes, **_options: object) -> bytes | None:
        return keys.get(name.decode("ascii", "replace").rstrip(".").lower())

    try:
        return bool(dkim.DKIM(mail).verify(signature.place, dnsfunc=key_of))
    except Exception:  # the boundary to a library on a stranger's octets: what cannot be verified is not verified
        return False


def _with_blanks_joined(raw: bytes) -> bytes:
    """The body as `relaxed` has it (RFC 6376 3.4.4), in linear time: the library takes the square of a run of blanks for it."""
    head, end, body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
    body = re.sub(rb"[\t ]+", b" ", body).replace(b" \n", b"\n")
    return (head + end + body).replace(b"\n", b"\r\n")
