"""How much a mail's From may be believed: trust levels 0 and 1 (design 6), from Authentication-Results or SMTP AUTH."""

import ipaddress
import re
from collections.abc import Iterator

import msgspec

from itsm.address import canonical, domain_of
from itsm.envelope import Channel, Envelope
from itsm.signal import UserMessage

MAX_FIELD_CHARACTERS = 8192
NO_AUTHSERV_ID = "-"  # listed for mailboxes of a provider that names no authserv-id
METHODS = frozenset({"spf", "dkim", "dmarc", "arc", "compauth", "auth"})  # that may stand first in such a field
_PLAIN = re.compile(r'[^"();]+')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_IN_COMMENT = re.compile(r"[^()\\]+|\\.|[()]", re.DOTALL)
_SYNTAX = str.maketrans(dict.fromkeys(" \t\r\n=;", "\ufffd"))  # what a quoted string may hold and must not mean


class TrustSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Whose word counts: authserv-ids, client addresses and networks that hand over checked mail, From by SMTP login."""

    authserv_ids: tuple[str, ...] = ()
    handed_over_from: tuple[str, ...] = ()
    senders_of_login: dict[str, tuple[str, ...]] = {}


class TrustVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """The level, 0 or 1, and why."""

    level: int
    reason: str


def trust_of(message: UserMessage, envelope: Envelope, settings: TrustSettings) -> TrustVerdict:
    """Level 1 only for one From address that a listed party vouches for; everything else is level 0."""
    if message.sender is None:
        return TrustVerdict(level=0, reason="no usable From address")
    sender = canonical(message.sender.address)
    if envelope.channel is Channel.SMTP and envelope.login is not None:  # elsewhere a login is the name of an API token
        allowed = {canonical(each) for each in settings.senders_of_login.get(envelope.login, ())}
        if sender in allowed:
            return TrustVerdict(level=1, reason="submitted with a login that may use this From address")
        return TrustVerdict(level=0, reason="the login may not use this From address")
    if not _handed_over(envelope, settings):
        if is_to_be_verified(envelope, settings) and message.signed_by and message.signed_by == domain_of(sender):
            return TrustVerdict(level=1, reason="a DKIM signature of its From domain, verified here")
        return TrustVerdict(level=0, reason="not handed over by a listed host, and no DKIM signature of its From domain was verified")
    if not message.authentication:
        return TrustVerdict(level=0, reason="no Authentication-Results")
    return _by_results(message.authentication[0], domain_of(sender), settings, envelope.channel)


def is_to_be_verified(envelope: Envelope, settings: TrustSettings) -> bool:
    """Whether nobody else vouches for such a mail: a stranger brought it to our own door, without a login."""
    return envelope.channel is Channel.SMTP and envelope.login is None and not _handed_over(envelope, settings)


def _handed_over(envelope: Envelope, settings: TrustSettings) -> bool:
    """Only mail that a listed host brought can carry results that a stranger did not write (RFC 8601 section 5)."""
    if envelope.channel is Channel.IMAP:
        return True
    return envelope.channel is Channel.SMTP and any(is_peer(envelope.peer, each) for each in settings.handed_over_from)


def is_peer(peer: str, listed: str) -> bool:
    """Whether a peer is this address or lies in this network, such as `10.0.0.0/8`; an IPv4 peer of an IPv6 socket counts as IPv4."""
    try:
        address, network = ipaddress.ip_address(peer), ipaddress.ip_network(listed, strict=False)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address) in network


def _by_results(field: str, domain: str, settings: TrustSettings, channel: Channel) -> TrustVerdict:
    """Read the topmost field only (RFC 8601 2.2).

    A field without authserv-id, as Exchange Online writes it, is nobody's word, unless `NO_AUTHSERV_ID` is listed and a mailbox gave
    the mail: there the provider writes the topmost field itself, and nobody stands between.
    Every DMARC result in it must be a pass for this From domain: one that is not outweighs one that is.
    """
    segments = _segments(field)
    if not segments:
        return TrustVerdict(level=0, reason="the topmost Authentication-Results cannot be read")
    words = segments[0].split()
    listed = {each.casefold() for each in settings.authserv_ids} - {NO_AUTHSERV_ID}
    nameless = channel is Channel.IMAP and NO_AUTHSERV_ID in settings.authserv_ids
    if nameless and _is_result(segments[0]):
        results = [passed for segment in segments for passed in _dmarc(segment, domain)]
    elif not words or words[0].casefold() not in listed or not all(each.isdecimal() for each in words[1:]):  # the rest is a version
        return TrustVerdict(level=0, reason="the topmost Authentication-Results is not of a listed host")
    else:
        results = [passed for segment in segments[1:] for passed in _dmarc(segment, domain)]
    if not results:
        return TrustVerdict(level=0, reason="no DMARC result")
    if not all(results):
        return TrustVerdict(level=0, reason="DMARC did not pass for this From domain")
    return TrustVerdict(level=1, reason="DMARC pass, said by a listed host")


def _is_result(segment: str) -> bool:
    """Whether a field begins with a result such as `spf=pass` where its authserv-id should stand."""
    words = segment.split()
    return bool(words) and words[0].partition("=")[0].casefold() in METHODS and "=" in words[0]


def _dmarc(segment: str, domain: str) -> Iterator[bool]:
    """Whether DMARC passed for the domain, once if the segment is a DMARC result (RFC 8601 2.2: `method[/version]=result`)."""
    words = " ".join(segment.split()).replace(" =", "=").replace("= ", "=").casefold().split(" ")
    method, _, result = words[0].partition("=")
    if method.partition("/")[0].strip() != "dmarc":
        return
    written = [value for name, _, value in (word.partition("=") for word in words[1:]) if name == "header.from"]
    yield result == "pass" and written == [domain.casefold()]


def _segments(field: str) -> list[str]:
    """What stands between the semicolons, without comments; none when the field is too long or not well formed.

    Linear. What a quoted string holds stays one word: it may be a stranger's, such as a local-part in `smtp.mailfrom`.
    """
    segments = [""]
    at = 0 if len(field) <= MAX_FIELD_CHARACTERS else -1
    while 0 <= at < len(field):
        if field[at] == ";":
            segments.append("")
            at += 1
        elif field[at] == "(":
            segments[-1] += " "
            at = _after_comment(field, at)
        elif field[at] == '"':
            quoted = _QUOTED.match(field, at)
            segments[-1] += quoted[1].translate(_SYNTAX) if quoted else ""
            at = quoted.end() if quoted else -1
        else:
            plain = _PLAIN.match(field, at)
            segments[-1] += plain[0] if plain else ""
            at = plain.end() if plain else -1
    return segments if at >= 0 else []


def _after_comment(field: str, at: int) -> int:
    """Where the comment that begins here ends (comments nest, RFC 5322 3.2.2); -1 when it does not."""
    depth = 0
    for found in _IN_COMMENT.finditer(field, at):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if depth == 0:
            return found.end()
    return -1
