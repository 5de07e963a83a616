"""People as data: imported with a preview, one person by all their addresses, and what rules may say of them."""

import pytest

from casework.entering import enter
from casework.people import import_people
from itsm.act import Absent, Actor, ActorKind, Entered, ImportPeople
from itsm.errors import MalformedInput, Refused
from itsm.person import Person
from rules.settings import Rule
from store import history, people

OPERATOR = Actor(kind=ActorKind.OPERATOR, name="cli", trust=3)
ZONES = frozenset({"Europe/Paris"})
ORGANISATIONS = "key,name,domains\nacme,Acme Ltd,acme.example acme.org\n"
PEOPLE = (
    "address;name;aliases;organisation;vip;language;time_zone\n"
    "Ana@corp.example;Ana Example;ana.private@mail.example;acme;yes;pt-BR;Europe/Paris\nbo@corp.example;Bo;;;;;\n"
)


def bring(desk, text, *, preview=False, actor=OPERATOR, absent=Absent.KEEP):
    act = ImportPeople(actor=actor, text=text, preview=preview, absent=absent)
    return desk.store.write(lambda tx: import_people(tx, act, ZONES)).result()


def known(desk, *addresses):
    return desk.store.read(lambda tx: people.by_addresses(tx, addresses))


def directory(desk):
    return [(each.kind, each.actor) for each in desk.store.read(lambda tx: history.of_stream(tx, "directory"))]


@pytest.fixture
def filled(desk):
    bring(desk, ORGANISATIONS)
    bring(desk, PEOPLE)
    return desk


def test_a_preview_tells_the_changes_and_writes_nothing(desk):
    bring(desk, ORGANISATIONS)
    changes = bring(desk, PEOPLE, preview=True)
    assert [(each.kind, each.of) for each in changes] == [("added", "ana@corp.example"), ("added", "bo@corp.example")]
    assert changes[0].fields["vip"] == "yes"
    assert known(desk, "ana@corp.example") == {}


def test_an_import_is_written_with_its_history_and_a_second_one_changes_nothing(filled):
    ana = known(filled, "ana.private@mail.example")["ana.private@mail.example"]
    assert (ana.address, ana.organisation, ana.vip, ana.language, ana.time_zone) == (
        "ana@corp.example",
        "acme",
        True,
        "pt-BR",
        "Europe/Paris",
    )
    assert directory(filled) == [("organisation_added", "operator:cli"), ("person_added", "operator:cli"), ("person_added", "operator:cli")]
    assert bring(filled, PEOPLE) == bring(filled, ORGANISATIONS) == ()


def test_a_column_that_is_missing_leaves_what_is_known(filled):
    (change,) = bring(filled, "address,name\nana@corp.example,Ana Maria\n")
    assert change.fields == {"name": "Ana Example -> Ana Maria"}
    assert known(filled, "ana@corp.example")["ana@corp.example"].vip


def test_two_people_become_one_when_a_line_names_both(filled):
    (change,) = bring(filled, "address,aliases\nana@corp.example,bo@corp.example\n")
    assert (change.kind, len(change.gone)) == ("joined", 1)
    assert known(filled, "bo@corp.example")["bo@corp.example"].address == "ana@corp.example"
    assert [each.address for each in filled.store.read(people.listed)] == ["ana@corp.example"]
    assert directory(filled)[-1] == ("person_joined", "operator:cli")


NEWCOMERS = "address,organisation,vip\ncy@corp.example,acme,yes\n"


def test_who_is_no_longer_in_the_file_stays_as_known_unless_it_is_said_otherwise(filled):
    assert [each.kind for each in bring(filled, NEWCOMERS)] == ["added"]
    ana = known(filled, "ana@corp.example")["ana@corp.example"]
    assert (ana.organisation, ana.vip) == ("acme", True)


def test_who_is_no_longer_in_the_file_leaves_the_organisation_and_is_no_vip(filled, mail):
    filled.put(mail("m1", sender="Ana <ana@corp.example>"), sender="ana@corp.example")
    filled.triage()
    shown = bring(filled, NEWCOMERS, absent=Absent.DETACH, preview=True)
    assert [(each.kind, each.of) for each in shown] == [("added", "cy@corp.example"), ("detached", "ana@corp.example")]
    assert shown[1].fields == {"organisation": "acme -> ", "vip": "yes -> "}
    assert known(filled, "ana@corp.example")["ana@corp.example"].vip
    assert bring(filled, NEWCOMERS, absent=Absent.DETACH)[1].fields == shown[1].fields
    ana = known(filled, "ana.private@mail.example")["ana.private@mail.example"]
    assert (ana.address, ana.name, ana.organisation, ana.vip, ana.language) == ("ana@corp.example", "Ana Example", "", False, "pt-BR")
    assert directory(filled)[-1] == ("person_detached", "operator:cli")
    assert bring(filled, NEWCOMERS, absent=Absent.DETACH) == ()
    filled.put(mail("m2", "Another", sender="Ana <ana.private@mail.example>"), sender="ana.private@mail.example", later=1)
    filled.triage()
    before, after = sorted(filled.tickets(), key=lambda each: each.number)
    assert (before.requester, before.organisation) == ("ana@corp.example", "acme")
    assert (after.requester, after.organisation) == ("ana@corp.example", "")


