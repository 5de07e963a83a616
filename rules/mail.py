"""What a mail does: nothing twice, then the ticket it belongs to, else a ticket of its own (design 4)."""

from datetime import datetime

from itsm.address import canonical
from itsm.decision import AddEntry, Decision, Direction, MarkUndelivered, Reasons, Visibility
from itsm.envelope import Envelope, Outcome
from itsm.service import Desk
from itsm.signal import DeliveryReport, MailKind, UserMessage
from rules.agent_mail import decide_agent_mail
from rules.authentication import TrustVerdict
from rules.authority import authority
from rules.follow_up import follow_up
from rules.opening import open_for_mail
from rules.ruleset import Ruleset, Verdict, facts_of_mail, judge
from rules.sameness import Sameness, same
from rules.snapshot import MailSnapshot, Returned
from rules.threading import Strength, match

RECORDED_KINDS = frozenset({MailKind.AUTO_REPLY, MailKind.BOUNCE, MailKind.FEEDBACK})


def decide_mail(
    signal: UserMessage | DeliveryReport,
    envelope: Envelope,
    snapshot: MailSnapshot,
    *,
    participants_sha256: bytes,
    trust: TrustVerdict,
    ruleset: Ruleset,
    desk: Desk,
    now: datetime,
) -> Decision:
    """The decision for one mail.

    In order: a mail of our own that came back is recorded; a repeat is a duplicate; a report of ours goes to its
    ticket; rules may suppress; what came to a reply address of an agent is theirs or held; then threading; machine answers without a thread are recorded; the rest opens a ticket.
    """
    message = signal.message if isinstance(signal, DeliveryReport) else signal
    if snapshot.ours:
        return _recorded("own_mail", "This mail carries our own loop mark: we sent it.", trust)
    judgement = same(message, participants_sha256, snapshot.seen, envelope.received_at)
    if judgement.duplicate and judgement.earlier is not None:
        reasons = Reasons(code=judgement.sameness.value, sentence="The same mail was here before.", trust=trust.level)
        return Decision(outcome=Outcome.DUPLICATE, ticket_id=judgement.earlier.ticket_id, reasons=reasons)
    if snapshot.returned is not None and message.kind is MailKind.BOUNCE:
        return _undelivered(signal, snapshot.returned, trust)
    spoken = authority(message, trust, snapshot.reply_to, desk, now) if snapshot.reply_to is not None else None
    trust = spoken.trust if spoken is not None else trust
    verdict = judge(ruleset, facts_of_mail(message, envelope, trust.level, snapshot.person))
    if verdict.suppress:
        return Decision(
            outcome=Outcome.SUPPRESSED, reasons=_reasons("suppressed_by_rule", "A rule suppresses it.", verdict, ruleset, trust)
        )
    if spoken is not None and snapshot.reply_to is not None:
        return decide_agent_mail(message, snapshot.reply_to.ticket, spoken, snapshot, ruleset=ruleset, desk=desk, now=now)
    found = match(snapshot, trust.level)
    if found.strength is not Strength.NONE:
        return follow_up(
            message, found, verdict=verdict, trust=trust, ruleset=ruleset, desk=desk, now=now, envelope=envelope, snapshot=snapshot
        )
    if message.kind in RECORDED_KINDS:
        return _recorded(
            f"{message.kind.value}_without_thread", "An automatic mail that answers nothing of ours is kept, not ticketed.", trust
        )
    related = judgement.earlier.ticket_id if judgement.sameness is Sameness.REUSED_ID and judgement.earlier is not None else None
    return open_for_mail(
        message, envelope, snapshot, verdict=verdict, trust=trust, ruleset=ruleset, desk=desk, now=now, suggested_id=related
    )


def _reasons(code: str, sentence: str, verdict: Verdict, ruleset: Ruleset, trust: TrustVerdict) -> Reasons:
    return Reasons(
        code=code,
        sentence=sentence,
        ruleset_sha256=ruleset.sha256,
        rules=verdict.rules,
        values=verdict.values,
        near_misses=verdict.near_misses,
        trust=trust.level,
    )


def _recorded(code: str, sentence: str, trust: TrustVerdict) -> Decision:
    return Decision(outcome=Outcome.RECORDED, reasons=Reasons(code=code, sentence=sentence, trust=trust.level))


def _undelivered(signal: UserMessage | DeliveryReport, returned: Returned, trust: TrustVerdict) -> Decision:
    """A bounce that names our notification by its VERP token goes to that ticket and is answered by nobody."""
    recipients = signal.recipients if isinstance(signal, DeliveryReport) else ()
    told = "; ".join(f"{each.address}: {each.status or each.action or 'failed'} {each.diagnostic or ''}".strip() for each in recipients[:5])
    entry = AddEntry(
        ticket_id=returned.ticket.id,
        direction=Direction.INBOUND,
        visibility=Visibility.INTERNAL,
        author=canonical(returned.recipient),
        text=told,
        from_signal=True,
        note="A mail of ours could not be delivered.",
    )
    reasons = Reasons(code="returned_to_sender", sentence="Its address carries our token for that notification.", trust=trust.level)
    effects = (entry, MarkUndelivered(notification_id=returned.notification_id))
    return Decision(outcome=Outcome.APPENDED, ticket_id=returned.ticket.id, effects=effects, reasons=reasons)
