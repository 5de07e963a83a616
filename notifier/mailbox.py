"""An address as SMTP and a header may hold it: what others wrote is looked at before it goes into a command (A03)."""

import re

from itsm.errors import MalformedInput

MAX_LOCAL_OCTETS, MAX_PATH_OCTETS = 64, 254  # RFC 5321 4.5.3.1.1 and 4.5.3.1.3 without the angle brackets
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\-\u00a1-\ud7ff\uf900-\U0010ffff]"  # RFC 5322 3.2.3, RFC 6531 3.3; dots anywhere, as some providers allow
_LOCAL = re.compile(rf"{_ATEXT}+|\"(?:[ !#-\[\]-~]|\\[ -~])*\"")
_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.\-]*[A-Za-z0-9])?|\[[A-Za-z0-9.:]+\]")


class NoMailbox(MalformedInput):
    """The address is none that mail can be sent to."""


def path_of(address: str) -> str:
    """The address as it goes into RCPT TO: the local-part as written, the domain as A-labels (RFC 5890); raises NoMailbox."""
    local, at, domain = address.strip().rpartition("@")
    if not at or not _LOCAL.fullmatch(local):
        raise NoMailbox("the local part of the address holds what no mail server takes")
    if not domain.isascii():
        try:
            domain = domain.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise NoMailbox("the domain of the address is no domain name") from error
    if not _DOMAIN.fullmatch(domain):
        raise NoMailbox("the domain of the address is no domain name")
    octets = len(local.encode())
    if octets > MAX_LOCAL_OCTETS or octets + 1 + len(domain) > MAX_PATH_OCTETS:
        raise NoMailbox("the address is longer than mail servers take")
    return f"{local}@{domain}"