def test_who_belongs_to_an_organisation_that_the_file_does_not_name_is_not_absent(filled, monkeypatch):
    monkeypatch.setattr(people, "MAX_LISTED", 1)  # every page is a page of its own
    bring(filled, "key\nother\n")
    bring(filled, "address,organisation\ndi@corp.example,other\ned@corp.example,other\n")
    changes = bring(filled, "address,organisation\ned@corp.example,other\n", absent=Absent.DETACH)
    assert [(each.kind, each.of) for each in changes] == [("detached", "di@corp.example")]
    assert known(filled, "ana@corp.example")["ana@corp.example"].organisation == "acme"


def test_who_is_named_by_an_alias_or_comes_from_another_organisation_is_not_absent(filled):
    bring(filled, "key\nother\n")
    changes = bring(filled, "address,organisation\nana.private@mail.example,other\nbo@corp.example,acme\n", absent=Absent.DETACH)
    assert [(each.kind, each.of) for each in changes] == [("changed", "ana.private@mail.example"), ("changed", "bo@corp.example")]


@pytest.mark.parametrize("text", [ORGANISATIONS, "address,name\nana@corp.example,Ana\n", "address,organisation\nana@corp.example,\n"])
def test_a_file_that_names_no_organisation_says_of_nobody_that_they_are_absent(filled, text):
    with pytest.raises(MalformedInput, match="it names none"):
        bring(filled, text, absent=Absent.DETACH)
    assert known(filled, "ana@corp.example")["ana@corp.example"].vip


def test_an_organisation_is_known_by_its_domain_and_a_domain_moves(filled):
    assert known(filled, "x@acme.org")["x@acme.org"] == Person(address="x@acme.org", addresses=("x@acme.org",), organisation="acme")
    bring(filled, "key,domains\nother,acme.org\nacme,acme.example\n")
    assert known(filled, "x@acme.org")["x@acme.org"].organisation == "other"
    (change,) = bring(filled, "key,name\nacme,Acme SA\n")
    assert change.fields == {"name": "Acme Ltd -> Acme SA"}


def test_people_are_listed_by_page_organisation_and_rank(filled):
    assert [each.address for each in filled.store.read(lambda tx: people.listed(tx, limit=1))] == ["ana@corp.example"]
    assert [each.address for each in filled.store.read(lambda tx: people.listed(tx, after="ana@corp.example"))] == ["bo@corp.example"]
    assert [each.address for each in filled.store.read(lambda tx: people.listed(tx, organisation_key="acme", vip=True))] == [
        "ana@corp.example"
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must name the columns"),
        ("address,shoe\n", "no column 'shoe'"),
        ("address,address\n", "twice"),
        ("address,name\nana@corp.example\n", "line 2: it has 1 columns"),
        ("address\nnobody\n", "no mail address"),
        ("address,aliases\na@x," + " ".join(f"a{n}@x" for n in range(21)) + "\n", "more than 20 addresses"),
        ("address,vip\na@x,maybe\n", "vip is yes or no"),
        ("address,language\na@x,English please\n", "no language tag"),
        ("address,time_zone\na@x,Mars/Base\n", "no time zone"),
        ("address,organisation\na@x,Not A Key\n", "no key of an organisation"),
        ("address,organisation\na@x,missing\n", "import the organisations first"),
        ("address,aliases\na@x,b@x\nb@x,\n", "line 3: b@x stands in line 2"),
        ("address,name\na@x,\x07\n", "control characters"),
        ("key\nNo\n", "is no key"),
        ("key,domains\na,bad_domain!\n", "is no domain"),
        ("key,domains\na,x.example\nb,x.example\n", "x.example stands in line 2"),
        ("address\n" + "x\n" * 60, "line 51"),
        ('address\n"' + "x" * 140_000, "no CSV"),
    ],
)
def test_a_mistake_names_its_line_and_nothing_is_imported(desk, text, says):
    with pytest.raises(MalformedInput, match=says):
        bring(desk, text)
    assert desk.store.read(people.listed) == []


