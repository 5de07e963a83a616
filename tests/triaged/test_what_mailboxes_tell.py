"""What is said of mailboxes that do not answer and of mails that lie unfetched: `/readyz`, `queue list --of skipped`, `doctor`."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from store import mailboxes
from store.mailboxes import EMPTY, OVERSIZE, Skipped
from store.settings import StoreSettings
from store.store import Store
from triaged import clock
from triaged.readiness import SILENT_SECONDS, Readiness
from triaged.web import probes

Say = Callable[..., Any]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(StoreSettings(path=str(tmp_path / "var")), clock=clock.now)
    yield made
    made.close()


def test_a_mailbox_that_is_not_reached_degrades_and_leaves_us_ready(store: Store) -> None:
    silent = {"help": SILENT_SECONDS + 60, "sales": 1.0}
    readiness = Readiness(store, closed_because=lambda: None, draining=lambda: False, silent_seconds=lambda: silent)
    with TestClient(Starlette(routes=probes(readiness))) as client:
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["ready"]) == (200, True)
        assert answer.json()["degraded"] == ["mailbox help was not fetched for 660 s"]
        silent["help"] = 0.0
        assert client.get("/readyz").json()["degraded"] == []


def test_mails_that_were_passed_are_listed_with_why_and_when_they_are_tried_again(store: Store, tmp_path: Path, say: Say) -> None:
    (tmp_path / "triaged.toml").write_text(f'[store]\npath = "{tmp_path}/var"\n')
    for uid, reason in ((1, EMPTY), (2, OVERSIZE)):
        row = Skipped(mailbox="help", folder="INBOX", uid_validity=7, uid=uid, reason=reason, detail="as it is", size_bytes=5_000)
        store.write(lambda tx, each=row: mailboxes.skip(tx, each)).result()
    shown = say("--config", str(tmp_path / "triaged.toml"), "queue", "list", "--of", "skipped", "--json")
    assert shown.code == 0
    found = {each["uid"]: each for each in shown.json()}
    assert {uid: each["reason"] for uid, each in found.items()} == {1: "empty", 2: "oversize"}
    assert found[1]["retry_at"] is not None
    assert found[2]["retry_at"] is None  # until its limit is raised
    table = say("--config", str(tmp_path / "triaged.toml"), "queue", "list", "--of", "skipped").out
    assert "oversize" in table
    assert "INBOX" in table
