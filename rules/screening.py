"""Senders the desk does not want to hear and mail that a listed host called spam: kept, no ticket, no answer."""

from itsm.address import canonical, domain_of
from itsm.envelope import Channel, Envelope
from itsm.signal import UserMessage
from rules.authentication import is_peer
from rules.settings import RulesSettings

BLOCKED, SPAM = "blocked_sender", "flagged_as_spam"


def screened(message: UserMessage, envelope: Envelope, settings: RulesSettings) -> tuple[str, str] | None:
    """The code and the sentence why a mail is recorded and no more, or None."""
    sender = canonical(message.sender.address) if message.sender else ""
    entry = _blocked(sender, settings.blocked_senders)
    if entry:
        return BLOCKED, f"Its From address is on the block list ({entry})."
    if message.flagged_as_spam and _told_by_a_listed_host(envelope, settings.spam_flags_from):
        return SPAM, "A listed host flagged it as spam (X-Spam-Flag: YES)."
    return None


def _blocked(sender: str, listed: tuple[str, ...]) -> str:
    """The entry that names the address: itself, its domain, or a domain above it."""
    domain = domain_of(sender)
    for entry in listed:
        wanted = canonical(entry)
        name = wanted.lstrip("@").removeprefix(".")
        if sender and (wanted == sender or ("@" not in name and (domain == name or domain.endswith(f".{name}")))):
            return entry
    return ""


def _told_by_a_listed_host(envelope: Envelope, listed: tuple[str, ...]) -> bool:
    """The header counts only from a host that removes what strangers wrote: a network listed here, or a listed mailbox."""
    if envelope.channel is Channel.IMAP:
        return envelope.source in listed
    return envelope.channel is Channel.SMTP and any(is_peer(envelope.peer, each) for each in listed if _is_network(each))


def _is_network(entry: str) -> bool:
    return entry[:1].isdigit() or ":" in entry
