"""Deliveries pass the router by, and nothing else that stands before their door."""

from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from intake.accept import Acceptor
from intake.http import HttpDoor
from intake.settings import HttpSettings, Source
from store.settings import StoreSettings
from store.store import Store
from triaged.web import application

ALERT = b'{"alerts":[{"labels":{"alertname":"Disk"}}]}'


@pytest.fixture
def client(tmp_path):
    store = Store(StoreSettings(path=str(tmp_path)), clock=lambda: datetime(2026, 3, 23, tzinfo=UTC))
    acceptor = Acceptor(store, wake=lambda: None, pending_limit=10, minimum_free_bytes=0)
    sources = {"am": Source(name="am", format="alertmanager", authentication="none")}
    door = HttpDoor(HttpSettings(), store, acceptor, sources=lambda: sources, secrets=dict)
    yield TestClient(application([], listen="127.0.0.1:0", hook=door.hook), base_url="http://localhost")
    store.close()


def test_a_delivery_is_answered_without_any_route(client):
    assert client.post("/hooks/am", content=ALERT).status_code == 202
    assert client.post("/hooks/nobody", content=ALERT).status_code == 404


def test_a_delivery_under_another_host_is_refused(client):
    assert client.post("/hooks/am", content=ALERT, headers={"Host": "evil.example"}).status_code == 421


def test_what_is_no_delivery_goes_the_usual_way(client):
    assert client.get("/hooks/am").status_code == 404
    assert client.post("/elsewhere", content=ALERT).json()["detail"] == "there is nothing at /elsewhere"


def test_an_error_of_ours_is_a_problem_document_and_the_server_hears_of_it():
    def broken():
        raise RuntimeError("a bug")

    door = HttpDoor(HttpSettings(), None, None, sources=broken, secrets=dict)
    app = application([], listen="127.0.0.1:0", hook=door.hook)
    answer = TestClient(app, base_url="http://localhost", raise_server_exceptions=False).post("/hooks/am", content=ALERT)
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    with pytest.raises(RuntimeError, match="a bug"):
        TestClient(app, base_url="http://localhost").post("/hooks/am", content=ALERT)
