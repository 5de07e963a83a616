"""Threading, sameness, reopening, answers and budgets to the letter: stored words, exact limits, the order of reasons."""

from datetime import UTC, datetime, timedelta

import pytest

from itsm.address import Address
from itsm.decision import AddEntry, ChangeTicket, ClearTimer, LinkTickets, Notify, OpenTicket, SetTimer, SpendBudget, Visibility
from itsm.envelope import Outcome
from itsm.notification import Event
from itsm.signal import MailKind
from itsm.ticket import State, TicketType
from rules import budget, loops, notice, sameness
from rules.answer import CHAINED, HAS_NUMBER, SAID_BEFORE, acknowledgement, is_null
from rules.audience import NO_TEAM_ADDRESS
from rules.forwarding import is_forward
from rules.reopening import auto_close, stays_open, too_late, wake
from rules.ruleset import Verdict
from rules.sameness import Sameness, same
from rules.settings import Budgets, FollowUp, RulesSettings
from rules.snapshot import MailSnapshot, Referenced
from rules.threading import Strength, candidates, match
from tests.rules.test_mail_decisions import decide, seen
from tests.rules.worlds import DESK, NOW, WITH_AGENTS, changed, effects, envelope, mail, ruleset, ticket

SETTINGS = RulesSettings()
DAY = timedelta(days=1)


def ref(number=1042, minted=False, participant=False, name="m@x", **fields):
    return Referenced(message_id=name, ticket=ticket(number=number, id=number, **fields), minted_for_sender=minted, participant=participant)


# ---------------------------------------------------------------- threading


def test_strengths_are_stored_by_these_words():
    assert [each.value for each in Strength] == ["minted", "participant", "reference", "subject", "thread", "topic", "none"]


@pytest.mark.parametrize(
    ("found", "trust", "strength"),
    [
        (ref(minted=True), 0, "minted"),
        (ref(minted=True, participant=True), 1, "minted"),
        (ref(participant=True), 0, "reference"),
        (ref(participant=True), 1, "participant"),
        (ref(participant=True), 2, "participant"),
        (ref(), 0, "reference"),
        (ref(), 1, "reference"),
    ],
)
def test_a_reference_is_as_strong_as_it_is_shown(found, trust, strength):
    snapshot = MailSnapshot(referenced=(found,))
    assert match(snapshot, trust).strength.value == strength
    assert candidates(snapshot, trust) == (f"{strength} INC-1042 m@x",)
    assert match(snapshot, trust).message_id == "m@x"
    assert match(snapshot, trust).trusted == (strength != "reference")


@pytest.mark.parametrize(
    ("on_it", "trust", "strength"), [(True, 1, "subject"), (True, 2, "subject"), (True, 0, "none"), (False, 1, "none"), (False, 0, "none")]
)
def test_a_number_in_the_subject_is_as_strong_as_it_is_shown(on_it, trust, strength):
    snapshot = MailSnapshot(by_subject=ticket(), by_subject_participant=on_it)
    assert match(snapshot, trust).strength.value == strength
    assert (match(snapshot, trust).ticket is not None) == (strength == "subject")
    assert candidates(snapshot, trust) == (f"{strength} INC-1042 number in the subject",)


def test_a_participant_of_nothing_is_none():
    assert match(MailSnapshot(by_subject_participant=True), 1).strength is Strength.NONE


def test_ten_candidates_are_kept_the_strongest_first():
    many = tuple(ref(2000 + place, name=f"{place}@x") for place in range(11))
    found = candidates(MailSnapshot(referenced=(*many, ref(participant=True), ref(minted=True))), 1)
    assert len(found) == 10
    assert [each.split(" ")[0] for each in found] == ["minted", "participant", *["reference"] * 8]


def test_the_first_reference_of_a_strength_leads():
    first, second = ref(1, participant=True, name="a@x"), ref(2, participant=True, name="b@x")
    assert match(MailSnapshot(referenced=(first, second)), 1).ticket.number == 1
    assert match(MailSnapshot(referenced=(first, second)), 0).ticket.number == 1
    assert match(MailSnapshot(referenced=(first, ref(3, minted=True))), 1).ticket.number == 3


# ---------------------------------------------------------------- sameness


def test_relations_are_stored_by_these_words():
    assert [each.value for each in Sameness] == ["new", "same", "second_form", "same_by_content", "reused_id"]


