"""How many connections the doors may hold with so many descriptors."""

import resource

import pytest

from triaged import descriptors
from triaged.descriptors import Caps, fit, fitted

WANTED = Caps(smtp=500, http=2000)


@pytest.mark.parametrize(
    ("available", "caps"),
    [(2500, (500, 2000)), (10**6, (500, 2000)), (1000, (200, 800)), (10, (2, 8)), (0, (1, 1)), (-50, (1, 1))],
)
def test_each_door_gets_its_share(available: int, caps: tuple[int, int]) -> None:
    found = fitted(WANTED, available)
    assert (found.smtp, found.http) == caps


@pytest.mark.parametrize(
    ("soft", "hard", "raised", "caps"),
    [
        (1024, 4096, 2564, (500, 2000)),
        (1024, 1064, 1064, (200, 800)),
        (4096, 4096, None, (500, 2000)),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, None, (500, 2000)),
        (1024, resource.RLIM_INFINITY, 2564, (500, 2000)),
    ],
)
def test_the_soft_limit_is_raised_first(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, raised: int | None, caps: tuple[int, int]
) -> None:
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr(descriptors.resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(descriptors.resource, "setrlimit", lambda _, limits: set_to.append(limits))
    found = fit(WANTED, reserved=64)
    assert (found.smtp, found.http) == caps
    assert set_to == ([] if raised is None else [(raised, hard)])
