"""The HTTP door: every answer a sender can get, over a real ASGI application and a real store."""

import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from intake import http
from intake.accept import Acceptor
from intake.context import GenericMapping
from intake.http import HttpDoor, Secret
from intake.settings import HttpSettings, Source
from itsm.errors import Transient
from store import inbox, refused
from store.settings import StoreSettings
from store.store import Store

NOW = datetime(2026, 3, 23, 10, 30, tzinfo=UTC)
ALERT = {"version": "4", "alerts": [{"status": "firing", "labels": {"alertname": "Disk"}, "startsAt": "2026-03-23T10:00:00Z"}]}
SOURCES = {
    "alertmanager": Source(name="alertmanager", format="alertmanager", authentication="none"),
    "prometheus": Source(name="prometheus", format="alertmanager_v2", authentication="none"),
    "generic": Source(name="generic", authentication="none", delivery_header="X-Delivery"),
    "token": Source(name="token", token_file="x"),
    "signed": Source(name="signed", authentication="hmac", hmac_file="x", mapping=GenericMapping(items="events")),
}
SECRETS = {"token": Secret(token="s3cret"), "signed": Secret(hmac_key="k3y")}


class Site:
    """The door as an application, with its store."""

    def __init__(self, folder, **settings):
        self.store = Store(StoreSettings(path=str(folder)), clock=lambda: NOW)
        self.woken = []
        self.acceptor = Acceptor(self.store, wake=lambda: self.woken.append(1), pending_limit=3, minimum_free_bytes=0)
        self.door = HttpDoor(HttpSettings(**settings), self.store, self.acceptor, sources=lambda: SOURCES, secrets=lambda: SECRETS)

        async def message(request):
            return await self.door.message(request, "tester")

        self.client = TestClient(Starlette(routes=[*self.door.routes(), Route("/messages", message, methods=["POST"])]))

    def post(self, source, body, **headers):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.post(f"/hooks/{source}", content=raw, headers={key.replace("_", "-"): value for key, value in headers.items()})

    def pending(self):
        return self.store.read(lambda tx: inbox.listed(tx, inbox.PENDING))


@pytest.fixture
def make_site(tmp_path):
    made = []

    def make(**settings):
        made.append(Site(tmp_path / f"var{len(made)}", **settings))
        return made[-1]

    yield make
    for each in made:
        each.client.close()
        each.store.close()


@pytest.fixture
def site(make_site):
    return make_site()


def test_a_delivery_is_stored_and_then_answered_202(site):
    answer = site.post("alertmanager", ALERT)
    assert answer.status_code == 202
    (row,) = site.pending()
    assert answer.json() == {"inbox_id": f"in-{row.envelope.id}", "parts": 1, "broken": 0, "repeated": False}
    assert (row.envelope.source, row.envelope.format, row.envelope.channel.value) == ("alertmanager", "alertmanager", "http")
    assert site.woken == [1]


def test_prometheus_is_answered_200_and_its_valid_alerts_are_kept_though_it_hears_400(site):
    good = {"labels": {"alertname": "A"}, "startsAt": "2026-03-23T10:00:00Z"}
    assert site.post("prometheus", [good]).status_code == 200
    answer = site.post("prometheus", [good, {"labels": {}}])
    assert answer.status_code == 400
    assert "1 of 2 alerts are broken" in answer.json()["detail"]
    assert len(site.pending()) == 2


def test_a_body_nothing_can_be_read_of_is_400_and_kept_for_a_week(site):
    answer = site.post("alertmanager", b"{nonsense")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert site.pending() == []
    (kept,) = site.store.read(refused.listed)
    assert kept.source == "alertmanager"


def test_an_unknown_source_is_404_with_the_nearest_name(site):
    assert "did you mean 'alertmanager'" in site.post("alertmanger", ALERT).json()["detail"]
    assert "configure it" in site.post("zzz", ALERT).json()["detail"]
    assert site.client.get("/hooks/alertmanager").status_code == 405


def test_a_token_is_asked_for_and_compared(site):
    event = {"title": "x"}
    assert site.post("token", event).status_code == 401
    assert site.post("token", event, authorization="Bearer wrong").status_code == 401
    assert site.post("token", event, authorization="Basic s3cret").status_code == 401
    assert site.post("token", event, authorization="Bearer s3cret").status_code == 202


def test_an_hmac_signs_the_body(site):
    body = json.dumps({"events": [{"title": "x"}, {"title": "y"}]}).encode()
    signature = hmac.new(b"k3y", body, hashlib.sha256).hexdigest()
    assert site.post("signed", body).status_code == 401
    assert site.post("signed", body + b" ", x_hub_signature_256=signature).status_code == 401
    answer = site.post("signed", body, x_hub_signature_256=f"sha256={signature}")
    assert answer.json()["parts"] == 2