@pytest.mark.parametrize(
    ("minutes", "seconds", "relation"), [(30, 0, "same_by_content"), (-30, 0, "same_by_content"), (30, 1, "new"), (0, 0, "same_by_content")]
)
def test_without_a_message_id_the_same_content_counts_for_half_an_hour(minutes, seconds, relation):
    assert timedelta(minutes=30) == sameness.FALLBACK_WINDOW
    earlier = changed(seen(), received_at=NOW - timedelta(minutes=minutes, seconds=seconds))
    assert same(mail(message_id=None), b"people", (earlier,), NOW).sameness.value == relation


def test_the_oldest_of_the_earlier_mails_is_the_one_that_is_named():
    one, two = seen(to=1), seen(to=2)
    assert same(mail(), b"people", (one, two), NOW).earlier.ticket_id == 1
    assert same(mail(content_sha256=b"other"), b"others", (one, two), NOW).earlier.ticket_id == 1
    assert same(mail(content_sha256=b"other"), b"others", (one, two), NOW).duplicate is False
    assert same(mail(), b"people", (changed(one, content_sha256=b"z"), two), NOW).earlier.ticket_id == 2


# ---------------------------------------------------------------- reopening


def test_a_resolved_ticket_closes_after_three_days_by_a_timer_of_its_own():
    timer = auto_close(7, "desk", SETTINGS, NOW)
    assert timer == SetTimer(subject_kind="ticket", subject_id=7, kind="auto_close", due_at=NOW + 3 * DAY)
    assert stays_open(7) == ClearTimer(subject_kind="ticket", subject_id=7, kind="auto_close")


@pytest.mark.parametrize(("since", "late"), [(7 * DAY, False), (7 * DAY + timedelta(microseconds=1), True)])
def test_a_window_of_seven_days_ends_after_the_last_instant_of_the_seventh(since, late):
    assert too_late(ticket(state=State.RESOLVED, resolved_at=NOW - since), SETTINGS, NOW) is late
    assert too_late(ticket(), SETTINGS, NOW) is False
    assert too_late(ticket(state=State.CLOSED), SETTINGS, NOW) is True


def test_what_the_requester_says_reopens_and_resumes_under_these_verbs():
    resolved = ticket(state=State.RESOLVED, resolved_at=NOW - DAY, resolution_code="fixed", reopen_count=2)
    change, timer = wake(resolved, "ana@corp.example", NOW)
    assert (change.verb, change.actor, change.before) == ("reopen", "ana@corp.example", resolved)
    after = change.after
    assert (after.state, after.resolved_at, after.resolution_code, after.reopen_count, after.updated_at) == (
        State.IN_PROGRESS,
        None,
        "",
        3,
        NOW,
    )
    assert timer == stays_open(1)
    waits = ticket(state=State.PENDING, pending_reason="customer")
    (change,) = wake(waits, "ana@corp.example", NOW)
    assert (change.verb, change.after.state, change.after.pending_reason, change.after.updated_at) == ("resume", State.IN_PROGRESS, "", NOW)
    assert wake(ticket(state=State.PENDING, pending_reason="vendor"), "a", NOW) == ()
    assert wake(ticket(state=State.NEW, pending_reason="customer"), "a", NOW) == ()


# ---------------------------------------------------------------- answers


def answer(message=None, where=None, **more):
    options = {"trust": 0, "verdict": Verdict(), "budgets_used": {}, "settings": SETTINGS, "our_addresses": DESK.own_addresses, "now": NOW}
    return acknowledgement(message or mail(), where or envelope(), **(options | more))


def test_the_first_reason_against_an_answer_is_the_one_that_is_told():
    assert answer().because == "Acknowledged."
    assert answer(has_number=True).because == HAS_NUMBER
    assert answer(chained=True).because == CHAINED
    assert answer(has_number=True, chained=True).because == HAS_NUMBER
    assert answer(mail(kind=MailKind.LIST), has_number=True).because == "Not acknowledged: list mail."
    assert answer(mail(sender=None)).because == "Not acknowledged: no usable From address."
    assert answer(mail(sender=Address(address="ana"))).because == "Not acknowledged: no usable From address."
    assert answer(mail(sender=None), has_number=True).because == "Not acknowledged: no usable From address."
    assert not any(answer(chained=True).spend)


