"""Follow-up by team: windows, what comes after them, hours; block list, spam flag, forwards, one ticket a team."""

from datetime import UTC, datetime, timedelta

import pytest

from itsm.address import Address
from itsm.decision import AddEntry, ChangeTicket, LinkTickets, Notify, OpenTicket, Visibility
from itsm.envelope import Channel, Outcome
from itsm.notification import Event
from itsm.ticket import State
from rules.follow_up_policy import out_of_hours_text, policy_of
from rules.forwarding import is_forward
from rules.settings import FollowUp, Rule, RulesSettings
from rules.snapshot import MailSnapshot, Referenced, SeenBefore
from tests.rules.test_mail_decisions import decide, refers, seen
from tests.rules.worlds import NOW, changed, effects, envelope, mail, ruleset, ticket

OLD = ticket(state=State.RESOLVED, resolved_at=NOW - timedelta(days=2))
TO_BOTH = (Address(address="help@corp.example"), Address(address="net@corp.example"))


def test_a_team_has_its_own_window_else_that_of_every_team_else_that_of_the_rules():
    settings = RulesSettings(follow_up=(FollowUp(reopen_days=3), FollowUp(team="desk", close_after_days=9)))
    assert (policy_of("desk", settings).reopen_days, policy_of("desk", settings).close_after_days) == (7, 9)
    assert (policy_of("net", settings).reopen_days, policy_of("net", settings).close_after_days) == (3, 3)
    assert policy_of("net", RulesSettings()).reopen_days == 7


def test_the_window_of_the_team_decides_whether_a_reply_reopens():
    assert effects(decide(snapshot=refers(OLD)), ChangeTicket) != []
    decision = decide(snapshot=refers(OLD), rules=ruleset(follow_up=(FollowUp(team="desk", reopen_days=1),)))
    assert effects(decision, LinkTickets)[0].kind == "follows"


def test_a_reply_after_the_window_can_be_held_instead():
    rules = ruleset(follow_up=(FollowUp(reopen_days=1, after_window="held"),))
    decision = decide(snapshot=refers(OLD), rules=rules)
    assert (decision.outcome, effects(decision, AddEntry)[0].visibility) == (Outcome.APPENDED, Visibility.HELD)
    assert effects(decide(snapshot=refers(ticket()), rules=rules), AddEntry)[0].visibility is Visibility.PUBLIC


@pytest.mark.parametrize(
    ("hours", "at", "away"),
    [
        ("mon-fri 08:00-17:00", datetime(2026, 3, 23, 7, 30, tzinfo=UTC), False),  # 08:30 in Berlin, a Monday
        ("mon-fri 08:00-17:00", datetime(2026, 3, 23, 16, 0, tzinfo=UTC), True),
        ("mon-fri 08:00-17:00", datetime(2026, 3, 22, 10, 0, tzinfo=UTC), True),  # a Sunday
        ("sat-mon 00:00-24:00", datetime(2026, 3, 22, 10, 0, tzinfo=UTC), False),
        ("sat-mon 00:00-24:00", datetime(2026, 3, 24, 10, 0, tzinfo=UTC), True),
        ("mon 08:00-12:00", datetime(2026, 3, 23, 10, 0, tzinfo=UTC), False),
    ],
)
def test_out_of_hours_the_acknowledgement_says_so(hours, at, away):
    settings = RulesSettings(follow_up=(FollowUp(hours=(hours,), time_zone="Europe/Berlin", out_of_hours_text="We are back at 8."),))
    assert (out_of_hours_text("desk", settings, at) == "We are back at 8.") == away


def test_the_text_stands_in_the_acknowledgement_and_only_where_hours_are_set():
    rules = ruleset(follow_up=(FollowUp(hours=("tue 08:00-09:00",), out_of_hours_text="Tomorrow."),))
    (told,) = [each for each in effects(decide(rules=rules), Notify) if each.event is Event.ACKNOWLEDGED]
    assert told.facts["out_of_hours"] == "Tomorrow."
    assert out_of_hours_text("desk", RulesSettings(follow_up=(FollowUp(out_of_hours_text="x"),)), NOW) == ""


@pytest.mark.parametrize("entry", ["Ana@corp.example", "corp.example", "@corp.example", "example"])
def test_a_sender_on_the_block_list_makes_no_ticket_and_gets_no_answer(entry):
    decision = decide(snapshot=refers(ticket()), rules=ruleset(blocked_senders=(entry,)))
    assert (decision.outcome, decision.effects, decision.reasons.code) == (Outcome.RECORDED, (), "blocked_sender")
    assert entry in decision.reasons.sentence


@pytest.mark.parametrize("entry", ["bob@corp.example", "orp.example", "mail.corp.example"])
def test_others_are_not_on_it(entry):
    rules = ruleset(blocked_senders=(entry,))
    assert decide(rules=rules).outcome is Outcome.CREATED
    assert decide(mail(sender=None), rules=rules).outcome is Outcome.CREATED


