"""What the SMTP door takes, as values and pure judgements."""

import hmac
import ipaddress
import re

import msgspec

from intake.settings import SmtpSettings
from itsm.address import canonical, domain_of, local_part_of
from itsm.service import Desk
from itsm.token import REPLY_CHARACTERS

MAX_RECEIVED = 100  # RFC 5321 6.3
BOUNCES = "bounces"
_PLAIN_PATH = re.compile(r"<([^\s<>@\"\\,;:()\[\]\x00-\x1f\x7f]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.\-]{0,253}[A-Za-z0-9])?)>(?: (.*))?\Z")
_POSTMASTER = re.compile(r"<postmaster>(?: (.*))?\Z", re.IGNORECASE)
_ATOMS = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-]+)*"
_PATH = rb"<(" + _ATOMS + rb"@[A-Za-z0-9](?:[A-Za-z0-9.\-]{0,253}[A-Za-z0-9])?)>"
_MAIL_FROM = re.compile(rb"MAIL FROM:" + _PATH + rb"((?: SIZE=([0-9]{1,15}))?(?: BODY=8BITMIME)?)\r\n", re.IGNORECASE)
_RCPT_TO = re.compile(rb"RCPT TO:" + _PATH + rb"\r\n", re.IGNORECASE)
_LOCAL_PART_OCTETS = 64  # RFC 5321 4.5.3.1.1
_COMMAND_OCTETS = 512  # RFC 5321 4.5.3.1.4

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Whom we take mail for, whose newlines we mend, who may log in with which secret."""

    recipients: frozenset[str]
    domains: frozenset[str]
    desk_address: str = ""
    mended_networks: tuple[Network, ...] = ()
    logins: dict[str, str] = {}


def policy_of(settings: SmtpSettings, desk: Desk, passwords: dict[str, str]) -> Policy:
    """The policy of these settings; the desk's own addresses and its bounces are always taken."""
    addresses = [*settings.recipients, desk.address, *(address for team in desk.teams for address in team.addresses)]
    return Policy(
        recipients=frozenset(canonical(each) for each in addresses),
        desk_address=canonical(desk.address),
        domains=frozenset(each.strip().casefold() for each in settings.domains),
        mended_networks=tuple(ipaddress.ip_network(each, strict=False) for each in settings.normalise_newlines_from),
        logins=passwords,
    )


def takes(policy: Policy, address: str, bounce_domain: str) -> bool:
    """Whether a forward-path is ours: listed, of a listed domain, a reply address or bounce to us, or postmaster (RFC 5321 4.5.1)."""
    key = canonical(address)
    if key in policy.recipients or domain_of(key) in policy.domains or key == "postmaster":
        return True
    if _is_reply_address(policy, key):
        return True
    ours = bounce_domain.casefold()
    if domain_of(key) != ours:
        return local_part_of(key) == "postmaster" and domain_of(key) in {domain_of(each) for each in policy.recipients}
    return local_part_of(key) == "postmaster" or local_part_of(key).partition("+")[0] == BOUNCES


def _is_reply_address(policy: Policy, key: str) -> bool:
    """Whether it is the desk's address with something of a token's length behind a plus sign; whose it is, triage tells."""
    local, plus, token = local_part_of(key).rpartition("+")
    return bool(plus) and len(token) == REPLY_CHARACTERS and f"{local}@{domain_of(key)}" == policy.desk_address


def mends(policy: Policy, peer: str) -> bool:
    """Whether bare CR and LF of this client are normalised."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    return any(address in network for network in policy.mended_networks)


def authenticates(policy: Policy, name: str, password: str) -> bool:
    """Whether the login has this password; compared in constant time, also for a name we do not know."""
    known = policy.logins.get(name, "")
    same = hmac.compare_digest(known.encode(), password.encode("utf-8", "surrogateescape"))
    return same and bool(known)


def plain_path(argument: str) -> tuple[str, str] | None:
    """Address and rest of a plain `<local@domain>` or `<postmaster>`, None when the long way is needed."""
    found = _PLAIN_PATH.match(argument)
    if found:
        return found[1], found[2] or ""
    master = _POSTMASTER.match(argument)
    return ("postmaster", master[1] or "") if master else None


class PlainPath(msgspec.Struct, frozen=True, kw_only=True):
    """A reverse-path and the two parameters every host sends: `extended` when one was there, a size of 0 when none was told."""

    address: str
    size_bytes: int
    extended: bool


def plain_mail_from(line: bytes) -> PlainPath | None:
    """What `MAIL FROM:<dot-atom@domain> SIZE=n BODY=8BITMIME` says; None for every other line."""
    found = _MAIL_FROM.fullmatch(line) if len(line) <= _COMMAND_OCTETS else None
    if found is None or found[1].index(b"@") > _LOCAL_PART_OCTETS:
        return None
    return PlainPath(address=found[1].decode("ascii"), size_bytes=int(found[3] or 0), extended=bool(found[2]))


def plain_rcpt_to(line: bytes) -> str | None:
    """The address of `RCPT TO:<dot-atom@domain>`; None for every other line."""
    found = _RCPT_TO.fullmatch(line) if len(line) <= _COMMAND_OCTETS else None
    return found[1].decode("ascii") if found and found[1].index(b"@") <= _LOCAL_PART_OCTETS else None


def has_bare_newline(body: bytes) -> bool:
    """Whether a CR or LF stands alone (RFC 5321 2.3.8): what SMTP smuggling is made of (A01)."""
    pairs = body.count(b"\r\n")
    return body.count(b"\n") != pairs or body.count(b"\r") != pairs


def mended(body: bytes) -> bytes:
    """Every line end as CRLF."""
    return body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


def unstuffed(body: bytes) -> bytes:
    """The message without the dots the client doubled (RFC 5321 4.5.2)."""
    body = body.replace(b"\r\n.", b"\r\n")
    return body[1:] if body.startswith(b".") else body