@pytest.mark.parametrize(("address", "name"), [("ana/x@corp.example", "address"), ("ana@corp.example", "address")])
def test_the_budget_that_is_used_up_is_named(address, name):
    message = mail(sender=Address(address=address))
    first, domain, all_ = budget.budget_keys(address, SETTINGS, NOW)
    for key, told in ((first, name), (domain, "domain"), (all_, "all")):
        used = {(key.key, key.window_start): key.limit}
        found = answer(message, budgets_used=used)
        assert (found.send, found.because) == (False, f"Not acknowledged: the budget {told} is used up.")
        assert answer(message, budgets_used={(key.key, key.window_start): key.limit - 1}).send


def test_a_null_path_is_empty_and_a_missing_one_is_not():
    assert is_null(envelope(reverse_path=""))
    assert not is_null(envelope(reverse_path=None))
    assert not is_null(envelope())


@pytest.mark.parametrize(("trust", "known_only", "send"), [(0, True, False), (1, True, True), (0, False, True)])
def test_only_known_senders_are_answered_where_that_is_set(trust, known_only, send):
    assert answer(trust=trust, settings=RulesSettings(known_only=known_only)).send is send


def test_a_rule_that_says_nothing_or_yes_stops_no_answer():
    assert [answer(verdict=Verdict(acknowledge=each)).send for each in (None, True, False)] == [True, True, False]


# ---------------------------------------------------------------- budgets


def test_budgets_have_these_names_windows_and_limits():
    now = datetime(2026, 3, 25, 10, 30, 15, 7, tzinfo=UTC)  # a Wednesday
    minute, hour, day, week = (datetime(2026, 3, 25, 10, 30, tzinfo=UTC), datetime(2026, 3, 25, 10, tzinfo=UTC), datetime(2026, 3, 25, tzinfo=UTC),
                               datetime(2026, 3, 23, tzinfo=UTC))  # fmt: skip
    told = mail(sender=Address(address="Ana+x@Corp.Example"), subject="A", reply_text="B")
    keys = [
        *budget.budget_keys("Ana+x@Corp.Example", SETTINGS, now), budget.notice_key("Ana@Corp.Example", SETTINGS, now), *budget.ticket_keys(7, SETTINGS, now),
        budget.words_key(told, SETTINGS, now), *budget.repeat_keys(told, SETTINGS, now),
    ]  # fmt: skip
    assert [(each.key.rpartition("/")[0] if "words" in each.key or "repeat" in each.key else each.key, each.window_start, each.limit) for each in keys] == [
        ("answer/address/ana+x@corp.example", hour, 10), ("answer/domain/corp.example", minute, 10), ("answer/all", minute, 50),
        ("notice/sender/ana@corp.example", hour, 30), ("notice/ticket/7", hour, 30), ("reopen/ticket/7", day, 3),
        ("notice/words/corp.example", day, 1), ("answer/repeat/ana@corp.example", week, 2), ("answer/repeat/ana@corp.example", week - 7 * DAY, 2),
    ]  # fmt: skip
    tripped = budget.ticket_key(7, SETTINGS, now)
    assert [(each.key, each.window_start, each.limit) for each in budget.breaker_keys(tripped, SETTINGS, now)] == [
        ("breaker/notice/ticket/7", day, 1), ("breaker", day, 10),
    ]  # fmt: skip
    assert all(len(each.key.rpartition("/")[2]) == 16 for each in keys[-3:])


def test_a_budget_is_used_up_at_its_limit():
    key = budget.notice_key("a@x", SETTINGS, NOW)
    assert [key.used_up({(key.key, key.window_start): each}) for each in (29, 30, 31)] == [False, True, True]
    assert not key.used_up({(key.key, key.window_start - timedelta(hours=1)): 30})
    assert key.spend() == SpendBudget(key=key.key, window_start=key.window_start, limit=30)


def test_words_are_the_new_ones_else_all_else_the_subject_and_2000_characters_of_them():
    def key(**fields):
        return budget.words_key(mail(**fields), SETTINGS, NOW).key

    assert key(reply_text="new", text="old") == key(reply_text="new", text="other") != key(reply_text="", text="old")
    assert (
        key(reply_text="", text="", subject="A") == key(reply_text="1 2", text="", subject="a") != key(reply_text="", text="", subject="B")
    )
    assert key(reply_text="x" * 2_000 + "a") == key(reply_text="x" * 2_000 + "b") != key(reply_text="x" * 1_999 + "b")

    assert key(reply_text="", text="old") != key(reply_text="", text="other")
    assert key(reply_text="", text="", subject="\udc80") != key(reply_text="", text="", subject="\udc81")

    def repeat(**fields):
        return budget.repeat_keys(mail(**fields), SETTINGS, NOW)[0].key

    assert repeat(reply_text="new", text="old") == repeat(reply_text="new", text="other") != repeat(reply_text="", text="old")
    assert repeat(sender=Address(address="ana+1@corp.example")) == repeat() != repeat(sender=Address(address="ana.1@corp.example"))
    assert repeat(reply_text="", text="old") != repeat(reply_text="", text="other")
    assert repeat(sender=Address(address="ana@1@corp.example")).startswith("answer/repeat/ana@1@corp.example/")
    assert repeat(sender=Address(address="a+b@1@corp.example")).startswith("answer/repeat/a@corp.example/")


