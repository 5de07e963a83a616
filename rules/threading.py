"""Which ticket a mail belongs to, by strength, with the reason (design 4, 6; mail cases 12 to 15)."""

from enum import StrEnum

import msgspec

from itsm.ticket import Ticket, number_text
from rules.snapshot import MailSnapshot, Referenced

MAX_CANDIDATES = 10  # that a decision keeps


class Strength(StrEnum):
    """How sure we are, strongest first; stored with the decision."""

    MINTED = "minted"  # references a Message-ID we minted for this very From address
    PARTICIPANT = "participant"  # references a stored Message-ID, and the sender stands on the ticket
    REFERENCE = "reference"  # references a stored Message-ID, the sender is a stranger to the ticket
    SUBJECT = "subject"  # only the number in the subject; enough for an authenticated participant
    NONE = "none"


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """The ticket a mail leads to and how; `ticket` is None with Strength.NONE. `trusted` may change the ticket's state.

    `candidates` is every way it could have led to a ticket, as the trace shows it.
    """

    strength: Strength
    ticket: Ticket | None = None
    message_id: str | None = None
    candidates: tuple[str, ...] = ()

    @property
    def trusted(self) -> bool:
        """Whether the sender may append in the open and reopen (design 6, levels 0 and 1)."""
        return self.strength in (Strength.MINTED, Strength.PARTICIPANT, Strength.SUBJECT)


def candidates(snapshot: MailSnapshot, trust: int) -> tuple[str, ...]:
    """Every way the mail could lead to a ticket, strongest first, as the trace shows it: strength, number, reference."""
    if not snapshot.referenced and snapshot.by_subject is None:  # nearly every new mail
        return ()
    found = [(_strength(each, trust), each.ticket, each.message_id) for each in snapshot.referenced]
    if snapshot.by_subject is not None:
        enough = snapshot.by_subject_participant and trust >= 1
        found.append((Strength.SUBJECT if enough else Strength.NONE, snapshot.by_subject, "number in the subject"))
    order = list(Strength)
    found.sort(key=lambda each: order.index(each[0]))
    return tuple(f"{strength.value} {number_text(ticket.type, ticket.number)} {why}" for strength, ticket, why in found[:MAX_CANDIDATES])


def _strength(each: Referenced, trust: int) -> Strength:
    if each.minted_for_sender:
        return Strength.MINTED
    return Strength.PARTICIPANT if each.participant and trust >= 1 else Strength.REFERENCE


def match(snapshot: MailSnapshot, trust: int) -> Match:
    """The strongest match. A stored reference of a participant counts as theirs only with authenticated mail.

    Without authentication anyone can write a known address into From and a seen Message-ID into References; only the
    Message-ID that we minted for that address proves that they have read our mail to it.
    """
    found, shown = snapshot.referenced, candidates(snapshot, trust)
    for each in found:
        if each.minted_for_sender:
            return Match(strength=Strength.MINTED, ticket=each.ticket, message_id=each.message_id, candidates=shown)
    for each in found:
        if each.participant and trust >= 1:
            return Match(strength=Strength.PARTICIPANT, ticket=each.ticket, message_id=each.message_id, candidates=shown)
    if found:
        return Match(strength=Strength.REFERENCE, ticket=found[0].ticket, message_id=found[0].message_id, candidates=shown)
    if snapshot.by_subject is not None and snapshot.by_subject_participant and trust >= 1:
        return Match(strength=Strength.SUBJECT, ticket=snapshot.by_subject, candidates=shown)
    return Match(strength=Strength.NONE, candidates=shown)
