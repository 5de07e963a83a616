"""A mail of ours that came back: on its ticket, its address marked after a hard failure, the team told once (mail 62, 63)."""

import msgspec

from itsm.address import canonical
from itsm.decision import AddEntry, Decision, Direction, LiftUndeliverable, MarkUndeliverable, MarkUndelivered, Notify, Reasons, Visibility
from itsm.envelope import Outcome
from itsm.notification import Event
from itsm.service import Desk
from itsm.signal import DeliveryReport, MailKind, ReportedRecipient, UserMessage
from rules.audience import team_recipients
from rules.snapshot import MailSnapshot, Returned

MAX_TOLD = 5  # recipients of a report
MAX_REASON_CHARACTERS = 300
DELIVERED = frozenset({"delivered", "relayed", "expanded"})


def undelivered(signal: UserMessage | DeliveryReport, returned: Returned, desk: Desk, *, trust: int) -> Decision:
    """The decision for a report that names our notification by its VERP token; nobody answers it.

    A permanent failure marks the address, unless it is one of the desk's own: those who work here must be told by other ways,
    and never write, so that the mark would stay.
    """
    recipients = signal.recipients if isinstance(signal, DeliveryReport) else ()
    told = "; ".join(_words(each) for each in recipients[:MAX_TOLD])
    hard = next((each for each in recipients if each.permanent and each.action not in DELIVERED), None)
    address = canonical(returned.recipient)
    own = desk.inner_addresses
    marks = hard is not None and address not in own
    note = "A mail of ours could not be delivered."
    effects: list[MarkUndelivered | MarkUndeliverable | Notify] = [MarkUndelivered(notification_id=returned.notification_id)]
    if hard is not None and marks:
        note += f" Nothing more is sent to {address} until a mail comes from there."
        reason = _words(hard)[:MAX_REASON_CHARACTERS]
        effects.append(MarkUndeliverable(address=address, notification_id=returned.notification_id, reason=reason))
    if marks and not returned.marked:
        facts = {"words": told, "requester": address, "reason": f"mail to {address} comes back: nothing more is sent to it"}
        effects += [
            Notify(
                ticket_id=returned.ticket.id,
                event=Event.TEAM_REPLY,
                recipient=each.recipient,
                facts=facts,
                suppressed_because=each.suppressed_because,
            )
            for each in team_recipients(desk, returned.ticket)
        ]
    entry = AddEntry(
        ticket_id=returned.ticket.id,
        direction=Direction.INBOUND,
        visibility=Visibility.INTERNAL,
        author=address,
        text=told,
        from_signal=True,
        note=note,
    )
    reasons = Reasons(
        code="undeliverable" if marks else "returned_to_sender",
        sentence="Its address carries our token for that notification.",
        values={"permanent": "yes" if hard is not None else "no"},
        trust=trust,
    )
    return Decision(outcome=Outcome.APPENDED, ticket_id=returned.ticket.id, effects=(entry, *effects), reasons=reasons)


def _words(recipient: ReportedRecipient) -> str:
    return f"{recipient.address}: {recipient.status or recipient.action or 'failed'} {recipient.diagnostic or ''}".strip()


def lifted(decision: Decision, message: UserMessage, snapshot: MailSnapshot) -> Decision:
    """The decision with the mark lifted, where the mail is a person's and their address had one: who writes can be written to."""
    if not snapshot.sender_marked or message.kind is not MailKind.HUMAN or message.sender is None:
        return decision
    lift = LiftUndeliverable(address=canonical(message.sender.address))
    return msgspec.structs.replace(decision, effects=(*decision.effects, lift))