def test_what_may_be_drawn_on_is_loaded_and_nothing_else():
    plain = budget.every_key([mail(subject="Printer")], [], SETTINGS, NOW)
    assert {name.split("/")[0] + "/" + name.split("/")[1] for name, _ in plain if "/" in name} == {
        "answer/address", "answer/domain", "answer/all", "answer/repeat", "notice/sender", "breaker/notice",
    }  # fmt: skip
    assert len([name for name, _ in plain if name.startswith("answer/repeat/")]) == 2
    plainly = {"subject": "Printer"}
    for named in (
        mail(in_reply_to=("x@y",), **plainly),
        mail(references=("x@y",), **plainly),
        mail(subject="INC 7"),
        mail(sender=None, subject="7"),
    ):
        assert any(name.startswith("notice/words/") for name, _ in budget.every_key([named], [], SETTINGS, NOW))
    assert not any(name.startswith("notice/words/") for name, _ in budget.every_key([mail(subject="Printer")], [], SETTINGS, NOW))
    of_ticket = {name for name, _ in budget.every_key([mail()], [7], SETTINGS, NOW)}
    assert {"notice/ticket/7", "reopen/ticket/7", "breaker/notice/ticket/7", "breaker/reopen/ticket/7", "breaker"} <= of_ticket


def test_the_reasons_say_what_was_taken_and_how_much_was_left():
    first = budget.budget_keys("ana@corp.example", SETTINGS, NOW)[0]
    told = decide(snapshot=MailSnapshot(budgets_used={(first.key, first.window_start): 4})).reasons.values["budgets"].split("; ")
    assert "answer/address/ana@corp.example 5 of 10" in told
    assert "answer/all 1 of 50" in told
    assert "budgets" not in decide(mail(kind=MailKind.AUTO_REPLY)).reasons.values


# ---------------------------------------------------------------- the breaker


def looped(**fields):
    key = budget.ticket_key(1, SETTINGS, NOW)
    found = MailSnapshot(
        referenced=(Referenced(message_id="ours@d", ticket=ticket(), minted_for_sender=True, participant=True),),
        budgets_used={(key.key, key.window_start): key.limit},
    )
    return decide(mail(**fields), found)


def test_the_incident_about_a_loop_is_of_the_first_team_of_a_middling_priority_and_says_what_is_up():
    decision = looped()
    (opened,) = effects(decision, OpenTicket)
    found = opened.ticket
    assert (loops.LOOP_SUBJECT, loops.LOOP_TAG, loops.LOOP_CODE, loops.BREAKER_HANDLE) == (
        "Mail loop stopped",
        "mail-loop",
        "loop_stopped",
        -9,
    )
    assert (found.type, found.state, found.impact, found.urgency, found.priority) == (TicketType.INCIDENT, State.NEW, 2, 2, 3)
    assert (found.number, found.team, found.requester, found.source, found.opened_at, found.updated_at) == (0, "desk", "", "smtp", NOW, NOW)
    (entry,) = [each for each in effects(decision, AddEntry) if each.ticket_id == -9]
    assert (entry.author, entry.visibility, entry.direction.value) == ("system:loop_guard", Visibility.INTERNAL, "desk")
    assert entry.text.startswith("The budget notice/ticket (30) is used up; the last mail was from ana@corp.example.")
    (told,) = [each for each in effects(decision, Notify) if each.ticket_id == -9]
    assert (told.event, told.facts["reason"], told.facts["requester"], told.facts["requester_name"]) == (
        Event.TEAM_NEW,
        "loop_stopped",
        "",
        "triaged",
    )
    assert told.facts["words"] == entry.text
    assert effects(decision, LinkTickets)[-1] == LinkTickets(ticket_id=-9, other_id=1, kind="related")