def test_a_repeat_by_its_key_is_answered_with_the_first_answer_and_stores_nothing(site):
    first = site.post("generic", {"title": "x"}, idempotency_key="k1")
    again = site.post("generic", {"title": "x"}, idempotency_key="k1")
    assert again.json() == first.json() | {"repeated": True}
    assert len(site.pending()) == 1
    assert site.post("generic", {"title": "other"}, idempotency_key="k1").status_code == 409
    assert site.post("generic", {"title": "x"}, x_delivery="d1").json()["repeated"] is False
    assert site.post("generic", {"title": "x"}, x_delivery="d1").json()["repeated"] is True


def test_limits_of_the_body(make_site):
    site = make_site(body_limit_bytes=1024)
    big = {"title": "x" * 2000}
    assert site.post("generic", big).status_code == 413
    assert site.client.post("/hooks/generic", content=iter([b"x" * 600, b"y" * 600])).status_code == 413
    assert site.post("generic", {"title": "x"}, content_encoding="gzip").status_code == 415


def test_under_pressure_alertmanager_hears_503_and_generic_429(make_site):
    site = make_site()
    site.acceptor.closed_because = Transient("the disk is full", retry_seconds=60)
    for source, code in (("alertmanager", 503), ("generic", 429)):
        answer = site.post(source, ALERT | {"title": "x"})
        assert answer.status_code == code
        assert answer.headers["retry-after"] == "60"
    crowded = make_site(requests_at_once=1)
    crowded.door._places = 0
    assert crowded.post("alertmanager", ALERT).status_code == 503


def test_the_doors_close_while_too_much_waits_or_the_disk_is_full(site):
    for _ in range(3):
        assert site.post("alertmanager", ALERT).status_code == 202
    site.acceptor.look()
    answer = site.post("alertmanager", ALERT)
    assert answer.status_code == 503
    assert "wait for triage" in answer.json()["detail"]
    site.acceptor._minimum_free = 2**62
    site.acceptor.look()
    assert "disk" in str(site.acceptor.closed_because)
    site.acceptor._minimum_free, site.acceptor._pending_limit = 0, 100
    site.acceptor.look()
    assert site.post("alertmanager", ALERT).status_code == 202


def test_raw_mail_is_taken_as_it_is(site):
    raw = b"Message-ID: <a@x>\r\nSubject: x\r\n\r\nhi\r\n"
    answer = site.client.post("/messages?reverse_path=a@x", content=raw, headers={"content-type": "message/rfc822", "idempotency-key": "k"})
    assert answer.status_code == 202
    (row,) = site.pending()
    assert (row.envelope.message_id, row.envelope.format, row.envelope.reverse_path) == ("a@x", "rfc822", "a@x")
    again = site.client.post("/messages", content=raw, headers={"content-type": "message/rfc822", "idempotency-key": "k"})
    assert again.json()["repeated"] is True


def test_a_mail_whose_key_or_reverse_path_is_too_long_is_refused_not_cut(site):
    kind = {"content-type": "message/rfc822"}
    assert site.client.post("/messages", content=b"Subject: x\r\n\r\nx", headers=kind | {"idempotency-key": "k" * 255}).status_code == 202
    answer = site.client.post("/messages", content=b"Subject: y\r\n\r\ny", headers=kind | {"idempotency-key": "k" * 256})
    assert (answer.status_code, answer.json()["detail"]) == (400, "Idempotency-Key is longer than 255 characters")
    assert site.client.post(f"/messages?reverse_path={'a' * 320}", content=b"Subject: z\r\n\r\nz", headers=kind).status_code == 202
    assert site.client.post(f"/messages?reverse_path={'a' * 321}", content=b"Subject: z\r\n\r\nz", headers=kind).status_code == 400


def test_two_deliveries_whose_long_ids_begin_alike_are_two(site):
    for end in ("1", "2"):
        body = {"title": f"Disk {end}", "status": "firing", "id": end}
        assert site.post("generic", body, X_Delivery="d" * 255 + end).status_code == 202
    assert len(site.pending()) == 2


def test_mail_of_another_type_or_empty_is_refused(site):
    assert site.client.post("/messages", content=b"x", headers={"content-type": "text/plain"}).status_code == 415
    assert site.client.post("/messages", content=b"", headers={"content-type": "message/rfc822"}).status_code == 400


def test_a_large_body_that_comes_again_is_not_decoded_again(site, monkeypatch):
    decoded = []
    look = http.plain
    monkeypatch.setattr(http, "plain", lambda format_, raw: decoded.append(len(raw)) or look(format_, raw))
    large = {"version": "4", "alerts": [{**ALERT["alerts"][0], "labels": {"alertname": f"Disk {number}"}} for number in range(100)]}
    broken = {"version": "4", "alerts": [*large["alerts"], {"status": "firing"}]}
    for body, parts, bad in ((large, 100, 0), (broken, 101, 1)):
        answers = [site.post("alertmanager", body) for _ in range(2)]
        assert [(each.status_code, each.json()["parts"], each.json()["broken"]) for each in answers] == [(202, parts, bad)] * 2
    assert len(decoded) == 1 + 2  # only what had nothing broken is kept
    assert len(site.pending()) == 4
