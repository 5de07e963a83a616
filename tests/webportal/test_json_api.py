"""The JSON API over a real ASGI application and a real store: reading, acting, and what it refuses."""

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from store import credentials
from webportal.api import Api
from webportal.settings import WebportalSettings


@pytest.fixture
def api(desk, mail):
    desk.put(mail())
    desk.put(mail("m2", "please install Word", "thanks", sender="Bo <bo@x.example>"), sender="bo@x.example")
    desk.post(b'{"version":"4","alerts":[{"status":"firing","labels":{"alertname":"Disk"},"startsAt":"2026-03-23T10:00:00Z"}]}')
    desk.triage()
    outgoing = []
    app = Starlette(routes=Api(desk.store, lambda: desk.casework, WebportalSettings(page_limit=2), lambda: outgoing.append(1)).routes())

    def token(*scopes, acts_as="agent:ben"):
        return desk.store.write(
            lambda tx: credentials.create_token(tx, "-".join(scopes) + acts_as, scopes=scopes, acts_as=acts_as)
        ).result()

    with TestClient(app) as client:
        client.token, client.outgoing, client.desk = token, outgoing, desk
        client.headers["authorization"] = f"Bearer {token('admin')}"
        yield client


def test_without_a_token_nothing_is_shown(api):
    for given in ("", "Basic x", "Bearer ", "Bearer trd_wrong"):
        answer = api.get("/api/v1/tickets", headers={"authorization": given})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("path", "scope"),
    [("/api/v1/tickets", "tickets:read"), ("/api/v1/tickets/INC-1001", "tickets:read"), ("/api/v1/inbox", "queue:read"),
     ("/api/v1/alerts", "alerts:read"), ("/api/v1/outbox", "queue:read")],
)  # fmt: skip
def test_each_path_needs_its_scope(api, path, scope):
    allowed, other = api.token(scope), api.token("messages:write")
    assert api.get(path, headers={"authorization": f"Bearer {allowed}"}).status_code == 200
    refused = api.get(path, headers={"authorization": f"Bearer {other}"})
    assert refused.status_code == 403
    assert scope in refused.json()["detail"]


def test_a_revoked_token_ends(api):
    secret = api.token("tickets:read", acts_as="operator")
    api.desk.store.write(lambda tx: credentials.revoke_token(tx, "tickets:readoperator")).result()
    assert api.get("/api/v1/tickets", headers={"authorization": f"Bearer {secret}"}).status_code == 401


def test_a_token_of_an_agent_the_desk_has_no_more_ends(api):
    secret = api.token("tickets:read", acts_as="agent:gone")
    assert api.get("/api/v1/tickets", headers={"authorization": f"Bearer {secret}"}).status_code == 401


def test_tickets_are_listed_in_pages_newest_first(api):
    first = api.get("/api/v1/tickets").json()
    assert [each["number"] for each in first["items"]] == ["INC-1003", "REQ-1002"]
    second = api.get("/api/v1/tickets", params={"cursor": first["cursor"]}).json()
    assert [each["number"] for each in second["items"]] == ["INC-1001"]
    assert second["cursor"] is None


def test_a_page_goes_on_where_the_last_one_ended_whatever_arrives_meanwhile(api, mail):
    first = api.get("/api/v1/tickets").json()
    api.desk.put(mail("m9", "Another one"))
    api.desk.triage()
    second = api.get("/api/v1/tickets", params={"cursor": first["cursor"]}).json()
    assert [each["number"] for each in second["items"]] == ["INC-1001"]


def test_a_cursor_of_another_list_is_not_taken(api):
    cursor = api.get("/api/v1/tickets").json()["cursor"]
    assert not cursor.isdigit()
    answer = api.get("/api/v1/outbox", params={"cursor": cursor})
    assert (answer.status_code, "cursor" in answer.json()["detail"]) == (400, True)