def test_the_incident_names_the_budget_of_reopening_and_nobody_where_there_is_no_sender():
    key = budget.reopen_key(1, SETTINGS, NOW)
    resolved = ticket(state=State.RESOLVED, resolved_at=NOW - timedelta(hours=1))
    found = Referenced(message_id="ours@d", ticket=resolved, minted_for_sender=True, participant=True)
    decision = decide(mail(sender=None), MailSnapshot(referenced=(found,), budgets_used={(key.key, key.window_start): key.limit}))
    (entry,) = [each for each in effects(decision, AddEntry) if each.ticket_id == -9]
    assert entry.text.startswith("The budget reopen (3) is used up; the last mail was from nobody.")
    sender = budget.notice_key("ana@corp.example", SETTINGS, NOW)
    decision = decide(snapshot=MailSnapshot(budgets_used={(sender.key, sender.window_start): sender.limit}))
    (entry,) = [each for each in effects(decision, AddEntry) if each.ticket_id == -9]
    assert entry.text.startswith("The budget notice/sender (30) is used up")


@pytest.mark.parametrize(("limit", "incidents"), [(0, 0), (1, 1), (2, 1)])
def test_a_budget_of_one_can_be_used_up_by_a_loop_and_one_of_nothing_is_a_setting(limit, incidents):
    rules = ruleset(budgets=Budgets(per_ticket_hour=limit))
    key = budget.ticket_key(1, rules.settings, NOW)
    found = Referenced(message_id="ours@d", ticket=ticket(), minted_for_sender=True, participant=True)
    decision = decide(snapshot=MailSnapshot(referenced=(found,), budgets_used={(key.key, key.window_start): limit}), rules=rules)
    assert len(effects(decision, OpenTicket)) == incidents


@pytest.mark.parametrize("outcome", [Outcome.CREATED, Outcome.APPENDED])
def test_the_breaker_is_for_what_was_worked(outcome):
    assert outcome in loops.WORKED
    assert set(Outcome) - loops.WORKED == {each for each in Outcome if each not in (Outcome.CREATED, Outcome.APPENDED)}


# ---------------------------------------------------------------- notices


def test_a_notice_says_why_it_is_held_back_and_copies_of_one_mail_cost_one():
    assert (notice.OWN_WORDS, notice.TOO_MANY_HERE, notice.SAME_WORDS, notice.TOO_MANY) == (
        "the recipient wrote it", "mails on this ticket caused too many notices this hour",
        "the same words came from that domain again and again today", "the sender's mails caused too many notices this hour",
    )  # fmt: skip
    decision = decide(mail(sender=Address(address="TEAM@corp.example")))
    assert [each.suppressed_because for each in effects(decision, Notify) if each.event is Event.TEAM_NEW] == ["the recipient wrote it"]
    assert not any(each.key.startswith("notice/") for each in effects(decision, SpendBudget))


def test_why_a_notice_is_held_back_is_the_first_reason_and_one_that_goes_out_is_paid_for():
    team, sender = Address(address="team@corp.example"), budget.notice_key("team@corp.example", SETTINGS, NOW)
    decision = decide(mail(sender=team), MailSnapshot(budgets_used={(sender.key, sender.window_start): sender.limit}))
    assert next(each.suppressed_because for each in effects(decision, Notify) if each.event is Event.TEAM_NEW) == "the recipient wrote it"
    nobody = changed(DESK, teams=(changed(DESK.teams[0], notify=""),), agents=())
    (told,) = [each for each in effects(decide(mail(sender=None), desk=nobody), Notify) if each.event is Event.TEAM_NEW]
    assert told.suppressed_because == NO_TEAM_ADDRESS
    decision = decide(mail(sender=Address(address="ben@corp.example")), desk=WITH_AGENTS)
    told = {each.recipient.address: each.suppressed_because for each in effects(decision, Notify) if each.event is Event.TEAM_NEW}
    assert told == {"ben@corp.example": "the recipient wrote it", "cid@corp.example": None}
    assert budget.notice_key("ben@corp.example", SETTINGS, NOW).spend() in effects(decision, SpendBudget)
    (told,) = [each for each in effects(decide(mail(reply_text="new", text="all")), Notify) if each.event is Event.TEAM_NEW]
    assert told.facts["words"] == "new"


