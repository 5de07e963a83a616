"""The loop arena: responders of every make write back to the desk under virtual time, and each pair comes to rest in three mails a side."""

import itertools
from datetime import timedelta

import pytest

import intake.mail.parse
from itsm.signal import MailKind
from rules.loops import LOOP_SUBJECT
from rules.settings import Budgets
from store.settings import StoreSettings
from tests.casework.desks import TestDesk

HEADERS = {
    "marked": ("Auto-Submitted: auto-replied",),
    "bulk": ("Precedence: bulk",),
    "threaded": ("In-Reply-To: <{id}>", "References: <{id}>"),
    "bare": (),
}
ENVELOPES, REPLY_TO, ADDRESSES = ("null", "own"), ("none", "desk"), ("same", "detail", "new")
MAKES = list(itertools.product(HEADERS, ENVELOPES, REPLY_TO, ADDRESSES))
RATES = {"at once": timedelta(seconds=1), "hourly": timedelta(hours=1)}
ROUNDS, MAX_MAILS = 6, 3
WIDE = 10**6


class Arena:
    """One desk and a responder of each make, each in a domain of its own."""

    def __init__(self, folder, makes, **budgets):
        self.desk = TestDesk(StoreSettings(path=str(folder)), budgets=Budgets(total_minute=WIDE, **budgets))
        self.makes, self.answered, self.theirs, self.words = makes, set(), [0] * len(makes), "I am away."

    def send(self, place, count, subject, mail_id="", first=False):
        headers, envelope, reply_to, address = self.makes[place]
        local = {"same": "ana", "detail": f"ana+{count}", "new": f"ana{'abcdefghij'[count % 10]}"}[address if not first else "same"]
        sender = f"{local}@r{place}.example"
        lines = [f"From: {sender}", "To: help@corp.example", f"Subject: {subject}", f"Message-ID: <m{count}@r{place}.example>"]
        if not first:
            lines += [each.format(id=mail_id) for each in HEADERS[headers]]
            lines += ["Reply-To: help@corp.example"] if reply_to == "desk" else []
        text = "It is broken." if first else self.words.format(word="".join(chr(97 + int(each)) for each in str(count)))
        path = "" if envelope == "null" and not first else sender
        self.desk.put("\r\n".join([*lines, "", text, ""]).encode(), sender=path)
        self.theirs[place] += 1

    def play(self, wait):
        for place in range(len(self.makes)):
            self.send(place, 0, "Printer", first=True)
        for _ in range(ROUNDS):
            self.desk.triage(wait=False)
            self.desk.time += wait
            for told in self.fresh():
                place = int(told.recipient.rpartition("@r")[2].partition(".")[0])
                self.send(place, self.theirs[place], f"Re: [{told.facts['number']}] Automatic reply", told.message_id)
        return self

    def fresh(self):
        rows = [each for each in self.sent() if each.id not in self.answered]
        self.answered |= {each.id for each in rows}
        return rows

    def sent(self):
        return [each for each in self.desk.outbox("acknowledged") if each.suppressed_because is None]

    def unsettled(self):
        ours = [0] * len(self.makes)
        for each in self.sent():
            ours[int(each.recipient.rpartition("@r")[2].partition(".")[0])] += 1
        return [make for make, we, they in zip(self.makes, ours, self.theirs, strict=True) if max(we, they) > MAX_MAILS]


@pytest.fixture
def arena(tmp_path):
    made = []

    def make(makes, **budgets):
        made.append(Arena(tmp_path / f"arena{len(made)}", makes, **budgets))
        return made[-1]

    yield make
    for each in made:
        each.desk.store.close()


@pytest.mark.parametrize("rate", RATES)
def test_every_responder_comes_to_rest_in_three_mails_a_side(arena, rate):
    assert arena(MAKES).play(RATES[rate]).unsettled() == []


def test_without_the_guard_of_words_a_responder_that_hides_and_moves_would_go_on(arena):
    hidden = [("bare", "own", "none", "new")]
    assert arena(hidden).play(RATES["at once"]).unsettled() == []
    assert arena(hidden, same_words_day=WIDE).play(RATES["at once"]).unsettled() == hidden


def test_without_the_guard_of_headers_one_that_moves_and_says_other_words_would_go_on(arena, monkeypatch):
    marked = [("marked", "own", "none", "new")]
    told = arena(marked)
    told.words = "I am {word} away."
    assert told.play(RATES["at once"]).unsettled() == []
    monkeypatch.setattr(intake.mail.parse, "kind_of", lambda *_, **__: MailKind.HUMAN)
    monkeypatch.setattr(intake.mail.parse, "unanswerable", lambda *_: None)
    untold = arena(marked)
    untold.words = "I am {word} away."
    assert untold.play(RATES["at once"]).unsettled() == marked


def notices_of_a_ticket(desk, mail, **_):
    """Answers to one mail of ours from an address that changes each time, always in other words."""
    desk.put(mail())
    desk.triage(wait=False)
    (ack,) = desk.outbox("acknowledged")
    for count in range(12):
        sender = f"x{count}@y{count}.example"
        desk.put(
            mail(f"r{count}", "Re: x", "away " + "abcdefghijkl"[count], sender=sender, In_Reply_To=f"<{ack.message_id}>"), sender=sender
        )
        desk.triage(wait=False)
    return [each for each in desk.outbox("team_reply") if each.suppressed_because is None]


@pytest.mark.parametrize("defended", [True, False])
def test_a_budget_a_ticket_ends_what_nothing_else_sees_and_one_incident_says_so(tmp_path, defended):
    desk = TestDesk(StoreSettings(path=str(tmp_path / "var")), budgets=Budgets(per_ticket_hour=3 if defended else WIDE))
    try:
        told = notices_of_a_ticket(desk, _mail)
        assert len(told) == (3 if defended else 12)
        assert [each.subject for each in desk.tickets()].count(LOOP_SUBJECT) == (1 if defended else 0)
    finally:
        desk.store.close()


def _mail(name="m1", subject="Printer", text="It is broken.", sender="ana@corp.example", **headers):
    lines = [f"From: {sender}", "To: help@corp.example", f"Subject: {subject}", f"Message-ID: <{name}@x.example>"]
    lines += [f"{key.replace('_', '-')}: {value}" for key, value in headers.items()]
    return "\r\n".join([*lines, "", text, ""]).encode()


@pytest.mark.parametrize("defended", [True, False])
def test_a_mail_that_two_mailboxes_get_makes_one_ticket_a_team(tmp_path, defended, monkeypatch):
    if not defended:
        monkeypatch.setattr("rules.mail.teams_addressed", lambda *_: ("desk",))
    desk = TestDesk(StoreSettings(path=str(tmp_path / "var")))
    body = _mail().replace(b"To: help@corp.example", b"To: help@corp.example, net@corp.example")
    try:
        for to in (("help@corp.example",), ("net@corp.example",), ("net@corp.example",), ("help@corp.example",)):
            desk.put(b"Received: by " + to[0].encode() + b"\r\n" + body, to=to)
            desk.triage(wait=False)
        assert [each.team for each in desk.tickets()] == (["desk", "net"] if defended else ["desk"])
        assert len(desk.outbox("acknowledged")) == 1
    finally:
        desk.store.close()
