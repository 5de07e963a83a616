"""Attacks A49, A50, A52, A53: every operation, by every role, on things that are not theirs; made from the table of operations."""

import hmac
from datetime import timedelta

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itsm.permission import RIGHTS, Action, Role, Visible, owned
from store import credentials, history, inbox, outbox, series_rows, tickets, visibility
from tests.webportal.conftest import ALERT, serve, token, two_organisations
from webportal.operations import OPERATIONS, PREFIX

ROLES = {"operator": Role.OPERATOR, "agent:ben": Role.AGENT, "agent:eve": Role.AUDITOR, "agent:oda": Role.AGENT, "agent:aud": Role.AUDITOR,
         "source:am": Role.SOURCE, "source:nobody": Role.SOURCE}  # fmt: skip
BOUNDED = ("agent:oda", "agent:aud", "source:am", "source:nobody")
NAMED = [each for each in OPERATIONS if "{" in each.path]
BODIES = {
    "actOnTicket": {"verb": "note", "text": "x"}, "dropEnvelope": {"reason": "x"}, "dropNotification": {"reason": "x"},
    "enterTicket": {"subject": "x"},
}  # fmt: skip
MISSING = {"{number}": "INC-9999", "/inbox/{id}": "in-77", "/outbox/{id}": "77"}


@pytest.fixture
def client(organisations):
    with serve(organisations) as opened:
        opened.desk = organisations
        yield opened


def sent(client, operation, path, headers):
    raw = {"content": b"Subject: x\r\n\r\nx"} if operation.takes else {"json": BODIES.get(operation.name)} if operation.writes else {}
    kind = {"content-type": operation.takes} if operation.takes else {}
    return client.request(operation.method, PREFIX + path, headers=headers | kind, **raw)


def belongings(desk):
    """Everything there is: (what stands in a path, its ids by whom they are seen)."""
    found = desk.store.read(lambda tx: tickets.listed(tx, limit=200))
    seen = {
        "agent:oda": [each for each in found if each.organisation == "acme"],
        "source:am": [each for each in found if each.source == "am" and each.group_key],
        "source:nobody": [],
    }
    seen["agent:aud"] = seen["agent:oda"]
    return found, seen


def foreign_paths(desk, who, operation):
    """Every path of an operation that names something which is not of this principal."""
    everything, seen = belongings(desk)
    mine = {each.id for each in seen[who]}
    theirs = [each for each in everything if each.id not in mine]
    assert theirs
    if "{number}" in operation.path:
        return [operation.path.replace("{number}", f"INC-{each.number}") for each in theirs]
    if operation.path.startswith("/outbox"):
        rows = desk.store.read(lambda tx: [row for each in theirs for row in outbox.listed(tx, ticket_id=each.id)])
        return [operation.path.replace("{id}", str(row.notification.id)) for row in rows]
    done = desk.store.read(lambda tx: [row for state in ("done", "quarantined") for row in inbox.listed(tx, state)])
    mine_rows = desk.store.read(lambda tx: {row.envelope.id for row in inbox.listed(tx, "done", visible=VISIBLE[who])})
    return [operation.path.replace("{id}", f"in-{row.envelope.id}") for row in done if row.envelope.id not in mine_rows]


VISIBLE = {
    "agent:oda": Visible(organisations=("acme",)),
    "agent:aud": Visible(organisations=("acme",)),
    "source:am": Visible(source="am"),
    "source:nobody": Visible(source="nobody"),
}


@pytest.mark.parametrize("who", BOUNDED)
def test_what_is_not_theirs_is_answered_as_what_is_not_there(client, who):
    for operation in NAMED:
        foreign_looks_like_missing(client, operation, who)


def test_if_everybody_saw_everything_the_matrix_would_find_leaks(client, monkeypatch):
    monkeypatch.setattr(Visible, "includes", lambda *_: True)
    for operation in (each for each in NAMED if each.action is Action.READ_TICKET):
        with pytest.raises(AssertionError):
            foreign_looks_like_missing(client, operation, "agent:oda")


