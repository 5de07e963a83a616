"""Three replicas on one PostgreSQL: whatever is done to them, the ledger is equal (P1, P2, P3; faults F13, F33 to F35)."""

import http.client
import json
import smtplib
import time
from pathlib import Path

import pytest

from prove.daemon import Daemon
from prove.postgres import PostgresServer
from prove.proxy import CuttingProxy
from prove.relay import RecordingRelay
from prove.replicas import KINDS, SETTINGS, disturb

WAIT_SECONDS = 180
pytestmark = pytest.mark.timeout(600)


def until(holds):
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.05)


@pytest.fixture
def database(postgres_server: PostgresServer):
    """A name of a database of its own, with our schema."""
    name = f"replicas_{time.monotonic_ns()}"
    postgres_server.make_database(name)
    yield name
    postgres_server.drop_database(name)


@pytest.fixture
def start(tmp_path, postgres_server, database):
    """Starts a daemon with some roles on the one database, perhaps through another port."""
    relay, started = RecordingRelay(), []

    def begin(roles="all", port=None, ready=True):
        folder = tmp_path / f"d{len(started)}"
        folder.mkdir()
        url = postgres_server.url(database, port=port)
        daemon = Daemon(folder, relay.port, more=SETTINGS.format(url=url, claim=60), roles=roles)
        started.append(daemon)
        daemon.start()
        if ready:
            daemon.wait_ready()
        return daemon

    begin.relay = relay
    yield begin
    for each in started:
        if each.alive():
            assert each.stop() == 0, (each.folder / "log").read_text()
    relay.close()


def mail(daemon: Daemon, name: str) -> None:
    with smtplib.SMTP("127.0.0.1", daemon.smtp_port, timeout=60) as client:
        client.sendmail(
            f"{name}@x.example", ["help@localhost"], f"From: {name}@x.example\r\nSubject: {name}\r\nMessage-ID: <{name}@x>\r\n\r\nHelp.\r\n"
        )


def get(daemon: Daemon, path: str, body: str | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", daemon.http_port, timeout=60)
    try:
        connection.request("POST" if body else "GET", path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_each_role_in_a_process_of_its_own_does_the_whole_work(start, postgres_server, database):
    doors = start("doors")
    mail(doors, "early")
    assert postgres_server.sql("SELECT state FROM inbox", database=database) == [("pending",)]
    start("triage", ready=False)
    until(lambda: postgres_server.sql("SELECT state FROM inbox", database=database) == [("done",)])
    until(lambda: postgres_server.sql("SELECT count(*) FROM outbox WHERE state = 'queued'", database=database)[0][0] > 0)
    assert not start.relay.copies
    start("notify,timers", ready=False)
    until(lambda: start.relay.copies)


def test_two_whole_daemons_share_keys_and_queue(start, postgres_server, database):
    one, other = start(), start()
    for number in range(10):
        mail(one if number % 2 else other, f"m{number}")
    until(lambda: len(start.relay.copies) >= 20)
    assert {len(copies) for copies in start.relay.copies.values()} == {1}
    assert postgres_server.sql("SELECT count(*) FROM signing_key", database=database) == [(1,)]
    assert postgres_server.sql("SELECT count(*), count(DISTINCT number) FROM ticket", database=database) == [(10, 10)]


def test_while_the_database_cannot_be_reached_doors_say_come_back_and_then_go_on(start, postgres_server):
    proxy = CuttingProxy(postgres_server.port)
    daemon = start(port=proxy.port)
    mail(daemon, "before")
    proxy.partition(on=True)
    alert = json.dumps({"version": "4", "alerts": [{"status": "firing", "labels": {"alertname": "x"}, "startsAt": "2026-11-24T10:00:00Z"}]})
    until(lambda: get(daemon, "/readyz")[0] == 503)
    assert "the database does not answer" in json.loads(get(daemon, "/readyz")[1])["reasons"]
    assert get(daemon, "/hooks/alertmanager", alert)[0] == 503
    with pytest.raises(smtplib.SMTPException, match=r"45[12]"):
        mail(daemon, "during")
    proxy.partition(on=False)
    until(lambda: get(daemon, "/readyz")[0] == 200)
    mail(daemon, "after")
    assert get(daemon, "/hooks/alertmanager", alert)[0] == 202
    assert daemon.stop() == 0
    proxy.close()


def test_replicas_that_are_killed_paused_and_cut_off_lose_and_double_nothing(postgres_server, tmp_path_factory):
    folder = Path(postgres_server.folder).parent / "replicas"
    folder.mkdir()
    verdict, done, _ = disturb(folder, seed=20261125, kinds=tuple(KINDS))
    assert verdict.findings == ()
    assert set(done) == set(KINDS)
    assert verdict.acknowledged > 0
