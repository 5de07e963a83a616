"""What a mail does: nothing twice, then the ticket it belongs to, else a ticket of its own (design 4)."""

from datetime import datetime

from itsm.decision import Decision, Reasons
from itsm.envelope import Envelope, Outcome
from itsm.service import Desk
from itsm.signal import DeliveryReport, MailKind, UserMessage
from rules.agent_mail import decide_agent_mail
from rules.audience import teams_addressed
from rules.authentication import TrustVerdict
from rules.authority import authority
from rules.budget import spending_told
from rules.follow_up import follow_up
from rules.forwarding import is_forward
from rules.loops import with_breaker
from rules.opening import open_for_mail
from rules.ruleset import Ruleset, Verdict, facts_of_mail, judge
from rules.sameness import Judgement, Sameness, same
from rules.screening import screened
from rules.snapshot import MailSnapshot
from rules.threading import Strength, match
from rules.undelivered import undelivered

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

    In order: a mail of our own that came back is recorded; a repeat is a duplicate, unless it came to another team as well; a
    report of ours goes to its ticket; senders on the block list and spam are recorded; rules may suppress; what came to a reply
    address of an agent is theirs or held; then threading, which a forward does not follow; machine answers without a thread
    are recorded; the rest opens a ticket. A mail that meets the end of a budget against loops opens an incident besides.
    """
    message = signal.message if isinstance(signal, DeliveryReport) else signal
    if snapshot.ours:
        return _recorded("own_mail", "This mail carries our own loop mark: we sent it.", trust)
    judgement = same(message, participants_sha256, snapshot.seen, envelope.received_at)
    if judgement.duplicate:
        return _repeat(message, envelope, snapshot, judgement, trust=trust, ruleset=ruleset, desk=desk, now=now)
    if snapshot.returned is not None and message.kind is MailKind.BOUNCE:
        return undelivered(signal, snapshot.returned, desk, trust=trust.level)
    decision = _new(message, envelope, snapshot, judgement, trust=trust, ruleset=ruleset, desk=desk, now=now)
    used = snapshot.budgets_used
    return spending_told(with_breaker(decision, message, envelope, used=used, settings=ruleset.settings, desk=desk, now=now), used)


def _new(
    message: UserMessage,
    envelope: Envelope,
    snapshot: MailSnapshot,
    judgement: Judgement,
    *,
    trust: TrustVerdict,
    ruleset: Ruleset,
    desk: Desk,
    now: datetime,
) -> Decision:
    """The decision for a mail that was not here before."""
    against = screened(message, envelope, ruleset.settings)
    if against is not None:
        return _recorded(*against, trust)
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
    passed_on = found.ticket is not None and message.kind is MailKind.HUMAN and is_forward(message.subject)
    if found.strength is not Strength.NONE and not passed_on:
        return follow_up(
            message, found, verdict=verdict, trust=trust, ruleset=ruleset, desk=desk, now=now, envelope=envelope, snapshot=snapshot
        )
    if message.kind in RECORDED_KINDS:
        return _recorded(
            f"{message.kind.value}_without_thread", "An automatic mail that answers nothing of ours is kept, not ticketed.", trust
        )
    related = judgement.earlier.ticket_id if judgement.sameness is Sameness.REUSED_ID and judgement.earlier is not None else None
    if passed_on and found.ticket is not None:
        related = found.ticket.id
    teams = () if _chosen(verdict, desk) else teams_addressed(desk, message, envelope.forward_paths)
    return open_for_mail(
        message, envelope, snapshot, verdict=verdict, trust=trust, ruleset=ruleset, desk=desk, now=now, suggested_id=related, teams=teams
    )


def _repeat(
    message: UserMessage,
    envelope: Envelope,
    snapshot: MailSnapshot,
    judgement: Judgement,
    *,
    trust: TrustVerdict,
    ruleset: Ruleset,
    desk: Desk,
    now: datetime,
) -> Decision:
    """A mail that was here before: nothing, unless this copy came to a team that no copy before came to (P2, fault F62).

    Only a mail that opened a ticket opens one for the other team too; an answer lands on its ticket whatever mailbox it took.
    """
    earlier = judgement.earlier
    assert earlier is not None, "what is a duplicate is one of something"
    reasons = Reasons(code=judgement.sameness.value, sentence="The same mail was here before.", trust=trust.level)
    duplicate = Decision(outcome=Outcome.DUPLICATE, ticket_id=earlier.ticket_id, reasons=reasons)
    paths = [each.forward_paths for each in snapshot.seen]
    if any(each is None for each in paths):  # retention took an envelope: which teams had the mail is not known any more
        return duplicate
    served = {team for each in paths if each is not None for team in teams_addressed(desk, message, each)}
    left = tuple(each for each in teams_addressed(desk, message, envelope.forward_paths) if each not in served)
    if not left or earlier.ticket_id is None or match(snapshot, trust.level).strength is not Strength.NONE:
        return duplicate
    verdict = judge(ruleset, facts_of_mail(message, envelope, trust.level, snapshot.person))
    if verdict.suppress or _chosen(verdict, desk) or snapshot.reply_to is not None:
        return duplicate
    return open_for_mail(
        message, envelope, snapshot, verdict=verdict, trust=trust, ruleset=ruleset, desk=desk, now=now, suggested_id=None, teams=left,
        copy_of=earlier.ticket_id,
    )  # fmt: skip


def _chosen(verdict: Verdict, desk: Desk) -> bool:
    """Whether a rule chose the team: then it does not matter whom the mail was sent to."""
    return bool(verdict.team) or any(each.key == verdict.service and each.team for each in desk.services)


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
