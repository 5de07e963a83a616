"""Guards that need no header: same words, a budget a ticket, few reopenings, and the breaker that tells people once."""

from datetime import UTC, datetime, timedelta

import pytest

from itsm.address import Address
from itsm.decision import AddEntry, ChangeTicket, LinkTickets, Notify, OpenTicket, SpendBudget, Visibility
from itsm.envelope import Outcome
from itsm.notification import Event
from itsm.signal import MailKind
from itsm.ticket import State
from rules.answer import CHAINED, HAS_NUMBER, SAID_BEFORE
from rules.budget import breaker_keys, every_key, notice_key, reopen_key, repeat_keys, ticket_key, words_key
from rules.loops import LOOP_SUBJECT
from rules.settings import Budgets, RulesSettings
from rules.snapshot import MailSnapshot, Referenced
from tests.rules.test_mail_decisions import decide
from tests.rules.worlds import NOW, changed, effects, mail, ruleset, ticket

SETTINGS = RulesSettings()
RESOLVED = ticket(state=State.RESOLVED, resolved_at=NOW - timedelta(hours=1))


def used_up(*keys):
    return {(key.key, key.window_start): key.limit for key in keys}


def world(found=None, minted=True, used=None, **fields):
    referenced = (Referenced(message_id="ours@d", ticket=found, minted_for_sender=minted, participant=minted),) if found else ()
    return MailSnapshot(referenced=referenced, budgets_used=used or {}, **fields)


def told(decision, event=Event.TEAM_REPLY):
    return [each.suppressed_because for each in effects(decision, Notify) if each.event is event]


def test_an_answer_draws_on_the_budget_of_its_ticket_whoever_writes():
    key = ticket_key(1, SETTINGS, NOW)
    assert key.spend() in effects(decide(snapshot=world(ticket())), SpendBudget)
    for sender in ("ana@corp.example", "other@corp.example"):
        decision = decide(mail(sender=Address(address=sender)), world(ticket(), used=used_up(key)))
        assert decision.outcome is Outcome.APPENDED
        assert told(decision) == ["mails on this ticket caused too many notices this hour"]


def test_the_words_of_a_doubted_sender_are_told_twice_a_day_and_those_of_a_proven_one_always():
    key = words_key(mail(), SETTINGS, NOW)
    assert told(decide(snapshot=world(ticket(), minted=False, used=used_up(key)))) == [
        "the same words came from that domain again and again today"
    ]
    assert told(decide(snapshot=world(ticket(), used=used_up(key)))) == [None]


def test_words_are_the_same_when_only_numbers_tags_and_signs_differ():
    first = mail(reply_text="I am away until 3 May. Ticket [INC-1042]!")
    second = mail(reply_text="I am  away until 17 May.  Ticket [INC-2001]", sender=Address(address="x99@corp.example"))
    other = mail(reply_text="Who are you?")
    keys = [words_key(each, SETTINGS, NOW).key for each in (first, second, other)]
    assert keys[0] == keys[1] != keys[2]
    assert words_key(mail(text="", reply_text="", sender=None), SETTINGS, NOW).key.startswith("notice/words//")


@pytest.mark.parametrize(
    ("one", "another"),
    [
        ("[Ticket ABC] We have it.", "[Ticket DEF] We have it."),
        ("We have case x17, thank you.", "We have case x18, thank you."),
        ("Wir haben es – danke", "Wir haben es: danke"),
        ("Für Sie – danke", "Für Sie: danke"),
    ],
)
def test_a_tag_of_letters_an_identifier_and_a_sign_do_not_make_other_words(one, another):
    assert words_key(mail(reply_text=one), SETTINGS, NOW) == words_key(mail(reply_text=another), SETTINGS, NOW)


