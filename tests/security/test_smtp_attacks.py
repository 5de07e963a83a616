"""A01, A22: smuggled ends of data and mails that go in a circle, over a real socket."""

from collections.abc import Callable, Iterator

import pytest

from tests.intake.smtp.test_smtp_door import SMUGGLED, Door

WITH_AND_WITHOUT = pytest.mark.parametrize("defended", [True, False])
SECOND = b"MAIL FROM:<evil@x.example>\r\nRCPT TO:<help@localhost>\r\nDATA\r\nSubject: evil\r\n\r\nevil\r\n.\r\n"


@pytest.fixture
def make_door(tmp_path) -> Iterator[Callable[..., Door]]:
    made: list[Door] = []

    def make(**settings: object) -> Door:
        made.append(Door(tmp_path / f"var{len(made)}", **settings))
        return made[-1]

    yield make
    for each in made:
        each.close()


@WITH_AND_WITHOUT
@pytest.mark.parametrize("end", SMUGGLED)
def test_an_end_of_data_that_others_might_see_is_refused(make_door: Callable[..., Door], end: bytes, defended: bool) -> None:
    """Switched off by the setting for networks whose newlines are mended: then the mail is stored with another mail's commands in it."""
    door = make_door(normalise_newlines_from=() if defended else ("127.0.0.0/8",))
    client = door.raw()
    client.until_data()
    reply = client.say(b"Subject: one\r\n\r\nbody" + end + SECOND)
    assert reply.startswith("550 5.6.11" if defended else "250")
    stored = [body for _, body in door.stored()]
    assert len(stored) == (0 if defended else 1)  # never two: only CRLF . CRLF ends a mail
    assert any(b"MAIL FROM:<evil@x.example>" in body for body in stored) is not defended


@pytest.mark.parametrize("header", [b"Subject: a\nX-Evil: b", b"Subject: a\rX-Evil: b"])
def test_a_bare_newline_in_a_header_is_refused(make_door: Callable[..., Door], header: bytes) -> None:
    door = make_door()
    client = door.raw()
    client.until_data()
    assert client.say(header + b"\r\n\r\nbody\r\n.\r\n").startswith("550 5.6.11")
    assert door.stored() == []


@WITH_AND_WITHOUT
def test_a_mail_that_passed_a_hundred_hosts_is_refused(
    make_door: Callable[..., Door], monkeypatch: pytest.MonkeyPatch, defended: bool
) -> None:
    if not defended:
        monkeypatch.setattr("intake.smtp.door.MAX_RECEIVED", 10**9)
    door = make_door()
    for hops, taken in ((99, True), (100, not defended)):
        client = door.raw()
        client.until_data()
        reply = client.say(b"Received: from a by b; Mon, 1 Jan 2026 00:00:00 +0000\r\n" * hops + b"Subject: x\r\n\r\nx\r\n.\r\n")
        assert reply.startswith("250" if taken else "554 5.4.6")
    assert len(door.stored()) == (1 if defended else 2)
