"""The trace of a mail: every stage from the door to the relay and back, in one object, and as people read it."""

import json

import msgspec
import pytest

from itsm.identifier import inbox_text
from itsm.notification import Event
from rules.settings import Rule
from store import inbox
from store.settings import StoreSettings
from tests.casework.desks import TestDesk
from tests.casework.test_undeliverable_addresses import come_back
from triaged.explanation import as_text
from triaged.rereading import FAILED, LEFT_OUT
from triaged.trace import traces


@pytest.fixture
def desk(tmp_path):
    made = TestDesk(
        StoreSettings(path=str(tmp_path / "var")),
        rule=(Rule(key="printers", when={"subject": {"contains": "printer"}}, tags=("printer",)),),
    )
    yield made
    made.store.close()


def written(name="m1", *fields, subject="Printer", text="It is broken.", sender="ana@corp.example"):
    lines = [f"From: Ana <{sender}>", "To: help@corp.example", f"Subject: {subject}", f"Message-ID: <{name}@corp.example>", *fields]
    return "\r\n".join([*lines, "", text, ""]).encode()


def traced(desk, id_):
    """The traces as programs read them."""
    found = traces(desk.store, id_, {}, deadline_seconds=60)
    return json.loads(msgspec.json.encode(found)), "\n".join(as_text(each) for each in found)


def test_a_mail_is_traced_from_the_door_to_the_relay(desk):
    where = desk.put(written())
    desk.triage(wait=False)
    ([told], text) = traced(desk, "<m1@corp.example>")
    assert told["about"] == inbox_text(where)
    (door,), (parsed,), (part,) = told["doors"], told["parse"], told["parts"]
    assert (door["channel"], door["reverse_path"], door["forward_paths"], door["state"]) == (
        "smtp",
        "ana@corp.example",
        ["help@corp.example"],
        "done",
    )
    assert (parsed["read"]["kind"], parsed["read"]["message_id"], parsed["read"]["unanswerable"]) == ("human", "m1@corp.example", None)
    assert "It is broken." not in json.dumps(told["parse"])
    assert (part["outcome"], part["ticket"], part["reasons"]["code"]) == ("created", "INC-1001", "opened")
    assert part["rules"]["matched"] == ["printers"]
    assert part["threading"] == {"reference": "", "candidates": []}
    assert [each.split(" ")[0].rpartition("/")[0] for each in part["budgets"]][:2] == ["notice/sender", "answer/address"]
    assert part["budgets"][1] == "answer/address/ana@corp.example 1 of 10"
    assert [each["kind"] for each in part["acts"]] == ["open"]
    assert {each["event"]: each["state"] for each in part["notifications"]} == {"team_new": "queued", "acknowledged": "queued"}
    for line in ("done: 1 created", "envelope <ana@corp.example> to help@corp.example", "parse: human mail", "rules that matched: printers",
                 "done: open by ana@corp.example", "mail acknowledged to ana@corp.example: queued"):  # fmt: skip
        assert line in text


def test_a_reply_shows_every_way_to_its_ticket_and_how_far_its_sender_was_believed(desk):
    desk.put(written())
    desk.triage(wait=False)
    (ack,) = desk.outbox("acknowledged")
    desk.put(written("m2", f"References: <m1@corp.example> <{ack.message_id}>", subject="Re: [INC-1001]", text="Again."), later=60)
    desk.triage(wait=False)
    ([told], _) = traced(desk, "m2@corp.example")
    (part,) = told["parts"]
    assert part["outcome"] == "appended"
    assert part["threading"]["reference"] == ack.message_id
    assert [each.split(" ")[:2] for each in part["threading"]["candidates"]] == [
        ["minted", "INC-1001"], ["reference", "INC-1001"], ["none", "INC-1001"],
    ]  # fmt: skip
    assert part["trust"].startswith("level 0")
    assert [each["event"] for each in part["notifications"]] == ["team_reply"]


