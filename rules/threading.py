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
    THREAD = "thread"  # references a mail that nobody here saw, as one of the ticket does on the same topic; a participant
    TOPIC = "topic"  # the same, and the sender is a stranger to the ticket
    NONE = "none"


_ORDER = tuple(Strength)


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
        return self.strength in (Strength.MINTED, Strength.PARTICIPANT, Strength.SUBJECT, Strength.THREAD)


Way = tuple[Strength, Ticket, str | None]  # and the reference, None for the number in the subject


def candidates(snapshot: MailSnapshot, trust: int) -> tuple[str, ...]:
    """Every way the mail could lead to a ticket, strongest first, as the trace shows it: strength, number, reference."""
    return _shown(_ways(snapshot, trust))


def match(snapshot: MailSnapshot, trust: int) -> Match:
    """The strongest match. A stored reference of a participant counts as theirs only with authenticated mail.

    Without authentication anyone can write a known address into From and a seen Message-ID into References; only the
    Message-ID that we minted for that address proves that they have read our mail to it. Two answers to a mail that nobody
    here saw are one thread when their topic is one as well (RFC 8621 3): people answer an old mail to find its address again.
    """
    ways = _ways(snapshot, trust)
    shown = _shown(ways)
    if not ways or ways[0][0] is Strength.NONE:
        return Match(strength=Strength.NONE, candidates=shown)
    strength, ticket, message_id = ways[0]
    return Match(strength=strength, ticket=ticket, message_id=message_id, candidates=shown)


def _ways(snapshot: MailSnapshot, trust: int) -> list[Way]:
    """Every way, strongest first; of one strength as they came."""
    if not snapshot.referenced and not snapshot.threaded and snapshot.by_subject is None:  # nearly every new mail
        return []
    ways: list[Way] = [(_of_reference(each, trust), each.ticket, each.message_id) for each in snapshot.referenced]
    ways += [(_of_thread(each, trust), each.ticket, each.message_id) for each in snapshot.threaded]
    if snapshot.by_subject is not None:
        enough = snapshot.by_subject_participant and trust >= 1
        ways.append((Strength.SUBJECT if enough else Strength.NONE, snapshot.by_subject, None))
    return sorted(ways, key=lambda each: _ORDER.index(each[0]))


def _shown(ways: list[Way]) -> tuple[str, ...]:
    return tuple(
        f"{strength.value} {number_text(ticket.type, ticket.number)} {message_id or 'number in the subject'}"
        for strength, ticket, message_id in ways[:MAX_CANDIDATES]
    )


def _of_reference(each: Referenced, trust: int) -> Strength:
    if each.minted_for_sender:
        return Strength.MINTED
    return Strength.PARTICIPANT if each.participant and trust >= 1 else Strength.REFERENCE


def _of_thread(each: Referenced, trust: int) -> Strength:
    return Strength.THREAD if each.participant and trust >= 1 else Strength.TOPIC
