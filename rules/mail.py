"""What a mail does: nothing twice, then the ticket it belongs to, else a ticket of its own (design 4)."""

from datetime import datetime

import msgspec

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
    if message.kind is not MailKind.HUMAN:  # a program may reference one made-up mail in all that it ever sends
        snapshot = msgspec.structs.replace(snapshot, threaded=())
    case = _Case(
        message=message,
        envelope=envelope,
        snapshot=snapshot,
        judgement=same(message, participants_sha256, snapshot.seen, envelope.received_at),
        trust=trust,
        ruleset=ruleset,
        desk=desk,
        now=now,
    )
    if case.judgement.duplicate:
        return _repeat(case)
    if snapshot.returned is not None and message.kind is MailKind.BOUNCE:
        return undelivered(signal, snapshot.returned, desk, trust=trust.level)
    decision, used = _new(case), snapshot.budgets_used
    return spending_told(with_breaker(decision, message, envelope, used=used, settings=ruleset.settings, desk=desk, now=now), used)


class _Case(msgspec.Struct, frozen=True, kw_only=True):
    """One mail with all that is known when it is judged."""

    message: UserMessage
    envelope: Envelope
    snapshot: MailSnapshot
    judgement: Judgement
    trust: TrustVerdict
    ruleset: Ruleset
    desk: Desk
    now: datetime

    def judged(self) -> Verdict:
        """What the rules say of it; where there is none, nobody need make the facts for them."""
        if not self.ruleset.compiled:
            return Verdict()
        return judge(self.ruleset, facts_of_mail(self.message, self.envelope, self.trust.level, self.snapshot.person))

    def opened(self, verdict: Verdict, *, teams: tuple[str, ...], suggested_id: int | None = None, copy_of: int | None = None) -> Decision:
        """A ticket of its own."""
        return open_for_mail(
            self.message, self.envelope, self.snapshot, verdict=verdict, trust=self.trust, ruleset=self.ruleset, desk=self.desk,
            now=self.now, suggested_id=suggested_id, teams=teams, copy_of=copy_of,
        )  # fmt: skip


def _new(case: _Case) -> Decision:
    """The decision for a mail that was not here before."""
    message, envelope, snapshot, ruleset, desk, now = case.message, case.envelope, case.snapshot, case.ruleset, case.desk, case.now
    against = screened(message, envelope, ruleset.settings)
    if against is not None:
        return _recorded(*against, case.trust)
    spoken = authority(message, case.trust, snapshot.reply_to, desk, now) if snapshot.reply_to is not None else None
    if spoken is not None:
        case = msgspec.structs.replace(case, trust=spoken.trust)
    trust, verdict = case.trust, case.judged()
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
    earlier = case.judgement.earlier
    related = earlier.ticket_id if case.judgement.sameness is Sameness.REUSED_ID and earlier is not None else None
    if passed_on and found.ticket is not None:
        related = found.ticket.id
    teams = () if _chosen(verdict, desk) else teams_addressed(desk, message, envelope.forward_paths)
    return case.opened(verdict, teams=teams, suggested_id=related)


def _repeat(case: _Case) -> Decision:
    """A mail that was here before: nothing, unless this copy came to a team that no copy before came to (P2, fault F62).

    Only a mail that opened a ticket opens one for the other team too; an answer lands on its ticket whatever mailbox it took.
    """
    message, envelope, snapshot, desk, trust = case.message, case.envelope, case.snapshot, case.desk, case.trust
    earlier = case.judgement.earlier
    assert earlier is not None, "what is a duplicate is one of something"
    reasons = Reasons(code=case.judgement.sameness.value, sentence="The same mail was here before.", trust=trust.level)
    duplicate = Decision(outcome=Outcome.DUPLICATE, ticket_id=earlier.ticket_id, reasons=reasons)
    paths = [each.forward_paths for each in snapshot.seen]
    if any(each is None for each in paths):  # retention took an envelope: which teams had the mail is not known any more
        return duplicate
    served = {team for each in paths if each is not None for team in teams_addressed(desk, message, each)}
    left = tuple(each for each in teams_addressed(desk, message, envelope.forward_paths) if each not in served)
    if not left or earlier.ticket_id is None or match(snapshot, trust.level).strength is not Strength.NONE:
        return duplicate
    verdict = case.judged()
    if verdict.suppress or _chosen(verdict, desk) or snapshot.reply_to is not None:
        return duplicate
    return case.opened(verdict, teams=left, copy_of=earlier.ticket_id)


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