def test_a_notice_names_who_else_got_the_mail_twenty_at_most_and_none_of_ours():
    cc = tuple(Address(address=f"c{place}@x.example") for place in range(21))
    ours = (Address(address="Help@corp.example"), Address(address="ben@corp.example"), Address(address="nobody"))
    (told,) = [each for each in effects(decide(mail(cc=(*ours, *cc))), Notify) if each.event is Event.TEAM_NEW]
    assert told.facts["copied"] == ", ".join(each.address for each in cc[:20])
    assert (told.facts["words"], told.facts["requester"], told.facts["requester_name"], told.facts["reason"]) == (
        "It is broken again.",
        "ana@corp.example",
        "Ana",
        "",
    )


def test_a_notice_answers_the_mail_it_is_about():
    (told,) = [each for each in effects(decide(mail(references=("r@x",))), Notify) if each.event is Event.TEAM_NEW]
    assert (told.in_reply_to, told.references) == ("m1@corp.example", ("r@x", "m1@corp.example"))
    (told,) = [each for each in effects(decide(mail(message_id=None, references=("r@x",))), Notify) if each.event is Event.TEAM_NEW]
    assert (told.in_reply_to, told.references) == (None, ("r@x",))
    (told,) = [each for each in effects(decide(mail(sender=None, reply_text="", text="all")), Notify) if each.event is Event.TEAM_NEW]
    assert (told.facts["requester"], told.facts["requester_name"], told.facts["words"]) == ("", "", "all")


def test_reply_addresses_last_thirty_days_and_only_an_agents_copy_has_one():
    assert notice.reply_until(SETTINGS, NOW) == NOW + 30 * DAY
    (told,) = [each for each in effects(decide(), Notify) if each.event is Event.TEAM_NEW]
    assert (told.reply_as, told.reply_until, told.facts["answerable"]) == ("", None, "")
    assigned = ticket(assignee="ben")
    found = Referenced(message_id="ours@d", ticket=assigned, minted_for_sender=True, participant=True)
    (told,) = [each for each in effects(decide(snapshot=MailSnapshot(referenced=(found,))), Notify) if each.event is Event.TEAM_REPLY]
    assert (told.reply_as, told.reply_until, told.facts["answerable"]) == ("ben", NOW + 30 * DAY, "yes")


# ---------------------------------------------------------------- forwards

PREFIXES = (
    "fw", "fwd", "forward", "wg", "weitergeleitet", "tr", "transf", "rv", "enc", "encaminhado", "inoltro", "doorst", "vl", "vb",
    "vid", "pd", "pd.", "przekaz", "továbbítás", "tovabb", "ftd", "redir", "πρθ", "προ", "ilt", "i̇lt", "пересл", "переслано", "转发", "轉寄",
    "转寄", "轉發", "転送", "전달", "ts", "přeposlané",
)  # fmt: skip


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_prefix_of_a_forward_is_known(prefix):
    assert is_forward(f"{prefix.upper()}: x")
    assert is_forward(f" [INC-1042] [x] {prefix}: x")
    assert not is_forward(f"re: {prefix}: x")


@pytest.mark.parametrize("prefix", ["vs", "i", "re", "aw", "sv"])
def test_a_prefix_that_may_be_a_reply_is_one(prefix):
    assert not is_forward(f"{prefix}: x")


def test_a_prefix_is_looked_for_in_200_characters():
    assert is_forward("[" + "x" * 60 + "]" + " " * 134 + "fwd: x")
    assert not is_forward("[" + "x" * 60 + "]" + " " * 135 + "fwd: x")
    assert not is_forward("[" + "x" * 61 + "] fwd: x")


def test_a_window_of_a_team_is_what_reopening_goes_by():
    settings = RulesSettings(follow_up=(FollowUp(team="desk", close_after_days=9, reopen_days=1),))
    assert auto_close(1, "desk", settings, NOW).due_at == NOW + 9 * DAY
    late = ticket(state=State.RESOLVED, resolved_at=NOW - 2 * DAY)
    assert too_late(late, settings, NOW)
    assert not too_late(changed(late, team="net"), settings, NOW)
    assert (
        effects(decide(snapshot=MailSnapshot(referenced=(ref(minted=True, state=State.RESOLVED, resolved_at=NOW - DAY),))), ChangeTicket)
        != []
    )
    assert SAID_BEFORE.startswith("Not acknowledged")
    assert ruleset(budgets=Budgets(same_mail_week=0)).settings.budgets.same_mail_week == 0