@pytest.mark.parametrize(
    ("where", "listed", "recorded"),
    [
        (envelope(peer="10.1.2.3"), "10.0.0.0/8", True),
        (envelope(peer="192.0.2.1"), "10.0.0.0/8", False),
        (envelope(channel=Channel.IMAP, source="support"), "support", True),
        (envelope(channel=Channel.IMAP, source="other"), "support", False),
        (envelope(peer="10.1.2.3"), "support", False),
        (envelope(channel=Channel.HTTP, peer="10.1.2.3"), "10.0.0.0/8", False),
    ],
)
def test_a_spam_flag_counts_from_a_listed_host_only(where, listed, recorded):
    decision = decide(mail(flagged_as_spam=True), where=where, rules=ruleset(spam_flags_from=(listed,)))
    assert (decision.reasons.code == "flagged_as_spam") == recorded
    assert (decision.effects == ()) == recorded
    assert decide(mail(), where=where, rules=ruleset(spam_flags_from=(listed,))).outcome is Outcome.CREATED


@pytest.mark.parametrize(
    "subject",
    [
        "Fwd: x",
        "FW: x",
        "WG: x",
        "TR : x",
        "RV: x",
        "[INC-1042] Fwd: x",
        "转发：x",
        "Doorst: x",
        "PD: x",
        "FW[2]: x",
        "Fwd: Re: x",
        "[Fwd: x]",
        "[Fwd: x",
        "[INC-1] [FW: x]",
        "[EXT: mail] Fwd: x",
        "Переадр: x",
        "転送: x",
    ],
)
def test_a_forward_is_seen_in_any_language(subject):
    assert is_forward(subject)


@pytest.mark.parametrize(
    "subject", ["Re: x", "Re: Fwd: x", "AW: WG: x", "VS: x", "SV: x", "x", "", "Forward planning: x", "Printer: jams", "[x]"]
)
def test_an_answer_is_no_forward(subject):
    assert not is_forward(subject)


def test_a_forward_of_our_mail_opens_a_ticket_of_its_own_with_a_link():
    decision = decide(mail(subject="Fwd: [INC-1042] Printer"), refers(ticket()))
    assert decision.outcome is Outcome.CREATED
    assert effects(decision, LinkTickets) == [LinkTickets(ticket_id=-1, other_id=1, kind="suggested")]
    assert "minted INC-1042" in decision.reasons.values["candidates"]


def test_the_trace_names_every_way_to_a_ticket_strongest_first():
    weak, strong = ticket(id=2, number=1043), ticket()
    found = (
        Referenced(message_id="a@x", ticket=weak, minted_for_sender=False, participant=False),
        Referenced(message_id="b@x", ticket=strong, minted_for_sender=False, participant=True),
        Referenced(message_id="c@x", ticket=strong, minted_for_sender=True, participant=True),
    )
    for trust, by_number in ((1, "subject INC-1042"), (0, "none INC-1042")):
        decision = decide(snapshot=MailSnapshot(referenced=found, by_subject=strong, by_subject_participant=True), trust=trust)
        told = decision.reasons.values["candidates"].split("; ")
        assert told[0] == "minted INC-1042 c@x"
        assert f"{by_number} number in the subject" in told
        assert len(told) == 4


def test_one_mail_to_two_teams_opens_two_linked_tickets_and_answers_once():
    where = envelope(forward_paths=("help@corp.example", "net@corp.example"))
    decision = decide(mail(to=TO_BOTH), where=where)
    assert [each.ticket.team for each in effects(decision, OpenTicket)] == ["desk", "net"]
    assert effects(decision, LinkTickets) == [LinkTickets(ticket_id=-2, other_id=-1, kind="related")]
    assert [each.event for each in effects(decision, Notify)].count(Event.ACKNOWLEDGED) == 1


def test_a_copy_that_comes_to_another_team_opens_its_ticket_linked_and_unanswered():
    earlier = changed(seen(), forward_paths=("help@corp.example",))
    decision = decide(mail(to=TO_BOTH), MailSnapshot(seen=(earlier,)), where=envelope(forward_paths=("net@corp.example",)))
    assert [each.ticket.team for each in effects(decision, OpenTicket)] == ["net"]
    assert effects(decision, LinkTickets) == [LinkTickets(ticket_id=-1, other_id=7, kind="related")]
    assert Event.ACKNOWLEDGED not in [each.event for each in effects(decision, Notify)]


@pytest.mark.parametrize(
    ("earlier", "snapshot", "rules"),
    [
        ({"forward_paths": ("help@corp.example",)}, {}, {}),  # by the same door for the same team
        ({"forward_paths": None}, {}, {}),  # retention took its envelope
        ({"forward_paths": ("help@corp.example",), "ticket_id": None}, {}, {}),
        ({"forward_paths": ("help@corp.example",)}, {"refers": True}, {}),
        ({"forward_paths": ("help@corp.example",)}, {}, {"team": "desk"}),
        ({"forward_paths": ("help@corp.example",)}, {}, {"suppress": True}),
    ],
)
def test_other_copies_are_duplicates(earlier, snapshot, rules):
    before = SeenBefore(**({"content_sha256": b"content", "participants_sha256": b"people", "ticket_id": 7, "received_at": NOW} | earlier))
    referenced = refers(ticket()).referenced if snapshot else ()
    to = (
        "net@corp.example"
        if snapshot or rules or earlier.get("ticket_id", 7) is None or earlier["forward_paths"] is None
        else "help@corp.example"
    )
    rule = ruleset(rule=(Rule(key="x", **rules),)) if rules else ruleset()
    decision = decide(
        mail(to=TO_BOTH), MailSnapshot(seen=(before,), referenced=referenced), where=envelope(forward_paths=(to,)), rules=rule
    )
    assert (decision.outcome, decision.effects) == (Outcome.DUPLICATE, ())