def test_empty_lines_and_a_byte_order_mark_are_no_mistakes(desk):
    assert len(bring(desk, "\ufeffaddress\n\na@x\n,\n".replace(",\n", ""))) == 1


def test_too_many_lines_are_refused(desk, monkeypatch):
    monkeypatch.setattr("rules.directory_import.MAX_ROWS", 1)
    with pytest.raises(MalformedInput, match="more than 1 lines"):
        bring(desk, "address\na@x\nb@x\n")


@pytest.mark.parametrize("kind", [ActorKind.AGENT, ActorKind.REQUESTER, ActorKind.SOURCE, ActorKind.ANYONE])
def test_only_an_operator_imports(desk, kind):
    with pytest.raises(Refused):
        bring(desk, PEOPLE, actor=Actor(kind=kind, name="x", trust=2))


def test_whoever_writes_from_an_alias_is_the_same_requester(filled, mail):
    filled.put(mail(sender="Ana <ana.private@mail.example>"), sender="ana.private@mail.example")
    filled.triage()
    (ticket,) = filled.tickets()
    assert ticket.requester == "ana@corp.example"
    assert filled.outbox("acknowledged")[0].recipient == "ana.private@mail.example"
    filled.act("reply", 1001, "Which tray?")
    (reply,) = filled.outbox("reply")
    filled.put(mail("m2", "Re: x", "tray 2", "Ana <ana.private@mail.example>", In_Reply_To=f"<{reply.message_id}>"), later=1)
    filled.put(mail("m3", "Re: x", "from my own", References="<m1@corp.example>"), login="app", later=1)
    filled.triage()
    assert [each.visibility for each in filled.entries(ticket)] == ["public"] * 4


def test_rules_may_ask_who_the_requester_is(make_desk, mail):
    rules = (
        Rule(key="vip", when={"requester.vip": True, "requester.organisation": "acme"}, urgency=1, tags=("vip",)),
        Rule(key="nobody", when={"requester.vip": False}, tags=("plain",)),
    )
    desk = make_desk(rule=rules)
    bring(desk, ORGANISATIONS)
    bring(desk, PEOPLE)
    desk.put(mail())
    desk.put(mail("m2", sender="Cy <cy@corp.example>"), later=1)
    desk.triage()
    assert [each.tags for each in desk.tickets()] == [("vip",), ("plain",)]
    assert desk.tickets()[0].urgency == 1


def entered(desk, **fields):
    asked = Entered(**({"actor": Actor(kind=ActorKind.AGENT, name="ben", trust=2), "subject": "Phone: no network"} | fields))
    return desk.store.write(lambda tx: enter(tx, asked, desk.casework)).result()


def test_a_ticket_is_entered_for_somebody_who_called(filled):
    ticket = entered(filled, requester="ana.private@mail.example", text="Room 5 is offline.", service="mail", urgency=1)
    assert (ticket.requester, ticket.requester_name, ticket.entered_by, ticket.team) == (
        "ana@corp.example",
        "Ana Example",
        "agent:ben",
        "net",
    )
    assert [each.note for each in filled.entries(ticket)] == ["Entered for the requester."]
    (ack,) = filled.outbox("acknowledged")
    assert (ack.recipient, ack.facts["trusted"]) == ("ana@corp.example", "yes")
    assert len(filled.outbox("team_new")) == 1


def test_a_ticket_may_be_entered_for_nobody_and_in_silence(make_desk):
    desk = make_desk(team_notices=False)
    ticket = entered(desk, requester="x@corp.example", acknowledge=False, actor=OPERATOR, type="service_request")
    assert (ticket.requester, desk.outbox()) == ("x@corp.example", [])
    assert entered(desk).requester == ""


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"subject": " "}, "needs a subject"),
        ({"requester": "nobody"}, "no mail address"),
        ({"type": "problem"}, "type must be"),
        ({"impact": 4}, "from 1 to 3"),
        ({"team": "x"}, "no team"),
        ({"service": "x"}, "no service"),
        ({"actor": Actor(kind=ActorKind.REQUESTER, trust=1)}, "may not enter"),
        ({"actor": Actor(kind=ActorKind.AGENT, name="ben", trust=1)}, "trust level"),
        ({"actor": Actor(kind=ActorKind.AGENT, name="eve", trust=2)}, "auditor"),
    ],
)
def test_what_cannot_be_entered_says_why(make_desk, fields, says):
    with pytest.raises(Refused, match=says):
        entered(make_desk(members=True), **fields)
