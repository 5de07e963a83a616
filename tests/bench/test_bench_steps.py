"""The steps of a mail: every function that is watched is still there, and is called."""

from bench.steps import rows


def test_each_step_is_found_and_takes_time(monkeypatch):
    monkeypatch.setattr(rows, "BATCHES", 2)
    monkeypatch.setattr(rows, "MAILS", 20)
    found = rows.steps()
    assert set(found) == set(rows.STEPS)
    assert min(found.values()) > 0, "a watched function has moved, or nobody calls it"