@pytest.mark.parametrize(
    ("one", "another"),
    [
        ("At 17 it is done.", "At 17 it is lost."),
        ("Für Sie – danke", "Für Sie – bitte"),
        ("[Printer is broken", "[Router is broken"),
        ("[" + "a" * 41 + "] We have it.", "[" + "b" * 41 + "] We have it."),
    ],
)
def test_words_beside_a_number_with_a_full_stop_and_in_what_is_no_tag_are_words(one, another):
    assert words_key(mail(reply_text=one), SETTINGS, NOW) != words_key(mail(reply_text=another), SETTINGS, NOW)


def test_a_text_that_comes_again_is_answered_twice_in_two_weeks_whatever_its_numbers():
    first = mail(subject="Your request 17", reply_text="We have it, case 4711.", sender=Address(address="desk+4711@other.example"))
    again = mail(subject="Your request 18", reply_text="We have it, case 4712.", sender=Address(address="desk+4712@other.example"))
    this_week, last_week = repeat_keys(again, SETTINGS, NOW)
    assert (this_week, last_week) == repeat_keys(first, SETTINGS, NOW)
    assert (this_week.window_start, last_week.window_start) == (datetime(2026, 3, 23, tzinfo=UTC), datetime(2026, 3, 16, tzinfo=UTC))
    assert this_week.spend() in effects(decide(first), SpendBudget)
    assert last_week.spend() not in effects(decide(first), SpendBudget)
    assert this_week.limit == 2
    for used, answered in (
        ({}, True),
        ({(this_week.key, this_week.window_start): 1}, True),
        (used_up(this_week), False),
        (used_up(last_week), False),
    ):
        decision = decide(again, world(used=used))
        assert decision.outcome is Outcome.CREATED
        assert told(decision, Event.ACKNOWLEDGED) == [None if answered else SAID_BEFORE]


@pytest.mark.parametrize(
    "other",
    [
        {"subject": "Another thing"},
        {"reply_text": "It is another thing."},
        {"sender": Address(address="bob@corp.example")},
        {"sender": Address(address="ana@other.example")},
    ],
)
def test_another_subject_text_or_sender_is_another_mail(other):
    assert repeat_keys(mail(**other), SETTINGS, NOW) != repeat_keys(mail(), SETTINGS, NOW)
    assert repeat_keys(mail(sender=None), SETTINGS, NOW)[0].key.startswith("answer/repeat/@/")


