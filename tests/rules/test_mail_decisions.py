"""What a mail does: nothing twice, the right ticket, no loop."""

from datetime import timedelta

import pytest

from itsm.address import Address
from itsm.decision import AddEntry, ChangeTicket, ClearTimer, LinkTickets, MarkUndelivered, Notify, OpenTicket, SpendBudget, Visibility
from itsm.envelope import Outcome
from itsm.notification import Event
from itsm.signal import DeliveryReport, MailKind, ReportedRecipient
from itsm.ticket import State, TicketType
from rules.authentication import TrustVerdict
from rules.mail import decide_mail
from rules.settings import Rule
from rules.snapshot import MailSnapshot, Referenced, Returned, SeenBefore
from tests.rules.worlds import DESK, NOW, effects, envelope, mail, ruleset, ticket

RULES = ruleset()


def decide(message=None, snapshot=None, *, trust=0, rules=RULES, where=None, people=b"people", desk=DESK):
    return decide_mail(
        message or mail(),
        where or envelope(),
        snapshot or MailSnapshot(),
        participants_sha256=people,
        trust=TrustVerdict(level=trust, reason=""),
        ruleset=rules,
        desk=desk,
        now=NOW,
    )


def seen(content=b"content", people=b"people", minutes=1, to=7):
    return SeenBefore(content_sha256=content, participants_sha256=people, ticket_id=to, received_at=NOW - timedelta(minutes=minutes))


def refers(found, *, minted=True, participant=True):
    return MailSnapshot(referenced=(Referenced(message_id="ours@d", ticket=found, minted_for_sender=minted, participant=participant),))


def test_a_new_mail_opens_an_incident_and_is_acknowledged():
    decision = decide()
    (opened,) = effects(decision, OpenTicket)
    assert decision.outcome is Outcome.CREATED
    assert opened.ticket.type is TicketType.INCIDENT
    assert (opened.ticket.priority, opened.ticket.team, opened.ticket.requester) == (4, "desk", "ana@corp.example")
    told = {notify.event: notify for notify in effects(decision, Notify)}
    assert told[Event.ACKNOWLEDGED].suppressed_because is None
    assert told[Event.ACKNOWLEDGED].facts["trusted"] == ""
    assert told[Event.TEAM_NEW].recipient.address == "team@corp.example"
    assert len(effects(decision, SpendBudget)) == 5


def test_an_authenticated_sender_sees_their_own_words_again():
    decision = decide(trust=1)
    assert [notify.facts["trusted"] for notify in effects(decision, Notify) if notify.event is Event.ACKNOWLEDGED] == ["yes"]


def test_a_mail_without_subject_sender_or_message_id_still_gets_its_ticket():
    decision = decide(mail(subject=" ", sender=None, message_id=None))
    (opened,) = effects(decision, OpenTicket)
    assert opened.ticket.subject == "(no subject)"
    assert opened.ticket.requester == ""
    assert [notify.event for notify in effects(decision, Notify)] == [Event.TEAM_NEW]


def test_team_notices_can_be_switched_off():
    assert [notify.event for notify in effects(decide(rules=ruleset(team_notices=False)), Notify)] == [Event.ACKNOWLEDGED]


def test_rules_choose_service_and_with_it_the_team():
    rules = ruleset(rule=(Rule(key="mail", when={"subject": {"contains": "printer"}}, service="mail", tags=("x",)),))
    (opened,) = effects(decide(rules=rules), OpenTicket)
    assert (opened.ticket.service, opened.ticket.team, opened.ticket.tags) == ("mail", "net", ("x",))


def test_a_rule_may_suppress():
    rules = ruleset(rule=(Rule(key="quiet", when={"from_domain": "corp.example"}, suppress=True),))
    decision = decide(rules=rules)
    assert decision.outcome is Outcome.SUPPRESSED
    assert decision.effects == ()
    assert decision.reasons.rules == ("quiet",)


def test_our_own_mail_that_came_back_is_recorded():
    assert decide(snapshot=MailSnapshot(ours=True)).outcome is Outcome.RECORDED


def test_the_same_mail_twice_is_a_duplicate_without_effect():
    decision = decide(snapshot=MailSnapshot(seen=(seen(),)))
    assert (decision.outcome, decision.ticket_id, decision.effects) == (Outcome.DUPLICATE, 7, ())


def test_a_second_form_of_a_mail_is_a_duplicate():
    decision = decide(snapshot=MailSnapshot(seen=(seen(content=b"with a footer"),)))
    assert decision.outcome is Outcome.DUPLICATE
    assert decision.reasons.code == "second_form"


def test_a_reused_message_id_of_other_people_is_its_own_ticket_with_a_link():
    decision = decide(snapshot=MailSnapshot(seen=(seen(content=b"other", people=b"others"),)))
    assert decision.outcome is Outcome.CREATED
    assert effects(decision, LinkTickets) == [LinkTickets(ticket_id=-1, other_id=7, kind="suggested")]


def test_mails_without_message_id_are_the_same_within_half_an_hour():
    message = mail(message_id=None)
    assert decide(message, MailSnapshot(seen=(seen(minutes=29),))).outcome is Outcome.DUPLICATE
    assert decide(message, MailSnapshot(seen=(seen(minutes=31),))).outcome is Outcome.CREATED


def test_a_reply_to_our_mail_is_appended_and_the_team_is_told():
    decision = decide(snapshot=refers(ticket()))
    assert (decision.outcome, decision.ticket_id) == (Outcome.APPENDED, 1)
    assert effects(decision, AddEntry)[0].visibility is Visibility.PUBLIC
    assert [notify.event for notify in effects(decision, Notify)] == [Event.TEAM_REPLY]
    assert effects(decision, ChangeTicket) == []


