"""Two answers to one mail that nobody here saw: what makes them one thread, how strong that is, and what it may do (RFC 8621 3)."""

import pytest

from itsm.decision import AddEntry, LinkTickets, Notify, OpenTicket, Visibility
from itsm.envelope import Outcome
from itsm.notification import Event
from itsm.signal import MailKind
from rules.snapshot import MailSnapshot, Referenced
from rules.threading import Strength, candidates, match
from rules.topic import topic
from tests.rules.test_mail_decisions import decide, seen
from tests.rules.worlds import effects, envelope, mail, ticket


def ref(number=1042, participant=False, name="old@x", minted=False):
    return Referenced(message_id=name, ticket=ticket(number=number, id=number), minted_for_sender=minted, participant=participant)


@pytest.mark.parametrize(
    ("participant", "trust", "strength"),
    [(True, 1, Strength.THREAD), (True, 2, Strength.THREAD), (True, 0, Strength.TOPIC), (False, 1, Strength.TOPIC)],
)
def test_a_thread_is_as_strong_as_it_is_shown_and_changes_a_ticket_only_by_a_proven_participant(participant, trust, strength):
    snapshot = MailSnapshot(threaded=(ref(participant=participant),))
    found = match(snapshot, trust)
    assert (found.strength, found.ticket.number, found.message_id) == (strength, 1042, "old@x")
    assert found.trusted is (strength is Strength.THREAD)
    assert candidates(snapshot, trust) == found.candidates == (f"{strength.value} INC-1042 old@x",)


def test_a_thread_is_weaker_than_all_that_names_a_mail_or_a_ticket_of_ours():
    weak = (ref(1, participant=True), ref(2))
    for stronger in (
        {"referenced": (ref(3, minted=True),)},
        {"referenced": (ref(3, participant=True),)},
        {"referenced": (ref(3),)},
        {"by_subject": ticket(number=3), "by_subject_participant": True},
    ):
        assert match(MailSnapshot(threaded=weak, **stronger), 1).ticket.number == 3
    doubtful = MailSnapshot(threaded=weak, by_subject=ticket(number=3))
    assert [match(doubtful, trust).ticket.number for trust in (0, 1)] == [1, 1]
    assert [each.split(" ")[0] for each in candidates(doubtful, 1)] == ["thread", "topic", "none"]


def test_of_several_threads_the_one_the_sender_is_on_leads_else_the_first():
    snapshot = MailSnapshot(threaded=(ref(1), ref(2), ref(3, participant=True)))
    assert [match(snapshot, trust).ticket.number for trust in (0, 1)] == [1, 3]


def test_a_proven_participant_appends_and_anybody_else_is_held_with_word_to_the_team():
    ours = decide(snapshot=MailSnapshot(threaded=(ref(participant=True),)), trust=1)
    assert (ours.outcome, ours.reasons.code) == (Outcome.APPENDED, "appended_by_reply")
    assert ours.reasons.sentence == "It answers this ticket (thread)."
    assert [each.visibility for each in effects(ours, AddEntry)] == [Visibility.PUBLIC]
    for participant, trust in ((True, 0), (False, 1), (False, 0)):
        held = decide(snapshot=MailSnapshot(threaded=(ref(participant=participant),)), trust=trust)
        assert (held.outcome, held.reasons.code) == (Outcome.APPENDED, "held_for_agent")
        assert held.reasons.sentence == "It answers this ticket (topic)."
        assert [each.visibility for each in effects(held, AddEntry)] == [Visibility.HELD]
        assert [each.event for each in effects(held, Notify)] == [Event.TEAM_REPLY]


def test_a_forward_on_the_same_thread_opens_its_own_ticket_and_suggests_the_other():
    found = decide(mail(subject="WG: Printer 4F jams"), MailSnapshot(threaded=(ref(participant=True),)), trust=1)
    assert found.outcome is Outcome.CREATED
    assert [each.other_id for each in effects(found, LinkTickets)] == [1042]


@pytest.mark.parametrize("kind", [MailKind.MACHINE, MailKind.LIST])
def test_a_program_that_references_one_made_up_mail_in_all_it_sends_opens_a_ticket_each_time(kind):
    found = decide(mail(kind=kind), MailSnapshot(threaded=(ref(participant=True),)), trust=1)
    assert (found.outcome, len(effects(found, OpenTicket))) == (Outcome.CREATED, 1)


def test_a_repeat_of_an_answer_that_joined_a_thread_is_nothing_whichever_team_it_came_to():
    copies = MailSnapshot(threaded=(ref(participant=True),), seen=(seen(),))
    assert decide(snapshot=copies, trust=1, where=envelope(forward_paths=("net@corp.example",))).outcome is Outcome.DUPLICATE


@pytest.mark.parametrize(
    "subject",
    [
        "Printer 4F jams",
        "  PRINTER 4F  jams ",
        "Re: Printer 4F jams",
        "AW: Re[2]: Printer 4F jams",
        "Antw: SV: RE : Printer 4F jams",
        "Ответ: Printer 4F jams",
        "回复：Printer 4F jams",
        "Fwd: Printer 4F jams",
        "Weitergeleitet: Printer 4F jams",
        "[INC-1042] Re: [help] Printer 4F jams",
    ],
)
def test_a_topic_is_the_subject_without_what_programs_and_lists_put_before_it(subject):
    assert topic(subject) == "printer 4f jams"


@pytest.mark.parametrize(
    ("subject", "left"),
    [
        ("Printer: it jams", "printer: it jams"),  # a word of the subject
        ("Router: it drops", "router: it drops"),
        ("Re:", "re:"),  # nothing else is left
        ("[help]", "[help]"),
        ("", ""),
        ("Re: " * 60 + "x", ("re: " * 50).strip()),  # 200 characters of it
    ],
)
def test_what_is_left_of_a_subject_is_never_nothing_unless_it_was(subject, left):
    assert topic(subject) == left
