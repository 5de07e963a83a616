"""How much a mail's From may be believed: trust levels 0 and 1 (design 6), from Authentication-Results or SMTP AUTH."""

import ipaddress
import re

import msgspec

from itsm.address import canonical, domain_of
from itsm.envelope import Channel, Envelope
from itsm.signal import UserMessage

MAX_FIELD_CHARACTERS = 8192
_COMMENT = re.compile(r"\([^()]*\)")
_DMARC = re.compile(r"\s*dmarc\s*=\s*([a-z]+)", re.IGNORECASE)
_HEADER_FROM = re.compile(r"header\.from\s*=\s*\"?([^\s\";]+)", re.IGNORECASE)


class TrustSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Whose word counts: authserv-ids, networks that hand over checked mail (prefixes of addresses), From by login."""

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
    if envelope.login is not None:
        allowed = {canonical(each) for each in settings.senders_of_login.get(envelope.login, ())}
        if sender in allowed:
            return TrustVerdict(level=1, reason="submitted with a login that may use this From address")
        return TrustVerdict(level=0, reason="the login may not use this From address")
    if not _handed_over(envelope, settings):
        return TrustVerdict(level=0, reason="not handed over by a listed host")
    if not message.authentication:
        return TrustVerdict(level=0, reason="no Authentication-Results")
    return _by_results(message.authentication[0], domain_of(sender), settings)


def _handed_over(envelope: Envelope, settings: TrustSettings) -> bool:
    """Only mail that a listed host brought can carry results that a stranger did not write (RFC 8601 section 5)."""
    if envelope.channel is Channel.IMAP:
        return True
    return any(_is_peer(envelope.peer, each) for each in settings.handed_over_from)


def _is_peer(peer: str, listed: str) -> bool:
    """Whether a peer is an address, begins like one that ends in "." or ":", or lies in a network such as `10.0.0.0/8`."""
    if "/" not in listed:
        return peer == listed or (listed.endswith((".", ":")) and peer.startswith(listed))
    try:
        return ipaddress.ip_address(peer) in ipaddress.ip_network(listed, strict=False)
    except ValueError:
        return False


def _by_results(field: str, domain: str, settings: TrustSettings) -> TrustVerdict:
    """Read the topmost field only (RFC 8601 2.2); a field without authserv-id, as Microsoft writes it, is nobody's word."""
    text = _without_comments(field[:MAX_FIELD_CHARACTERS])
    head, *results = text.split(";")
    words = head.split()
    listed = {each.casefold() for each in settings.authserv_ids}
    if not words or words[0].casefold() not in listed:
        return TrustVerdict(level=0, reason="the topmost Authentication-Results is not of a listed host")
    for result in results:
        found = _DMARC.match(result)
        if found is None:
            continue
        written = _HEADER_FROM.search(result)
        if found[1].casefold() == "pass" and (written is None or written[1].casefold() == domain):
            return TrustVerdict(level=1, reason="DMARC pass, said by a listed host")
        return TrustVerdict(level=0, reason="DMARC did not pass for this From domain")
    return TrustVerdict(level=0, reason="no DMARC result")


def _without_comments(text: str) -> str:
    """The text without comments; nesting deeper than eight is left as it is, and then matches nothing."""
    for _ in range(8):
        text, count = _COMMENT.subn(" ", text)
        if not count:
            break
    return text