def test_the_week_of_a_repeat_begins_on_a_monday():
    for days in range(14):
        this_week, last_week = repeat_keys(mail(), SETTINGS, NOW + timedelta(days=days))
        assert this_week.window_start == datetime(2026, 3, 23 + days // 7 * 7, tzinfo=UTC)
        assert this_week.window_start - last_week.window_start == timedelta(days=7)


def test_a_stranger_who_names_a_ticket_that_a_stranger_opened_so_is_not_answered():
    stranger = mail(subject="Re: [INC-1042] x", sender=Address(address="stranger@corp.example"))
    chained = ticket(suggested_for=1001)
    assert told(decide(stranger, world(by_subject=ticket())), Event.ACKNOWLEDGED) == [None]
    assert told(decide(stranger, world(by_subject=chained)), Event.ACKNOWLEDGED) == [CHAINED]
    assert told(decide(stranger, world(by_subject=chained, by_subject_participant=True)), Event.ACKNOWLEDGED) == [HAS_NUMBER]
    assert decide(stranger, world(by_subject=chained, by_subject_participant=True), trust=1).outcome is Outcome.APPENDED


def test_who_has_a_number_already_gets_no_other_by_a_mail_that_names_it():
    named = world(by_subject=ticket(), by_subject_participant=True)
    assert told(decide(snapshot=named), Event.ACKNOWLEDGED) == [HAS_NUMBER]
    assert told(decide(snapshot=world(by_subject=ticket())), Event.ACKNOWLEDGED) == [None]


def test_a_ticket_is_reopened_three_times_a_day_and_then_only_appended():
    key = reopen_key(1, SETTINGS, NOW)
    assert key.spend() in effects(decide(snapshot=world(RESOLVED)), SpendBudget)
    decision = decide(snapshot=world(RESOLVED, used=used_up(key)))
    assert decision.reasons.code == "reopened_too_often"
    assert effects(decision, ChangeTicket) == []
    assert effects(decision, AddEntry)[0].visibility is Visibility.PUBLIC
    assert told(decision) == [None]


@pytest.mark.parametrize("key", [notice_key("ana@corp.example", SETTINGS, NOW), ticket_key(1, SETTINGS, NOW), reopen_key(1, SETTINGS, NOW)])
def test_a_budget_that_only_a_loop_uses_up_opens_one_incident_about_it(key):
    decision = decide(snapshot=world(RESOLVED, used=used_up(key)))
    (opened,) = effects(decision, OpenTicket)
    assert (opened.ticket.subject, opened.ticket.tags, opened.ticket.requester) == (LOOP_SUBJECT, ("mail-loop",), "")
    assert effects(decision, LinkTickets) == [LinkTickets(ticket_id=opened.ticket.id, other_id=1, kind="related")]
    assert [each.recipient.address for each in effects(decision, Notify) if each.event is Event.TEAM_NEW] == ["team@corp.example"]
    once, all_day = breaker_keys(key, SETTINGS, NOW)
    assert {once.spend(), all_day.spend()} <= set(effects(decision, SpendBudget))
    for told_already in (once, all_day):
        again = decide(snapshot=world(RESOLVED, used=used_up(key, told_already)))
        assert effects(again, OpenTicket) == []


def test_a_loop_of_new_tickets_opens_its_incident_beside_the_ticket():
    decision = decide(mail(sender=None), world(used=used_up(notice_key("", SETTINGS, NOW))))
    assert [each.ticket.subject for each in effects(decision, OpenTicket)] == ["Printer 4F jams", LOOP_SUBJECT]
    assert effects(decision, LinkTickets) == [LinkTickets(ticket_id=-9, other_id=-1, kind="related")]


def test_without_the_breaker_a_loop_would_go_on_unseen():
    rules = ruleset(budgets=Budgets(loop_incidents_per_day=0))
    decision = decide(snapshot=world(ticket(), used=used_up(ticket_key(1, SETTINGS, NOW))), rules=rules)
    assert effects(decision, OpenTicket) == []


def test_a_budget_of_nothing_is_a_setting_and_no_loop():
    rules = ruleset(budgets=Budgets(notices_per_sender_hour=0, per_ticket_hour=0, reopens_per_day=0))
    assert effects(decide(snapshot=world(RESOLVED), rules=rules), OpenTicket) == []


def test_what_is_only_recorded_opens_no_incident():
    key = notice_key("ana@corp.example", SETTINGS, NOW)
    decision = decide(mail(kind=MailKind.AUTO_REPLY), world(used=used_up(key)))
    assert (decision.outcome, decision.effects) == (Outcome.RECORDED, ())


def test_every_budget_a_decision_may_draw_on_is_loaded():
    for message, snapshot in (
        (mail(subject="Re: [INC-1042] x"), world(by_subject=ticket())),
        (mail(in_reply_to=("ours@d",)), world(RESOLVED, minted=False, used=used_up(ticket_key(1, SETTINGS, NOW)))),
        (mail(in_reply_to=("ours@d",)), world(RESOLVED)),
        (mail(sender=None), world(used=used_up(notice_key("", SETTINGS, NOW)))),
    ):
        spent = {(each.key, each.window_start) for each in effects(decide(message, snapshot), SpendBudget)}
        assert spent <= every_key([message], [1], SETTINGS, NOW)


def test_one_decision_takes_one_at_most_from_a_budget():
    for snapshot in (world(by_subject=ticket()), world(ticket(), minted=False), world()):
        spent = [each.key for each in effects(decide(mail(to=(Address(address="help@corp.example"),)), snapshot), SpendBudget)]
        assert len(spent) == len(set(spent))
    assert changed(ticket_key(1, SETTINGS, NOW), limit=1).limit == 1
