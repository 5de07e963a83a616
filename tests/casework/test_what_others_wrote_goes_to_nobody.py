"""The ticket trick and the Cc trick (reliability A14, A15): what a third party writes to our mailbox is read by the desk alone."""

import pytest

from rules import follow_up
from store import grants, retention
from store.settings import Retention

CODE = "Your verification code is 778899"


@pytest.mark.parametrize(
    "headers",
    [
        {"References": "<m1@corp.example>"},
        {"References": "<m1@corp.example>", "Auto_Submitted": "auto-generated"},
        {"References": "<m1@corp.example>", "Precedence": "bulk", "List_Id": "<x.example>"},
        {},
    ],
)
@pytest.mark.parametrize("sender", ["no-reply@vendor.example", "security@bank.example", "ana+help@vendor.example"])
def test_a_verification_mail_reaches_no_requester_and_no_watcher(desk, mail, headers, sender):
    desk.put(mail(Cc="mallory@evil.example"))
    desk.triage()
    desk.act("watch", 1001, address="wu@corp.example")
    desk.put(mail("v1", "Re: [INC-1001] Verify your account", CODE, f"Vendor <{sender}>", **headers), sender=sender, later=1)
    desk.triage()
    desk.act("reply", 1001, "We are on it.")
    outside = [each for each in desk.outbox() if not each.event.value.startswith("team_") and each.recipient != sender]
    assert {each.recipient for each in outside} == {"ana@corp.example", "wu@corp.example"}
    assert all(CODE not in value for each in outside for value in each.facts.values())
    (ticket, *_) = desk.tickets()
    assert all(CODE not in entry.text or entry.visibility in ("held", "internal") for entry in desk.entries(ticket))


def test_if_a_strangers_words_counted_they_would_stand_open_in_the_ticket(desk, mail, monkeypatch):
    monkeypatch.setattr(follow_up, "_held_because", lambda *_: "")
    desk.put(mail())
    desk.triage()
    desk.put(mail("v1", "Re: Verify", CODE, "Bank <security@bank.example>", References="<m1@corp.example>"), sender="security@bank.example")
    desk.triage()
    (ticket,) = desk.tickets()
    assert any(CODE in entry.text and entry.visibility == "public" for entry in desk.entries(ticket))


def test_if_a_cc_made_watchers_mallory_would_read_the_answer(desk, mail):
    desk.put(mail(Cc="mallory@evil.example"))
    desk.triage()
    desk.act("watch", 1001, address="mallory@evil.example")  # what a Cc must not do by itself
    desk.act("reply", 1001, "The password is tray 2.")
    assert "mallory@evil.example" in {each.recipient for each in desk.outbox("reply")}


def test_grants_are_removed_thirty_days_past_their_end(make_desk, mail):
    desk = make_desk(members=True)
    desk.put(mail())
    desk.triage()
    ids = [each.reply_grant for each in desk.outbox("team_new")]
    for days, left in ((59, 2), (2, 0)):
        desk.time += desk.time.resolution * 86_400_000_000 * days
        desk.store.write(lambda tx: retention.sweep(tx, Retention())).result()
        assert len(desk.store.read(lambda tx: grants.by_ids(tx, ids))) == left
    assert desk.store.write(lambda tx: grants.revoke(tx, "nobody")).result() == 0