def test_a_ticket_is_traced_with_all_that_touched_it_timers_and_what_came_back(desk):
    desk.put(written())
    desk.triage(wait=False)
    desk.tick(minutes=5)
    desk.act("reply", 1001, "Is it plugged in?")
    desk.act("resolve", 1001, "It was not.", code="fixed")
    come_back(desk, desk.outbox("reply")[-1])
    ([told], text) = traced(desk, "INC-1001")
    assert [(each["outcome"], each["reasons"]["code"]) for each in told["parts"]] == [("created", "opened"), ("appended", "undeliverable")]
    assert len(told["doors"]) == len(told["parse"]) == 2
    assert told["parse"][1]["read"]["delivery_report"]["recipients"][0]["permanent"] is True
    assert [(each["ticket"], each["kind"]) for each in told["timers"]] == [("INC-1001", "auto_close")]
    back = {each["event"]: each["bounced_at"] for each in told["notifications"]}
    assert back["reply"]
    assert back["resolved"] is None
    for line in ("INC-1001  Printer", "timer auto_close of INC-1001", "; came back 2026-03-23", "undeliverable: "):
        assert line in text


def test_what_is_only_kept_is_traced_too(desk):
    desk.put(written("auto", "Auto-Submitted: auto-replied"), sender="")
    desk.put(written("auto", "Auto-Submitted: auto-replied"), sender="")
    desk.triage(wait=False)
    (first, second), text = traced(desk, "auto@corp.example")
    assert first["parts"][0]["outcome"] == "recorded"
    assert (second["parts"][0]["outcome"], second["parts"][0]["reasons"]["code"]) == ("duplicate", "same")
    assert "parse: auto_reply mail; no automatic answer: it is automatic" in text
    waiting = desk.put(written("later"))
    ([told], text) = traced(desk, inbox_text(waiting))
    assert (told["doors"][0]["state"], told["parts"]) == ("pending", [])
    assert "what waits has none yet" in text


def test_a_mail_whose_bytes_are_gone_and_one_that_cannot_be_read_say_so(desk):
    where = desk.put(written())
    desk.store.write(lambda tx: tx.connection.execute(inbox.raw.delete())).result()
    ([told], text) = traced(desk, inbox_text(where))
    assert told["parse"][0] == {"inbox_id": inbox_text(where), "read": None, "events": 0, "note": "its bytes were removed by retention"}
    assert "parse: its bytes were removed by retention" in text
    bad = desk.post(b"{")
    ([told], text) = traced(desk, inbox_text(bad))
    assert told["parse"][0]["read"]["error"]
    assert "parse: " in text
    alert = desk.post(b'{"title": "Disk full", "status": "firing"}', format_="generic", source="g")
    ([told], text) = traced(desk, inbox_text(alert))
    assert told["parse"][0]["events"] == 1
    assert "parse: 1 alerts" in text


POISONED = {"parse": "tests.reliability.poison:parse_one"}


@pytest.mark.parametrize("poison", ["POISON", "TREACLE"])
def test_a_mail_that_crashes_or_hangs_the_parser_does_neither_to_whoever_asks_about_it(desk, poison):
    where = desk.put(written("bad", text=poison))
    desk.triage(wait=False)
    [found] = traces(desk.store, inbox_text(where), {}, deadline_seconds=2, functions=POISONED)
    [parsed] = found.parse
    assert (parsed.read, parsed.note) == (None, FAILED)
    assert f"parse: {FAILED}" in as_text(found)
    assert [each.outcome for each in found.parts] == ["created"]  # all that was kept is told all the same


def test_of_a_ticket_with_many_such_mails_three_are_tried_and_no_more(desk):
    desk.put(written("good"))
    desk.triage(wait=False)
    [ours] = [each.message_id for each in desk.outbox(Event.ACKNOWLEDGED)]
    for each in range(5):
        desk.put(written(f"bad{each}", f"In-Reply-To: <{ours}>", subject="Re: Printer", text=f"POISON {each}"))
        desk.triage(wait=False)
    [found] = traces(desk.store, "INC-1001", {}, deadline_seconds=60, functions=POISONED)
    assert [each.note for each in found.parse] == ["", FAILED, FAILED, FAILED, LEFT_OUT, LEFT_OUT]