def foreign_looks_like_missing(client, operation, who):
    desk, headers = client.desk, token(client.desk, who)
    missing = next(value for key, value in MISSING.items() if key in operation.path)
    nothing = sent(client, operation, operation.path.replace("{number}", missing).replace("{id}", missing), headers)
    paths = foreign_paths(desk, who, operation)
    assert len(paths) >= 3
    allowed = ROLES[who] in RIGHTS[operation.action].roles
    assert nothing.status_code == (404 if allowed else 403)
    for path in paths:
        answer = sent(client, operation, path, headers)
        name = path.split("/")[2]
        assert answer.status_code == nothing.status_code
        number = name.removeprefix("INC-")
        assert answer.text.replace(name, missing).replace(number, missing.removeprefix("INC-")) == nothing.text


@pytest.mark.parametrize("who", ROLES)
def test_without_the_scope_or_the_role_every_operation_is_forbidden_whatever_it_names(client, who):
    for operation in OPERATIONS:
        forbidden(client, operation, who)


def forbidden(client, operation, who):
    others = tuple(sorted({each.scope for each in OPERATIONS} - {operation.scope}))
    without, every = token(client.desk, who, *others), token(client.desk, who, operation.scope)
    for name in ("INC-1001", "INC-9999"):
        path = operation.path.replace("{number}", name).replace("{id}", "in-1" if "inbox" in operation.path else "1")
        assert sent(client, operation, path, without).status_code == 403
        assert sent(client, operation, path, {}).status_code == 401
        assert sent(client, operation, path, {"authorization": "Bearer trd_guess"}).status_code == 401
        assert (sent(client, operation, path, every).status_code == 403) is (ROLES[who] not in RIGHTS[operation.action].roles)


def test_an_act_on_what_a_token_does_not_see_is_kept_as_a_denied_one(client):
    desk, headers = client.desk, token(client.desk, "agent:ben", "acts:write")
    for number in ("INC-9999", "nonsense"):
        answer = client.post(f"{PREFIX}/tickets/{number}/acts", json={"verb": "note", "text": "words"}, headers=headers)
        assert answer.status_code == 404
        desk.time += timedelta(minutes=2)
    entries = desk.store.read(lambda tx: history.of_stream(tx, credentials.ACCESS_STREAM))
    denied = [msgspec.json.decode(each.content) for each in entries if each.kind == "act_denied"]
    assert [(each["operation"], each["times"]) for each in denied] == [("actOnTicket", 1)] * 2
    assert "9999" in denied[0]["why"]


def test_denied_acts_are_kept_and_reads_are_not_and_a_flood_of_them_is_counted(client):
    desk, headers = client.desk, token(client.desk, "agent:eve")
    path = f"{PREFIX}/tickets/INC-1001/acts"

    def kept():
        entries = desk.store.read(lambda tx: history.of_stream(tx, credentials.ACCESS_STREAM))
        return [(each.actor, msgspec.json.decode(each.content)) for each in entries if each.kind == "act_denied"]

    for _ in range(50):
        assert client.post(path, json={"verb": "note", "text": "x"}, headers=headers).status_code == 403
    assert client.get(f"{PREFIX}/tickets", headers=token(desk, "agent:ben", "acts:write")).status_code == 403
    ((actor, told),) = kept()
    assert (actor, told["operation"], told["times"]) == ("auditor:eve", "actOnTicket", 1)
    assert "may not do this" in told["why"]
    desk.time += timedelta(minutes=1)
    client.post(path, json={"verb": "note", "text": "x"}, headers=headers)
    assert [each["times"] for _, each in kept()] == [1, 50]


