"""Forged agents and guessed numbers (reliability A08 to A11): no combination acts but the one that proves all of it."""

import itertools
from datetime import timedelta

import pytest

import rules.authority as authority_module
from itsm.address import Address
from itsm.decision import AddEntry, ChangeTicket, Notify, OpenTicket, Visibility
from itsm.envelope import Channel
from itsm.grant import Grant, Role
from itsm.notification import Event
from itsm.ticket import State
from rules.authentication import TrustSettings, TrustVerdict, trust_of
from rules.mail import decide_mail
from rules.snapshot import MailSnapshot, ReplyTo
from tests.rules.worlds import NOW, WITH_AGENTS, effects, envelope, mail, ruleset, ticket

RULES = ruleset()
SETTINGS = TrustSettings(authserv_ids=("mx.corp.example",))
RESULTS = ("pass", "fail", "none")
TOKENS = ("ours", "of another person", "of another ticket", "expired", "revoked", "no row", "none")


def grant(**fields):
    plain = {"id": 5, "ticket_number": 1042, "person": "ben", "role": Role.AGENT, "expires_at": NOW + timedelta(days=1)}
    return Grant(**(plain | fields))


def reply_to(token):
    if token == "none":
        return None
    rows = {
        "ours": grant(),
        "of another person": grant(person="cid"),
        "of another ticket": grant(ticket_number=7),
        "expired": grant(expires_at=NOW),
        "revoked": grant(revoked_at=NOW),
        "no row": None,
    }
    return ReplyTo(ticket_number=1042, ticket=ticket(), grant=rows[token])


def forged(spf, dkim, dmarc, token, sender="ben@corp.example", text="#resolve\n\nDone."):
    results = (
        f"mx.corp.example; spf={spf} smtp.mailfrom=corp.example; dkim={dkim} header.d=corp.example; dmarc={dmarc} header.from=corp.example"
    )
    message = mail(
        sender=Address(address=sender), reply_text=text, text=text, authentication=(results,), references=("guess@corp.example",)
    )
    where = envelope(channel=Channel.IMAP)
    return decide_mail(
        message, where, MailSnapshot(reply_to=reply_to(token)), participants_sha256=b"", trust=trust_of(message, where, SETTINGS),
        ruleset=RULES, desk=WITH_AGENTS, now=NOW,
    )  # fmt: skip


def acted(decision):
    """Whether anything happened to the ticket that is there, or reached its requester in an agent's name."""
    told = [each for each in effects(decision, Notify) if each.event in (Event.REPLY, Event.RESOLVED)]
    return bool(effects(decision, ChangeTicket) or told)


@pytest.mark.parametrize(("spf", "dkim", "dmarc", "token"), list(itertools.product(RESULTS, RESULTS, RESULTS, TOKENS)))
def test_only_dmarc_and_an_own_valid_token_act(spf, dkim, dmarc, token):
    decision = forged(spf, dkim, dmarc, token)
    assert acted(decision) == (dmarc == "pass" and token == "ours")
    if not acted(decision) and token != "none":
        (entry,) = effects(decision, AddEntry)
        assert entry.visibility is Visibility.HELD
        assert decision.reasons.trust == (1 if dmarc == "pass" else 0)


def test_without_sender_authentication_a_forged_from_would_act(monkeypatch):
    assert not acted(forged("pass", "pass", "fail", "ours"))
    everybody = authority_module.authority

    def believing(message, trust, *rest):
        return everybody(message, TrustVerdict(level=1, reason="switched off"), *rest)

    monkeypatch.setattr("rules.mail.authority", believing)
    assert acted(forged("pass", "pass", "fail", "ours"))


def test_without_the_binding_a_leaked_token_would_act(monkeypatch):
    assert not acted(forged("pass", "pass", "pass", "of another person"))
    monkeypatch.setattr(authority_module, "agent_of", lambda desk, address: next(each for each in desk.agents if each.key == "cid"))
    assert acted(forged("pass", "pass", "pass", "of another person"))


def test_without_expiry_an_old_token_would_act(monkeypatch):
    assert not acted(forged("pass", "pass", "pass", "expired"))
    monkeypatch.setattr(authority_module, "lapsed", lambda grant, now: "")
    assert acted(forged("pass", "pass", "pass", "expired"))


@pytest.mark.parametrize("defended", [True, False])
def test_a_token_that_was_forwarded_gives_its_new_reader_nothing(monkeypatch, defended):
    if not defended:  # whoever holds the token is taken for whom it was written for
        monkeypatch.setattr(authority_module, "agent_of", lambda desk, _: next(each for each in desk.agents if each.key == "ben"))
    decision = forged("pass", "pass", "pass", "ours", sender="mallory@corp.example")
    assert acted(decision) is not defended
    if not defended:
        return
    (entry,) = effects(decision, AddEntry)
    assert (entry.visibility, entry.verified) == (Visibility.HELD, False)
    assert [each.recipient.address for each in effects(decision, Notify)] == ["ben@corp.example"]


def guess(number, *, trust, participant):
    return decide_mail(
        mail(subject=f"Re: [INC-{number}] help", sender=Address(address="mallory@evil.example")),
        envelope(),
        MailSnapshot(by_subject=ticket(number=number, state=State.RESOLVED, resolved_at=NOW), by_subject_participant=participant),
        participants_sha256=b"",
        trust=TrustVerdict(level=trust, reason=""),
        ruleset=RULES,
        desk=WITH_AGENTS,
        now=NOW,
    )


def test_ten_thousand_guessed_numbers_inject_nothing():
    for number in range(1, 10_001):
        decision = guess(number, trust=number % 2, participant=False) if number % 3 else guess(number, trust=0, participant=True)
        (entry,) = effects(decision, AddEntry)
        assert entry.ticket_id < 0
        assert not effects(decision, ChangeTicket)
        assert len(effects(decision, OpenTicket)) == 1


def test_a_number_alone_would_inject_if_it_counted():
    assert acted(guess(1, trust=1, participant=True))