@pytest.mark.parametrize(("path", "more", "key"), [("/api/v1/outbox", {}, "id"), ("/api/v1/inbox", {"state": "done"}, "inbox_id")])
def test_every_list_is_read_page_by_page_without_gap_or_double(api, path, more, key):
    whole = [each[key] for each in api.get(path, params=more | {"limit": 200}).json()["items"]]
    found, cursor = [], None
    for _ in range(20):
        page = api.get(path, params=more | {"limit": 1} | ({"cursor": cursor} if cursor else {})).json()
        found += [each[key] for each in page["items"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert found == whole
    assert len(whole) >= 3


def test_tickets_are_found_by_state_type_and_requester(api):
    assert len(api.get("/api/v1/tickets", params={"status": "open", "limit": 10}).json()["items"]) == 3
    assert len(api.get("/api/v1/tickets", params={"type": "service_request"}).json()["items"]) == 1
    assert len(api.get("/api/v1/tickets", params={"requester": "bo@x.example"}).json()["items"]) == 1
    assert api.get("/api/v1/tickets", params={"status": "closed"}).json()["items"] == []


def test_the_word_null_is_a_word_and_not_nothing(api):
    assert api.get("/api/v1/tickets").json()["items"] != []
    assert api.get("/api/v1/tickets", params={"q": "null"}).json()["items"] == []
    assert api.get("/api/v1/tickets", params={"requester": "Null", "status": "open"}).json()["items"] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "x"),
        ("type", "x"),
        ("cursor", "x"),
        ("limit", "-1"),
        ("limit", "0"),
        ("cursor", "9" * 20),
        ("status", "null"),
        ("type", "NULL"),
        ("limit", "null"),
        ("cursor", "null"),
    ],
)
def test_a_wrong_parameter_is_told(api, name, value):
    answer = api.get("/api/v1/tickets", params={name: value})
    assert answer.status_code == 400
    assert name in answer.json()["detail"]


def test_a_ticket_shows_all_that_is_known_of_it(api):
    shown = api.get("/api/v1/tickets/1001").json()
    assert shown["number"] == "INC-1001"
    assert shown["messages"][0]["text"].strip() == "It is broken."
    assert [each["kind"] for each in shown["history"]] == ["open"]
    assert shown["decisions"][0]["reasons"]["code"] == "opened"
    assert {each["event"] for each in shown["notifications"]} == {"team_new", "acknowledged"}
    assert shown["links"] == []


def test_what_is_not_there_is_404_and_says_how_it_should_look(api):
    assert "INC-1042" in api.get("/api/v1/tickets/xyz").json()["detail"]
    assert api.get("/api/v1/tickets/999").status_code == 404
    assert "in-1" in api.get("/api/v1/inbox/999").json()["detail"]
    assert api.get("/api/v1/inbox/in-999").status_code == 404


def test_an_envelope_is_found_by_its_id_and_its_message_id(api):
    (found,) = api.get("/api/v1/inbox", params={"message_id": "<m1@corp.example>"}).json()["items"]
    shown = api.get(f"/api/v1/inbox/{found['inbox_id']}").json()
    assert (shown["state"], shown["outcomes"], shown["parts"][0]["outcome"]) == ("done", ["created"], "created")
    assert api.get("/api/v1/inbox").json()["items"] == []


def test_alerts_and_outbox_are_listed(api):
    (alert,) = api.get("/api/v1/alerts").json()["items"]
    assert alert["instances"][0]["started_at"] == "2026-03-23T10:00:00Z"
    assert api.get("/api/v1/alerts", params={"source": "other"}).json()["items"] == []
    assert len(api.get("/api/v1/outbox", params={"state": "queued", "limit": 50}).json()["items"]) > 0


def test_an_act_is_done_and_its_version_guards_it(api):
    done = api.post("/api/v1/tickets/INC-1001/acts", json={"verb": "resolve", "text": "Cleared.", "expected_version": 1})
    assert (done.status_code, done.json()["state"], done.json()["version"]) == (200, "resolved", 2)
    assert api.outgoing == [1]
    assert api.post("/api/v1/tickets/INC-1001/acts", json={"verb": "reopen", "expected_version": 1}).status_code == 409


