"""A68: whichever bit of the audit trail is flipped, `verify` says so."""

import itertools
from pathlib import Path

import pytest

from store import chain, history, verify
from store.settings import StoreSettings
from store.store import Store
from tests.store.conftest import NOON

WITH_AND_WITHOUT = pytest.mark.parametrize("defended", [True, False])
TABLES = ("history", "history_content", "history_head")
KEYS = ("desk_id", "stream", "seq")


def flipped(value: object, bit: int) -> object:
    """The value with one bit changed, None when it has not so many."""
    if isinstance(value, bool | int):
        return value ^ (1 << bit) if bit < 62 else None
    octets = bytearray(value.encode() if isinstance(value, str) else value)  # type: ignore[arg-type]  # text or bytes
    if bit >= 8 * len(octets):
        return None
    octets[bit // 8] ^= 1 << bit % 8
    return bytes(octets) if isinstance(value, bytes) else octets.decode("utf-8", "replace")


@WITH_AND_WITHOUT
@pytest.mark.parametrize("table", TABLES)
def test_every_flipped_bit_of_the_chain_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, defended: bool) -> None:
    store = Store(StoreSettings(path=str(tmp_path / "var")), clock=lambda: NOON)
    entries = [("configuration", "loaded", "operator", (number, 7), b'{"n":%d}' % number) for number in range(3)]
    store.write(lambda tx: history.append_many(tx, entries)).result(10)
    if not defended:
        monkeypatch.setattr(chain, "link_hash", lambda *_: None)
        monkeypatch.setattr(verify, "broken_links", lambda tx: iter(()), raising=False)
        monkeypatch.setattr(chain, "broken_links", lambda tx: iter(()))
    found: dict[bool, list[tuple[str, int]]] = {True: [], False: []}
    with store.engine.connect() as connection:
        driver = connection.connection.driver_connection
        driver.execute("PRAGMA foreign_keys = OFF")
        columns = [row[1] for row in driver.execute(f"PRAGMA table_info({table})")]
        rows = driver.execute(f"SELECT rowid, * FROM {table}").fetchall()
    for row, (at, column) in itertools.product(rows[:2], enumerate(columns)):
        for bit in range(0, 256, 17):
            other = flipped(row[at + 1], bit)
            if table == "history_content" and column in KEYS:  # content under another key is content that was erased: allowed
                continue
            if other is None or other == row[at + 1]:
                continue
            if (column, other) == ("seq", 3) or (column, other) == ("seq", 2):
                continue  # another row has this key: it cannot be written
            found[seen(store, table, column, row[0], other)].append((column, bit))
    store.close()
    assert len(found[defended]) >= 10
    assert found[not defended] == []


def seen(store: Store, table: str, column: str, rowid: int, value: object) -> bool:
    """Whether `verify` has a finding while the value stands there; it is taken back."""

    class Back(Exception):
        """Undo it."""

    found: list[str] = []

    def work(tx) -> None:
        tx.connection.exec_driver_sql(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, rowid))
        found.extend(str(each) for each in verify.findings(tx))
        raise Back

    with pytest.raises((Back, Exception)):
        store.write(work).result(10)
    return bool(found)
