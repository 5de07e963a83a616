"""Requests that schemathesis makes of the OpenAPI document, against a daemon that serves it, by a token of every role (`dev prove api` runs it for long)."""

import http.server
import threading
from types import SimpleNamespace

import pytest

from prove.asking import examine
from prove.served import ROLES, Served
from webportal.openapi import document
from webportal.operations import OPERATIONS, PREFIX

pytestmark = pytest.mark.timeout(900)  # some hundred requests, made by a library that thinks long about each
SHOW = f"{PREFIX}/tickets/{{number}}"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with Served(tmp_path_factory.mktemp("served")) as made:
        yield made


def only(path, **changes):
    whole = document(OPERATIONS, "1")
    return whole | {"paths": {path: {method: each | changes for method, each in whole["paths"][path].items()}}}


def test_no_request_brings_a_5xx_and_every_answer_is_as_described(served):
    done = examine(served, examples=2, seed=1)
    assert done.findings == ()
    assert {(operation, role) for operation, role, _ in done.asked} == {
        (f"{each.method} {PREFIX}{each.path}", role) for each in OPERATIONS for role in ROLES
    }
    assert {200, 202, 400, 401, 403, 404, 409, 422} <= {status for _, _, status in done.asked}
    assert served.daemon.alive()


def test_a_status_that_is_not_described_is_found(served):
    found = examine(served, examples=1, seed=1, document=only(SHOW, responses={"200": {"description": "OK"}}))
    assert any("Undocumented st" in each for each in found.findings), found.findings


def test_an_answer_that_is_not_of_its_schema_is_found(served):
    content = {"application/json": {"schema": {"type": "object", "required": ["no such field"]}}}
    responses = {str(status): {"description": "x", "content": content} for status in (200, 400, 401, 403, 404)}
    found = examine(served, examples=1, seed=1, document=only(SHOW, responses=responses))
    assert any("no such field" in each for each in found.findings), found.findings


class Failing(http.server.BaseHTTPRequestHandler):
    """Says 503 to everything, as described."""

    def do_GET(self):
        self.send_response(503)
        self.send_header("Content-Type", "application/problem+json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


def test_a_5xx_is_found_though_it_is_described():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Failing)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        asked = SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}", tokens={"operator": "x"}, number=["INC-1"], ids={})
        found = examine(asked, examples=1, seed=1, document=only(SHOW))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert any("Server error" in each for each in found.findings), found.findings
