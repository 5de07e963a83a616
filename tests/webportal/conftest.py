"""The fixtures of `desks`, and a desk of two organisations behind the whole API, for tests of it."""

import msgspec
import pytest
from starlette.testclient import TestClient

from intake.accept import Acceptor
from intake.http import HttpDoor
from intake.settings import HttpSettings
from itsm.person import Organisation
from itsm.service import Agent
from store import credentials, people
from tests.casework.desks import desk, mail, make_desk
from triaged.web import application
from webportal.api import Api
from webportal.operations import SEND_MESSAGE
from webportal.settings import WebportalSettings

__all__ = ["desk", "mail", "make_desk"]
ALERT = b'{"version":"4","alerts":[{"status":"firing","labels":{"alertname":"%s"},"startsAt":"2026-03-23T10:00:00Z"}]}'
AGENTS = (
    Agent(key="ben", name="Ben", address="ben@corp.example", teams=("desk",)),
    Agent(key="eve", name="Eve", address="eve@corp.example", role="auditor"),
    Agent(key="oda", name="Oda", address="oda@corp.example", organisations=("acme",)),
    Agent(key="aud", name="Aud", address="aud@corp.example", role="auditor", organisations=("acme",)),
)


def serve(desk, **settings):
    """The whole API over a desk, behind the application that the daemon serves it by."""
    acceptor = Acceptor(desk.store, wake=lambda: None, pending_limit=1_000, minimum_free_bytes=0)
    door = HttpDoor(HttpSettings(), desk.store, acceptor, sources=dict, secrets=dict)
    api = Api(
        desk.store, lambda: desk.casework, WebportalSettings(**settings), lambda: None, ports={SEND_MESSAGE.name: door.message}, version="1"
    )
    return TestClient(application(api.routes(), listen="127.0.0.1:0"), base_url="http://localhost", raise_server_exceptions=True)


def token(desk, acts_as, *scopes):
    """The header of a fresh token."""
    name = f"{acts_as} {desk.store.new_id()}"
    secret = desk.store.write(lambda tx: credentials.create_token(tx, name, scopes=scopes or ("admin",), acts_as=acts_as)).result()
    return {"authorization": f"Bearer {secret}"}


def two_organisations(desk, mail):
    """Acme's ticket and its alert-free world, and foreign things of every kind: of globex, of nobody, of a source."""
    organisations = [("created", Organisation(key=key, name=key, domains=(f"{key}.example",)), {}) for key in ("acme", "globex")]
    desk.store.write(lambda tx: people.write_organisations(tx, organisations, "operator:test")).result()
    desk.casework = msgspec.structs.replace(desk.casework, desk=msgspec.structs.replace(desk.casework.desk, agents=AGENTS))
    desk.put(mail("a1", "Printer jams", sender="Ana <ana@acme.example>"), sender="ana@acme.example")
    desk.put(mail("g1", "Printer secret", sender="Gus <gus@globex.example>"), sender="gus@globex.example")
    desk.put(mail("n1", "Printer of nobody", sender="Nil <nil@nowhere.example>"), sender="nil@nowhere.example")
    desk.post(ALERT % b"Disk", source="am")
    desk.post(ALERT % b"Net", source="grafana")
    desk.triage()
    return desk


@pytest.fixture
def organisations(desk, mail):
    return two_organisations(desk, mail)