@pytest.mark.parametrize("who", BOUNDED)
def test_what_is_theirs_is_seen_and_lists_hold_just_that(client, who):
    everything, seen = belongings(client.desk)
    headers = token(client.desk, who)
    listed = client.get(f"{PREFIX}/tickets", headers=headers).json()["items"]
    assert {each["id"] for each in listed} == {str(each.id) for each in seen[who]}
    for each in listed:
        assert client.get(f"{PREFIX}/tickets/{each['number']}", headers=headers).status_code == 200
    notices = client.get(f"{PREFIX}/outbox", headers=headers).json()["items"]
    assert {each["ticket_id"] for each in notices} <= {str(each.id) for each in seen[who]}
    envelopes = client.get(f"{PREFIX}/inbox", params={"state": "done"}, headers=headers).json()["items"]
    assert len(envelopes) == len(seen[who])
    for each in envelopes:
        assert client.get(f"{PREFIX}/inbox/{each['inbox_id']}", headers=headers).status_code == 200
    assert len(everything) == 5


def test_the_condition_of_a_list_is_the_judgement_on_each_of_its_rows(client):
    desk = client.desk
    for visible in (*VISIBLE.values(), Visible(), Visible(organisations=("acme", "globex")), Visible(organisations=("acme",), source="am")):
        rows = desk.store.read(lambda tx, seen=visible: tickets.listed(tx, visible=seen, limit=200))
        everything, _ = belongings(desk)
        assert [each.id for each in rows] == [each.id for each in everything if visible.includes(owned(each))]
        alerts = desk.store.read(lambda tx, seen=visible: series_rows.open_by_source(tx, limit=9, visible=seen))
        assert len(alerts) == (0 if visible.organisations is not None else 2 if visible.source is None else visible.source == "am")


def test_an_agent_of_an_organisation_neither_links_to_nor_enters_what_is_not_theirs(client):
    headers = token(client.desk, "agent:oda")
    path = f"{PREFIX}/tickets/INC-1001/acts"
    for verb, name in (("link", "to"), ("merge", "into")):
        foreign = client.post(path, json={"verb": verb, "arguments": {name: "INC-1002"}}, headers=headers)
        missing = client.post(path, json={"verb": verb, "arguments": {name: "INC-9999"}}, headers=headers)
        assert foreign.status_code == missing.status_code == 422
        assert foreign.text.replace("1002", "9999") == missing.text
    before = len(belongings(client.desk)[0])
    entered = client.post(f"{PREFIX}/tickets", json={"subject": "x", "requester": "gus@globex.example"}, headers=headers)
    assert (entered.status_code, "organisations" in entered.json()["detail"]) == (422, True)
    assert len(belongings(client.desk)[0]) == before
    assert client.post(f"{PREFIX}/tickets", json={"subject": "x", "requester": "ana@acme.example"}, headers=headers).status_code == 200


def test_links_to_what_is_not_theirs_are_left_out(client):
    client.post(
        f"{PREFIX}/tickets/INC-1001/acts", json={"verb": "link", "arguments": {"to": "INC-1002"}}, headers=token(client.desk, "operator")
    )
    assert client.get(f"{PREFIX}/tickets/INC-1001", headers=token(client.desk, "agent:ben")).json()["links"] != []
    assert client.get(f"{PREFIX}/tickets/INC-1001", headers=token(client.desk, "agent:oda")).json()["links"] == []


def test_a_source_reads_nothing_that_is_said_among_agents(client):
    headers = token(client.desk, "operator")
    (mine,) = client.get(f"{PREFIX}/tickets", headers=token(client.desk, "source:am")).json()["items"]
    path = f"{PREFIX}/tickets/{mine['number']}"
    client.post(f"{path}/acts", json={"verb": "note", "text": "Ask the vendor, they owe us."}, headers=headers)
    assert "owe us" in client.get(path, headers=headers).text
    assert "owe us" not in client.get(path, headers=token(client.desk, "source:am")).text


words = st.sampled_from(["Printer jams", "Printer", "jams", "Zebra", "INC-1001"])
foreigners = st.sampled_from(["gus@globex.example", "nil@nowhere.example", "ana@acme.example.evil"])


