"""Attack A47: hostile strings through every parameter, path and field of the API, taken from its table of operations."""

from urllib.parse import quote

import pytest

from itsm.act import Verb
from store import tickets
from tests.hostile import HOSTILE, NO_TEXT
from tests.webportal.conftest import serve, token
from webportal.operations import OPERATIONS, PREFIX

EXACT = {"requester", "message_id", "source"}  # filters that find only what is just so
NAMES = {"number": "INC-1001", "id": "in-1"}
WHOLE = {"verb": "note", "text": "x", "reason": "x", "subject": "x"}
SENT = [each.replace("\ud800", "\ufffd") for each in NO_TEXT]  # a lone surrogate cannot be written in UTF-8: its octets are below
CODES = {200, 202, 400, 404, 409, 413, 422}


@pytest.fixture
def client(organisations):
    with serve(organisations) as opened:
        opened.desk, opened.headers = organisations, opened.headers | token(organisations, "operator")
        yield opened


def count(client):
    return len(client.desk.store.read(lambda tx: tickets.listed(tx, limit=1_000)))


def test_every_parameter_of_every_list(client):
    before = count(client)
    for operation in (each for each in OPERATIONS if each.method == "GET"):
        path = PREFIX + operation.path.replace("{number}", NAMES["number"]).replace("{id}", NAMES["id"])
        for name in operation.query.__struct_fields__:
            for value in (*HOSTILE, *SENT):
                answer = client.get(path, params={name: value})
                assert answer.status_code in CODES, (operation.name, name, value, answer.text)
                if name in EXACT and answer.status_code == 200:
                    assert answer.json()["items"] == [], (name, value)
            octets = client.get(f"{path}?{name}=%ED%A0%80%FF%00")
            assert octets.status_code in CODES, (operation.name, name)
    assert count(client) == before


def test_every_name_in_a_path(client):
    for operation in (each for each in OPERATIONS if "{" in each.path):
        for value in (*HOSTILE, *SENT, "INC-1001' OR '1'='1"):
            name = quote(value, safe="")
            path = PREFIX + operation.path.replace("{number}", name).replace("{id}", name)
            answer = client.request(operation.method, path, content=b"{}" if operation.method == "POST" else None)
            assert answer.status_code in CODES - {200}, (operation.name, value, answer.text)


def test_every_text_of_every_body(client):
    before = count(client)
    entered = 0
    for operation in (each for each in OPERATIONS if each.body is not None):
        path = PREFIX + operation.path.replace("{number}", NAMES["number"]).replace("{id}", NAMES["id"])
        fields = operation.body.__struct_fields__
        base = {name: WHOLE[name] for name in fields if name in WHOLE}
        for name in fields:
            for value in (*HOSTILE, *SENT):
                answer = client.post(path, json=base | {name: value})
                assert answer.status_code in CODES, (operation.name, name, value, answer.text)
                entered += answer.status_code == 200 and operation.name == "enterTicket"
    assert count(client) == before + entered


def test_every_argument_of_every_act(client):
    names = ("team", "to", "into", "address", "priority", "entry", "tag", "reason", "until", "x")
    for verb in Verb:
        for value in ("' OR '1'='1", "\x00", "9" * 40, "İ", "x" * 4_000):
            body = {"verb": verb.value, "text": value, "arguments": dict.fromkeys(names, value)}
            answer = client.post(f"{PREFIX}/tickets/INC-1002/acts", json=body)
            assert answer.status_code in CODES, (verb, value, answer.text)
    assert client.get(f"{PREFIX}/tickets/INC-1002").status_code == 200
