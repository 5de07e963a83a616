"""F06: the daemon is killed around the commit of a fetched mail, and while the mail is moved on the server."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.intake.imap.doors import mail
from tests.intake.imap.fake import Answer, Drop, FakeImap
from tests.intake.imap.tables import mailbox_table
from tests.reliability.lives import Life


@pytest.fixture
def server() -> Iterator[FakeImap]:
    made = FakeImap()
    try:
        yield made
    finally:
        made.close()


def envelopes(site: Life) -> int:
    return len(site.command("queue", "list", "--of", "inbox", "--state", "done", "--json").json())


@pytest.mark.parametrize(
    ("step", "defended"),
    [("accept.before_commit", True), ("accept.after_commit", True), ("accept.after_commit", False), ("move", True), ("move", False)],
)
def test_a_fetched_mail_is_stored_once_and_moved_whenever_we_are_killed(site: Life, server: FakeImap, step: str, defended: bool) -> None:
    """Without its key and checkpoint in the commit it is stored again."""
    (site.directory / "password").write_text("secret\n")
    site.configure(mailbox_table(server.port, after="move", move_to="Done"))
    without = "" if defended else "checkpoint"
    site.begin(without=without, TRIAGED_CRASH_AT="" if step == "move" else step)
    site.until(lambda: bool(server.idling))

    def kill(_tag: bytes, _arguments: bytes) -> Answer:
        assert site.process is not None
        os.kill(site.process.pid, signal.SIGKILL)
        raise Drop

    if step == "move":
        server.on[b"MOVE"] = kill
    server.put(mail("one"))
    server.tell(b"* 1 EXISTS\r\n")
    assert site.ended() == -signal.SIGKILL
    server.on.clear()
    site.begin(without=without)
    site.until(lambda: not server.mails)  # it was moved at last
    site.settle()
    assert (envelopes(site) == 1) is defended
    assert len(site.tickets()) == 1  # and if all else failed its content would be known
    assert site.command("verify").code == 0


@pytest.mark.parametrize("when", ["in the middle of it", "before it"])
def test_a_mail_that_was_stored_and_not_yet_flagged_is_flagged_by_the_next_life(site: Life, server: FakeImap, when: str) -> None:
    """The checkpoint has passed it, so nobody would come to it again."""
    (site.directory / "password").write_text("secret\n")
    site.configure(mailbox_table(server.port, after="flag", flag="$Triaged"))
    site.begin(TRIAGED_CRASH_AT="accept.after_commit" if when == "before it" else "")
    site.until(lambda: bool(server.idling))

    def kill(_tag: bytes, _arguments: bytes) -> Answer:
        assert site.process is not None
        os.kill(site.process.pid, signal.SIGKILL)
        raise Drop

    server.on[b"STORE"] = kill
    uid = server.put(mail("one"))
    server.tell(b"* 1 EXISTS\r\n")
    assert site.ended() == -signal.SIGKILL
    assert not server.flags
    server.on.clear()
    site.begin()
    site.until(lambda: server.flags == {uid: b"$Triaged"})
    site.settle()
    assert (envelopes(site), len(site.tickets())) == (1, 1)


def test_a_flag_that_somebody_took_away_stays_away_while_the_process_lives(site: Life, server: FakeImap) -> None:
    (site.directory / "password").write_text("secret\n")
    site.configure(mailbox_table(server.port, after="flag", flag="$Triaged"))
    site.begin()
    site.until(lambda: bool(server.idling))
    first = server.put(mail("one"))
    server.tell(b"* 1 EXISTS\r\n")
    site.until(lambda: first in server.flags)
    server.flags.clear()
    second = server.put(mail("two"))
    site.until(lambda: bool(server.idling))
    server.tell(b"* 2 EXISTS\r\n")
    site.until(lambda: second in server.flags)
    assert server.flags == {second: b"$Triaged"}