def test_a_refused_act_names_the_legal_ones(api):
    refused = api.post("/api/v1/tickets/INC-1001/acts", json={"verb": "reopen"})
    assert refused.status_code == 422
    assert "resolve" in refused.json()["legal_acts"]


@pytest.mark.parametrize("body", [b"{", b'{"verb":"dance"}', b'{"verb":"note","x":1}', b"[]"])
def test_a_body_that_is_no_act_is_told(api, body):
    answer = api.post("/api/v1/tickets/INC-1001/acts", content=body)
    assert answer.status_code == 422
    assert "verb" in answer.json()["detail"]


def test_a_body_too_large_is_413(api):
    assert api.post("/api/v1/tickets/INC-1001/acts", content=b"x" * 300_000).status_code == 413


def test_a_token_of_a_source_may_not_act_as_the_desk(api):
    secret = api.token("acts:write", acts_as="source:am")
    answer = api.post("/api/v1/tickets/INC-1001/acts", json={"verb": "start"}, headers={"authorization": f"Bearer {secret}"})
    assert answer.status_code == 403
    assert "may not" in answer.json()["detail"]


def test_a_ticket_is_entered_for_somebody_who_called(api):
    body = {"subject": "Phone: no network", "requester": "cy@corp.example", "text": "Room 5", "service": "mail"}
    opened = api.post("/api/v1/tickets", json=body)
    assert (opened.status_code, opened.json()["requester"], opened.json()["team"]) == (200, "cy@corp.example", "net")
    assert opened.json()["entered_by"] == "operator:admin" or opened.json()["entered_by"] == "agent:ben"
    shown = api.get(f"/api/v1/tickets/{opened.json()['number']}").json()
    assert [entry["text"] for entry in shown["messages"]] == ["Room 5"]
    assert api.outgoing == [1]


@pytest.mark.parametrize(
    ("body", "says"), [({}, "subject"), ({"subject": " "}, "needs a subject"), ({"subject": "x", "team": "y"}, "no team")]
)
def test_what_cannot_be_entered_is_told(api, body, says):
    answer = api.post("/api/v1/tickets", json=body)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]


def test_an_act_repeated_under_its_key_is_done_once_and_answered_the_same(api):
    path, key = "/api/v1/tickets/INC-1001/acts", {"Idempotency-Key": "k1"}
    first = api.post(path, json={"verb": "note", "text": "Looked at it."}, headers=key)
    again = api.post(path, json={"verb": "note", "text": "Looked at it."}, headers=key)
    assert first.status_code == again.status_code == 200
    assert first.content == again.content
    assert len([each for each in api.get("/api/v1/tickets/1001").json()["messages"] if each["text"] == "Looked at it."]) == 1
    api.post(path, json={"verb": "note", "text": "Looked at it."})
    assert len([each for each in api.get("/api/v1/tickets/1001").json()["messages"] if each["text"] == "Looked at it."]) == 2


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/tickets/INC-1001/acts", {"verb": "note", "text": "other"}),
        ("/api/v1/tickets/REQ-1002/acts", {"verb": "note", "text": "x"}),
    ],
)
def test_a_key_used_for_another_request_is_a_conflict(api, path, body):
    key = {"Idempotency-Key": "k1"}
    api.post("/api/v1/tickets/INC-1001/acts", json={"verb": "note", "text": "x"}, headers=key)
    assert api.post(path, json=body, headers=key).status_code == 409


def test_a_key_belongs_to_its_token(api):
    body, path = {"subject": "Phone: no network"}, "/api/v1/tickets"
    mine = api.post(path, json=body, headers={"Idempotency-Key": "k"}).json()
    other = api.token("acts:write", acts_as="operator")
    theirs = api.post(path, json=body, headers={"Idempotency-Key": "k", "authorization": f"Bearer {other}"}).json()
    assert mine["number"] != theirs["number"]


