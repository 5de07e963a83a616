"""What the verdict at the end takes for handled."""

import pytest

from prove.simulation.verdict import took_effect


@pytest.mark.parametrize(
    ("outcomes", "at", "handled"),
    [
        ("C", 0, True), ("D", 0, True), ("Q", 0, False), ("Q", 1, False), ("CQ", 0, True), ("CQ", 1, False), ("QC", 0, False), ("QC", 1, True),
        ("D", 3, True),
    ],
)  # fmt: skip
def test_an_alert_is_handled_unless_its_envelope_or_its_own_part_is_quarantined(outcomes, at, handled):
    assert took_effect(outcomes, at) is handled
