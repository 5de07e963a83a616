"""A new session looks only for what it may need, and finds all of it."""

import asyncio

import pytest

from intake.settings import SmtpSettings
from intake.smtp.door import SmtpDoor
from intake.smtp.policy import policy_of
from intake.smtp.session import Session
from tests.intake.smtp.wire import DESK, NOW, Keeps


def made():
    """What a new session knows: commands, ways to log in, hooks; and how many names it looked at."""
    looked = []

    async def make():
        settings = SmtpSettings(listen="127.0.0.1:0")
        door = SmtpDoor(settings, Keeps(), policy=lambda: policy_of(settings, DESK, {}), domain=DESK.domain, clock=lambda: NOW)
        await door.start()
        session = door._session()
        looked.append(len(dir(session)) + len(dir(door)))
        await door.stop()
        return [sorted(each) for each in (session._smtp_methods, session._auth_methods, session._handle_hooks)]

    return asyncio.run(make()), looked[0]


def test_it_finds_what_a_look_at_everything_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    short, few = made()
    for each in (Session, SmtpDoor):
        monkeypatch.delattr(each, "__dir__")
    whole, many = made()
    assert short == whole
    assert {"EHLO", "DATA", "RCPT", "STARTTLS"} <= set(short[0])
    assert short[2] == ["DATA", "EHLO", "RCPT"]
    assert many > 4 * few
