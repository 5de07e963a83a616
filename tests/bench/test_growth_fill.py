"""The fill of the growth bench is a desk like any other: the laws hold and its chains are whole."""

from datetime import UTC, datetime

from bench.growth.fill import fill
from store import tickets, verify
from store.settings import StoreSettings
from store.store import Store


def test_a_filled_desk_is_found_without_fault_and_goes_on_with_its_numbers(tmp_path):
    def open_store():
        return Store(StoreSettings(path=str(tmp_path)), clock=lambda: datetime(2026, 11, 25, tzinfo=UTC))

    open_store().close()
    fill(tmp_path / "triaged.sqlite", 30)
    store = open_store()
    try:
        assert store.read(lambda tx: list(verify.findings(tx))) == []
        assert len(store.read(tickets.listed)) == 30
        assert store.write(lambda tx: tickets.draw_numbers(tx, 1)).result() == range(1031, 1032)
    finally:
        store.close()
