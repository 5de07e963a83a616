"""A17, A18, A21, A33: what an attacker writes goes to nobody, marks nothing and costs little; without the defence it would."""

import pytest

import casework.load
import intake.mail.html
import notifier.events
import notifier.render
from intake.mail.html import html_text
from itsm.notification import Event
from itsm.token import mint_verp
from notifier.preview import SAMPLE_IDENTITY
from notifier.render import RenderRequest, render
from rules.settings import Budgets
from store import undeliverable
from store.settings import StoreSettings
from tests.casework.desks import TestDesk
from tests.casework.test_undeliverable_addresses import bounce

WIDE = 10**9
WITH_AND_WITHOUT = pytest.mark.parametrize("defended", [True, False])


@pytest.fixture
def make_desk(tmp_path):
    made = []

    def make(**rules):
        made.append(TestDesk(StoreSettings(path=str(tmp_path / f"var{len(made)}")), **rules))
        return made[-1]

    yield make
    for each in made:
        each.store.close()


def written(sender, subject, text, name, *fields):
    lines = [f"From: {sender}", "To: help@corp.example", f"Subject: {subject}", f"Message-ID: <{name}@x.example>", *fields]
    return "\r\n".join([*lines, "", text, ""]).encode()


@WITH_AND_WITHOUT
def test_an_acknowledgement_carries_no_word_of_whom_nobody_authenticated(make_desk, monkeypatch, defended):
    if not defended:
        monkeypatch.setattr(notifier.events, "may_repeat", lambda told: True)
        monkeypatch.setattr(notifier.render, "may_repeat", lambda told: True)
    desk = make_desk()
    desk.put(
        written('"Win money" <victim@x.example>', "Your account is locked", "See https://evil.example", "m1"), sender="victim@x.example"
    )
    desk.triage(wait=False)
    (told,) = desk.outbox("acknowledged")
    made = render(RenderRequest(notification=told, identity=SAMPLE_IDENTITY, verp="t", loop_mark="m", date=told.created_at)).message
    assert any(words in made for words in (b"Win money", b"is locked", b"evil.example")) == (not defended)


@WITH_AND_WITHOUT
def test_a_form_that_names_a_victim_again_and_again_sends_them_few_mails(make_desk, defended):
    budgets = Budgets() if defended else Budgets(per_address_hour=WIDE, per_domain_minute=WIDE, total_minute=WIDE, same_mail_week=WIDE)
    desk = make_desk(contact_forms=("form@corp.example",), budgets=budgets)
    for count in range(20):
        text = f"Please call me, I am number {'abcdefghij'[count % 10]}{'abcdefghij'[count // 10]}."
        body = written("form@corp.example", "Contact", text, f"f{count}", "Reply-To: victim@x.example")
        desk.put(body, sender="form@corp.example", later=1)
    desk.triage(wait=False)
    told = [each for each in desk.outbox("acknowledged") if each.suppressed_because is None]
    assert (len(told) <= 10) is defended
    assert {each.recipient for each in told} == {"victim@x.example"}


@WITH_AND_WITHOUT
def test_a_forged_report_marks_no_address_and_touches_no_ticket(make_desk, monkeypatch, defended):
    desk = make_desk()
    desk.put(written("ana@corp.example", "Printer", "It is broken.", "m1"))
    desk.triage(wait=False)
    (ticket,) = desk.tickets()
    desk.act("reply", ticket.number, "Is it plugged in?")
    told = desk.outbox("reply")[-1]
    if not defended:
        monkeypatch.setattr(casework.load, "read_verp", lambda keys, token: told.id)
    forged = mint_verp([(1, b"another secret of sixteen octets")], told.id)
    for path in (f"bounces+{forged}@corp.example", "bounces+x@corp.example", "help@corp.example"):
        desk.put(bounce(), sender="", to=(path,), later=1)
    desk.triage(wait=False)
    marked = desk.store.read(lambda tx: undeliverable.among(tx, ["ana@corp.example"]))
    assert bool(marked) is (not defended)
    assert any("could not be delivered" in each.note for each in desk.entries(ticket)) is (not defended)
    assert [each.event for each in desk.outbox() if each.event is Event.ACKNOWLEDGED] == [Event.ACKNOWLEDGED]


@WITH_AND_WITHOUT
def test_what_html_becomes_stays_in_proportion_to_it(monkeypatch, defended):
    if not defended:
        monkeypatch.setattr(intake.mail.html, "MAX_LISTS", WIDE)
    html = "<ul><li>" * 1_000 + "x<br>" * 1_000
    assert (len(html_text(html)) <= 4 * len(html)) is defended