def test_a_reply_reopens_a_resolved_incident():
    decision = decide(snapshot=refers(ticket(state=State.RESOLVED, resolved_at=NOW - timedelta(days=2))))
    (change,) = effects(decision, ChangeTicket)
    assert (change.after.state, change.after.reopen_count, change.after.resolved_at) == (State.IN_PROGRESS, 1, None)
    assert len(effects(decision, ClearTimer)) == 1
    assert decision.reasons.code == "reopened_by_reply"


def test_a_reply_wakes_a_ticket_that_waits_for_the_customer_and_no_other():
    (change,) = effects(decide(snapshot=refers(ticket(state=State.PENDING, pending_reason="customer"))), ChangeTicket)
    assert change.after.state is State.IN_PROGRESS
    assert effects(decide(snapshot=refers(ticket(state=State.PENDING, pending_reason="vendor"))), ChangeTicket) == []


@pytest.mark.parametrize("old", [ticket(state=State.CLOSED), ticket(state=State.RESOLVED, resolved_at=NOW - timedelta(days=8))])
def test_a_reply_after_the_window_opens_a_new_linked_ticket(old):
    decision = decide(snapshot=refers(old))
    assert decision.outcome is Outcome.CREATED
    assert effects(decision, LinkTickets) == [LinkTickets(ticket_id=-1, other_id=1, kind="follows")]


def test_a_stranger_who_knows_a_message_id_leaves_a_held_note_only():
    decision = decide(snapshot=refers(ticket(state=State.RESOLVED, resolved_at=NOW), minted=False, participant=False), trust=1)
    assert decision.outcome is Outcome.APPENDED
    (entry,) = effects(decision, AddEntry)
    assert entry.visibility is Visibility.HELD
    assert effects(decision, ChangeTicket) == []


def test_a_known_from_without_authentication_is_no_proof():
    decision = decide(snapshot=refers(ticket(), minted=False, participant=True), trust=0)
    assert effects(decision, AddEntry)[0].visibility is Visibility.HELD
    decision = decide(snapshot=refers(ticket(), minted=False, participant=True), trust=1)
    assert effects(decision, AddEntry)[0].visibility is Visibility.PUBLIC


def test_a_number_in_the_subject_needs_an_authenticated_participant():
    here = ticket()
    believed = MailSnapshot(by_subject=here, by_subject_participant=True)
    assert decide(snapshot=believed, trust=1).outcome is Outcome.APPENDED
    for snapshot, trust in ((believed, 0), (MailSnapshot(by_subject=here), 1)):
        decision = decide(snapshot=snapshot, trust=trust)
        assert decision.outcome is Outcome.CREATED
        assert effects(decision, OpenTicket)[0].ticket.suggested_for == 1042
        assert effects(decision, LinkTickets)[0].kind == "suggested"


def test_an_out_of_office_is_appended_and_changes_nothing():
    message = mail(kind=MailKind.AUTO_REPLY)
    decision = decide(message, refers(ticket(state=State.RESOLVED, resolved_at=NOW)))
    assert decision.outcome is Outcome.APPENDED
    assert [type(effect) for effect in decision.effects] == [AddEntry]
    assert decide(message).outcome is Outcome.RECORDED


def test_a_bounce_finds_its_notification_by_our_token():
    report = DeliveryReport(
        message=mail(kind=MailKind.BOUNCE, sender=Address(address="mailer-daemon@x")),
        recipients=(ReportedRecipient(address="ana@corp.example", status="5.1.1", diagnostic="no such user"),),
    )
    returned = MailSnapshot(returned=Returned(notification_id=55, recipient="ana@corp.example", ticket=ticket()))
    decision = decide(report, returned)
    assert effects(decision, MarkUndelivered) == [MarkUndelivered(notification_id=55)]
    assert "5.1.1 no such user" in effects(decision, AddEntry)[0].text
    assert effects(decision, Notify) == []
    assert decide(report).outcome is Outcome.RECORDED
    assert decide(mail(kind=MailKind.BOUNCE), returned).outcome is Outcome.APPENDED


def test_machine_mail_opens_a_ticket_and_is_never_answered():
    decision = decide(mail(kind=MailKind.MACHINE, unanswerable="it is automatic"))
    assert decision.outcome is Outcome.CREATED
    answered = [notify for notify in effects(decision, Notify) if notify.event is Event.ACKNOWLEDGED]
    assert answered[0].suppressed_because is not None
    assert [spent.key for spent in effects(decision, SpendBudget)] == ["notice/sender/ana@corp.example"]


def test_a_suppressed_second_answer_keeps_the_ticket():
    rules = ruleset(rule=(Rule(key="x", acknowledge=False),))
    assert decide(rules=rules).outcome is Outcome.CREATED


def test_a_held_mail_of_nobody_is_still_a_held_mail():
    decision = decide(mail(sender=None), refers(ticket(), minted=False, participant=False))
    assert effects(decision, AddEntry)[0].author == ""


def test_a_reply_without_name_or_id_is_told_all_the_same():
    decision = decide(mail(message_id=None, reply_text="", sender=None), refers(ticket(state=State.RESOLVED, resolved_at=NOW)))
    assert effects(decision, Notify)[0].facts["words"] == "It is broken again."
    assert effects(decision, ChangeTicket)[0].actor == ""


def test_a_reply_long_after_a_rule_suppressed_stays_suppressed():
    rules = ruleset(rule=(Rule(key="quiet", suppress=True),))
    assert decide(snapshot=refers(ticket(state=State.CLOSED)), rules=rules).outcome is Outcome.SUPPRESSED