def everything_seen(client, headers):
    """The body of every answer that a list or a look-up gives this token."""
    asked = ["/tickets", "/tickets?status=open", "/tickets?type=incident", "/tickets?limit=1", "/tickets?requester=gus@globex.example",
             "/tickets/INC-1001", "/tickets?q=printer", "/tickets?q=zebra", "/tickets?q=jams&limit=1", "/inbox?state=done", "/inbox?state=pending", "/inbox?message_id=g1@corp.example", "/outbox",
             "/outbox?state=queued", "/outbox?limit=1", "/alerts", "/tickets/INC-9000"]  # fmt: skip
    return [client.get(PREFIX + each, headers=headers).text for each in asked]


def test_if_lists_were_cut_before_they_are_filtered_a_foreign_ticket_would_change_them(client, mail, monkeypatch):
    desk, headers = client.desk, token(client.desk, "agent:oda")
    monkeypatch.setattr(visibility, "of_tickets", lambda _: ())
    before = everything_seen(client, headers)
    desk.put(mail("x1", "Zebra", sender="gus@globex.example"), sender="gus@globex.example")
    desk.triage()
    assert everything_seen(client, headers) != before


@pytest.mark.parametrize("who", ["agent:oda", "source:am"])
def test_a_ticket_that_is_not_seen_changes_no_answer(make_desk, mail, who):
    desk = two_organisations(make_desk(), mail)
    headers = token(desk, who)
    with serve(desk) as client:
        before = everything_seen(client, headers)

        @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        @given(st.lists(st.tuples(words, foreigners), min_size=1, max_size=3), st.booleans())
        def nothing_changes(mails, alert):
            for subject, sender in mails:
                desk.put(mail(f"x{desk.store.new_id()}", subject, sender=sender), sender=sender)
            if alert:
                desk.post(ALERT % str(desk.store.new_id()).encode(), source="grafana")
            desk.triage()
            assert everything_seen(client, headers) == before

        nothing_changes()
        assert len(belongings(desk)[0]) > 5


def test_a_token_is_random_stored_only_as_its_hash_and_ends(client):
    desk = client.desk
    secrets = [
        desk.store.write(lambda tx, n=n: credentials.create_token(tx, f"t{n}", scopes=("admin",), acts_as="operator")).result()
        for n in range(20)
    ]
    assert len(set(secrets)) == 20
    assert all(len(each.removeprefix(credentials.TOKEN_PREFIX)) * 5 >= 256 for each in secrets)
    rows = desk.store.read(lambda tx: [tuple(row) for row in tx.connection.exec_driver_sql("SELECT * FROM api_token")])
    assert not any(secret[4:] in str(row) for secret in secrets for row in rows)
    ends = desk.time + timedelta(hours=1)
    secret = desk.store.write(
        lambda tx: credentials.create_token(tx, "short", scopes=("admin",), acts_as="operator", expires_at=ends)
    ).result()
    headers = {"authorization": f"Bearer {secret}"}
    assert client.get(f"{PREFIX}/tickets", headers=headers).status_code == 200
    desk.time = ends
    assert client.get(f"{PREFIX}/tickets", headers=headers).status_code == 401


def test_a_secret_kept_as_it_is_would_stand_in_the_table(client, monkeypatch):
    monkeypatch.setattr(credentials, "_digest", lambda secret: secret.encode())
    secret = client.desk.store.write(lambda tx: credentials.create_token(tx, "plain", scopes=("admin",), acts_as="operator")).result()
    rows = client.desk.store.read(lambda tx: [tuple(row) for row in tx.connection.exec_driver_sql("SELECT * FROM api_token")])
    assert any(secret[4:] in str(row) for row in rows)


def test_a_guess_is_compared_in_constant_time_with_a_hash_of_nobody_where_there_is_none(client, monkeypatch):
    compared = []
    monkeypatch.setattr(hmac, "compare_digest", lambda one, other: compared.append((one, other)) or one == other)
    client.get(f"{PREFIX}/tickets", headers={"authorization": "Bearer trd_guess"})
    client.get(f"{PREFIX}/tickets", headers=token(client.desk, "operator"))
    (guess, known) = compared
    assert guess[0] == credentials.NOBODYS_DIGEST
    assert len(guess[1]) == len(known[0]) == len(known[1]) == 32
    assert known[0] == known[1]