def test_a_key_that_is_too_long_is_told(api):
    answer = api.post("/api/v1/tickets", json={"subject": "x"}, headers={"Idempotency-Key": "k" * 256})
    assert answer.status_code == 400


def test_what_was_refused_under_a_key_may_be_tried_again(api):
    path, key = "/api/v1/tickets/INC-1001/acts", {"Idempotency-Key": "k1"}
    assert api.post(path, json={"verb": "reopen"}, headers=key).status_code == 422
    api.post(path, json={"verb": "resolve"})
    assert api.post(path, json={"verb": "reopen"}, headers=key).status_code == 200


def quarantined(api):
    api.desk.post(b"{", source="am")
    api.desk.triage()
    (found,) = api.get("/api/v1/inbox").json()["items"]
    return found["inbox_id"]


def test_a_quarantined_envelope_is_looked_at_mended_and_the_old_one_names_the_new(api):
    name = quarantined(api)
    assert api.get(f"/api/v1/inbox/{name}/raw").content == b"{"
    assert api.get(f"/api/v1/inbox/{name}/raw").headers["content-type"] == "application/octet-stream"
    whole = b'{"version":"4","alerts":[{"status":"firing","labels":{"alertname":"Net"},"startsAt":"2026-03-23T10:00:00Z"}]}'
    mended = api.post(f"/api/v1/inbox/{name}/edit", content=whole).json()
    assert (mended["edited_from"], mended["state"], mended["size_bytes"]) == (name, "pending", len(whole))
    assert mended["inbox_id"] in api.get(f"/api/v1/inbox/{name}").json()["reason"]
    assert api.post(f"/api/v1/inbox/{name}/edit", content=whole).status_code == 409
    assert api.post(f"/api/v1/inbox/{name}/edit", content=b"").status_code == 422


def test_a_quarantined_envelope_is_retried_or_dropped_once(api):
    name = quarantined(api)
    assert api.post(f"/api/v1/inbox/{name}/retry").json()["state"] == "pending"
    assert api.post(f"/api/v1/inbox/{name}/retry").status_code == 409
    api.desk.triage()
    assert api.post(f"/api/v1/inbox/{name}/drop", json={}).status_code == 422
    dropped = api.post(f"/api/v1/inbox/{name}/drop", json={"reason": "a test"}).json()
    assert (dropped["state"], dropped["outcomes"]) == ("done", ["dropped"])
    assert dropped["reason"] == "dropped by agent:ben: a test"


def test_a_mail_that_waits_is_held_let_go_and_dropped(api):
    first = api.get("/api/v1/outbox", params={"state": "queued"}).json()["items"][0]["id"]
    path = f"/api/v1/outbox/{first}"
    assert api.post(f"{path}/hold").json()["state"] == "held"
    assert api.post(f"{path}/hold").status_code == 409
    assert api.post(f"{path}/retry").json()["state"] == "queued"
    assert api.post(f"{path}/drop", json={"reason": "no need"}).json()["suppressed_because"] == "dropped by agent:ben: no need"
    assert api.get(path).json()["state"] == "suppressed"
    assert api.get(f"{path}/raw").status_code == 404
    assert api.get("/api/v1/outbox/x").status_code == 404
    assert api.get("/api/v1/outbox/5").status_code == 404


def test_a_ticket_names_its_alerts_and_its_links(api):
    api.post("/api/v1/tickets/INC-1001/acts", json={"verb": "link", "arguments": {"to": "INC-1003"}})
    shown = api.get("/api/v1/tickets/INC-1003").json()
    assert [each["series_key"] for each in shown["alerts"]] == [each["series_key"] for each in api.get("/api/v1/alerts").json()["items"]]
    assert shown["links"] == [{"kind": "of:related", "ticket": "INC-1001"}]
    assert shown["clocks"] == []
