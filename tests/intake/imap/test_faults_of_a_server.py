"""What a server may do to us, by a scripted one (faults F55 to F61)."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from msgspec.structs import replace
from prometheus_client import REGISTRY

from intake.imap import folder as folder_of
from intake.imap import mailbox as worker
from intake.imap.connection import Client, Watchdog
from intake.imap.session import Lost
from intake.imap.settings import Mailbox
from rules import mail as rules_of_mail
from rules.sameness import Judgement, Sameness
from store import mailboxes
from tests.intake.imap.doors import FetchingDesk, mail
from tests.intake.imap.fake import FakeImap, drop, hang

MakeMailbox = Callable[..., Mailbox]
DEFENDED = pytest.mark.parametrize("defended", [True, False])


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, {"mailbox": "desk", **labels}) or 0.0


def idles(server: FakeImap) -> Callable[[], bool]:
    return lambda: bool(server.idling)


def test_the_first_connect_is_silent_and_what_comes_then_is_taken(desk: FetchingDesk, server: FakeImap, mailbox: MakeMailbox) -> None:
    server.put(mail("old"))
    desk.poll(mailbox())
    desk.until(idles(server))
    assert desk.stored() == []
    server.put(mail("new"), date=b"25-Nov-2026 10:00:00 +0000")
    server.tell(b"* 2 EXISTS\r\n")
    desk.until(desk.stored)
    assert desk.message_ids() == ["new@corp.example"]
    (row,) = desk.stored()
    assert row.envelope.forward_paths == ("help@corp.example",)
    assert (row.envelope.channel.value, row.envelope.received_at.isoformat()) == ("imap", "2026-11-25T10:00:00+00:00")


def test_a_reply_to_a_mail_from_before_the_first_connect_opens_one_ticket_and_what_answers_it_joins(
    desk: FetchingDesk, server: FakeImap, mailbox: MakeMailbox
) -> None:
    server.put(mail("old"), days_ago=2)
    desk.poll(mailbox(poll_seconds=0.2))
    desk.until(desk.cursor)
    server.put(mail("reply", more="In-Reply-To: <old@corp.example>\r\nReferences: <old@corp.example>\r\n"), days_ago=2)
    server.put(
        mail("next", more="In-Reply-To: <reply@corp.example>\r\nReferences: <old@corp.example> <reply@corp.example>\r\n"), days_ago=2
    )
    server.put(mail("old"), days_ago=2)  # and the old one itself, moved back by somebody, is no ticket
    desk.until(lambda: len(desk.stored()) == 3)
    desk.triage()
    (ticket,) = desk.tickets()
    assert len(desk.entries(ticket)) == 2


def test_an_idle_line_that_is_split_over_two_segments_is_read_to_its_end(
    desk: FetchingDesk, server: FakeImap, mailbox: MakeMailbox
) -> None:
    desk.poll(mailbox(poll_seconds=600.0))
    desk.until(idles(server))
    server.put(mail("split"))
    server.tell(b"* 1 EX", b"ISTS\r\n")
    desk.until(desk.stored)


def test_an_exists_in_one_segment_with_the_plus_is_seen_at_once(desk: FetchingDesk, server: FakeImap, mailbox: MakeMailbox) -> None:
    told = []

    def both(_tag: bytes, _arguments: bytes) -> bytes | None:
        if told:
            return None
        told.append(server.put(mail("together")))
        return b"+ idling\r\n* 1 EXISTS\r\n"

    server.on[b"IDLE"] = both
    desk.poll(mailbox(poll_seconds=600.0))
    desk.until(desk.stored)


def test_an_exists_before_the_plus_is_seen_at_once(desk: FetchingDesk, server: FakeImap, mailbox: MakeMailbox) -> None:
    told = []

    def before(_tag: bytes, _arguments: bytes) -> bytes | None:
        if told:
            return None
        told.append(server.put(mail("before")))
        return b"* 1 EXISTS\r\n+ idling\r\n"

    server.on[b"IDLE"] = before
    desk.poll(mailbox(poll_seconds=600.0))
    desk.until(desk.stored)


@pytest.mark.parametrize("fault", [drop, lambda tag, _: b"* BYE going down\r\n", lambda tag, _: tag + b" OK out of turn\r\n* 1 garb"])
@pytest.mark.parametrize("command", [b"LOGIN", b"EXAMINE", b"SEARCH", b"FETCH", b"IDLE"])
@pytest.mark.usefixtures("impatient")
def test_a_connection_lost_at_any_command_is_made_anew(
    desk: FetchingDesk, server: FakeImap, mailbox: MakeMailbox, command: bytes, fault: Callable[[bytes, bytes], bytes | None]
) -> None:
    struck: list[bytes] = []

    def once(tag: bytes, arguments: bytes) -> bytes | None:
        if struck or not desk.cursor():
            return None
        struck.append(command)
        return fault(tag, arguments)

    desk.poll(mailbox(command_timeout_seconds=1.0, connect_timeout_seconds=1.0, fetch_timeout_seconds=1.0, poll_seconds=1.0))
    desk.until(idles(server))
    server.on[command] = once
    server.put(mail("whole"))
    if command == b"LOGIN":  # one more connection, to be struck in it
        server.on[b"EXAMINE"] = lambda *_: (server.on.pop(b"EXAMINE"), drop(b"", b""))[1]
    desk.until(lambda: struck and desk.stored())
    assert desk.message_ids() == ["whole@corp.example"]


@pytest.mark.usefixtures("impatient")
def test_a_server_that_says_nothing_is_left_at_the_deadline(desk: FetchingDesk, server: FakeImap, mailbox: MakeMailbox) -> None:
    server.on[b"EXAMINE"] = hang
    desk.poll(mailbox(command_timeout_seconds=0.3))
    desk.until(lambda: server.logins >= 3)
    del server.on[b"EXAMINE"]
    desk.until(desk.cursor)


@pytest.mark.usefixtures("impatient")
def test_a_server_that_drips_is_left_at_the_deadline_and_would_hold_us_without_it(
    desk: FetchingDesk, server: FakeImap, mailbox: MakeMailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A time-out of the socket never strikes here: there is an octet every tenth of a second."""
    dripped = []

    def drip(_tag: bytes, _arguments: bytes) -> bytes | None:
        dripped.append(1)
        return None

    server.greeting = b""
    server.on[b"CAPABILITY"] = drip
    monkeypatch.setattr(Watchdog, "cut", lambda self: dripped.append(2))
    desk.poll(mailbox(connect_timeout_seconds=0.3))
    desk.until(lambda: 2 in dripped)  # the deadline struck; here it cuts nothing


@DEFENDED
@pytest.mark.usefixtures("impatient")
def test_a_refused_login_waits_long_and_longer(
    desk: FetchingDesk, server: FakeImap, mailbox: MakeMailbox, monkeypatch: pytest.MonkeyPatch, defended: bool
) -> None:
    if not defended:  # then it is asked as often as a network that is away
        monkeypatch.setattr(worker, "LoginRefused", ())
    server.on[b"LOGIN"] = lambda tag, _: tag + b" NO [AUTHENTICATIONFAILED] no\r\n"
    waits: list[float] = []
    poller = desk.poll(mailbox())
    poller._pipe.wait = waits.append  # type: ignore[method-assign]  # nobody sleeps: what it would have slept is written down
    desk.until(lambda: len(waits) >= 8)
    desk.stop()
    lowest = [0.5 * 0.6 * 2**n for n in range(5)]
    assert all(wait >= low for wait, low in zip(waits, lowest, strict=False)) is defended, waits
    assert max(waits) <= worker.LONGEST_LOGIN_WAIT_SECONDS
    assert worker.LOGIN_WAIT_SECONDS >= 50 * worker.FIRST_WAIT_SECONDS  # a login is asked far less often than a network


def test_a_uid_validity_that_changes_takes_no_mail_twice_and_no_history(desk: FetchingDesk, server: FakeImap, mailbox: MakeMailbox) -> None:
    server.put(mail("old"), date=b"01-Jan-2020 10:00:00 +0000")
    desk.poll(mailbox(poll_seconds=0.2))
    desk.until(desk.cursor)
    server.put(mail("known"))
    desk.until(lambda: len(desk.stored()) == 1)
    server.validity = 8
    server.put(mail("fresh"))
    desk.until(lambda: "fresh@corp.example" in desk.message_ids())
    desk.triage()
    assert "old@corp.example" not in desk.message_ids()
    assert [ticket.subject for ticket in desk.tickets()] == ["Printer 4F jams"] * 2
    assert desk.cursor().uid_validity == 8


@DEFENDED
def test_sameness_is_what_stops_a_rescan_from_making_tickets_anew(
    desk: FetchingDesk, server: FakeImap, mailbox: MakeMailbox, monkeypatch: pytest.MonkeyPatch, defended: bool
) -> None:
    if not defended:
        monkeypatch.setattr(rules_of_mail, "same", lambda *_: Judgement(sameness=Sameness.NEW))
    desk.poll(mailbox(poll_seconds=0.2))
    desk.until(desk.cursor)
    server.put(mail("one"))
    desk.until(desk.stored)
    server.validity = 9
    desk.until(lambda: len(desk.stored()) == 2)
    desk.triage()
    assert len(desk.tickets()) == (1 if defended else 2)


def _a_mail_without_an_answer_ends_the_look(*_: object) -> None:
    """As in programs that take a mail that is not there for a failure of the server (Zammad #1662)."""
    raise Lost("no answer")


@DEFENDED
@pytest.mark.usefixtures("impatient")
def test_a_mail_that_is_expunged_before_it_is_fetched_is_passed(
    desk: FetchingDesk, server: FakeImap, mailbox: MakeMailbox, monkeypatch: pytest.MonkeyPatch, defended: bool
) -> None:
    if not defended:
        monkeypatch.setattr(folder_of.Folder, "_gone_or_refused", _a_mail_without_an_answer_ends_the_look)
    before = sample("triaged_mailbox_skipped_total", reason="expunged")
    poller = desk.poll(mailbox(poll_seconds=0.2))
    desk.until(desk.cursor)

    def expunged(_tag: bytes, arguments: bytes) -> bytes | None:
        if not defended:  # it lies there unreadable, so that the next look meets it again
            return b"" + _tag + b" OK done\r\n" if arguments.startswith((b"1 ", b"1:")) else None
        server.mails.pop(1, None)
        return None

    server.on[b"FETCH"] = expunged
    server.put(mail("gone"))
    server.put(mail("stays"))
    if not defended:
        desk.until(lambda: poller._failures >= 5)
        assert desk.stored() == []
        return
    desk.until(desk.stored)
    assert desk.message_ids() == ["stays@corp.example"]
    assert sample("triaged_mailbox_skipped_total", reason="expunged") == before + 1
    assert desk.skipped() == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda tag: b"* 1 FETCH (UID 1 BODY[]<0> NIL)\r\n" + tag + b" OK done\r\n", "empty"),
        (lambda tag: tag + b" NO [SERVERBUG] cannot read it\r\n", "refused"),
        (lambda _tag: b"* 1 FETCH (UID 1 BODY[]<0> {999999999}\r\n", "crashed"),
    ],
)
@pytest.mark.usefixtures("impatient")
def test_an_unfetchable_mail_is_passed_shown_and_tried_again(
    desk: FetchingDesk, server: FakeImap, mailbox: MakeMailbox, answer: Callable[[bytes], bytes], reason: str
) -> None:
    before = sample("triaged_mailbox_skipped_total", reason=reason)
    desk.poll(mailbox(poll_seconds=0.2))
    desk.until(desk.cursor)
    server.on[b"FETCH"] = lambda tag, arguments: answer(tag) if arguments.startswith(b"1 ") and b"BODY.PEEK[]" in arguments else None
    server.put(mail("bad"))
    server.put(mail("good"))
    desk.until(desk.stored)
    assert desk.message_ids() == ["good@corp.example"]
    (passed,) = desk.skipped()
    assert (passed.uid, passed.reason, passed.attempts) == (1, reason, 1)
    assert passed.retry_at is not None
    assert sample("triaged_mailbox_skipped_total", reason=reason) == before + 1


@pytest.mark.usefixtures("impatient")
def test_without_the_limit_of_losses_one_mail_would_hold_all_others_up(
    desk: FetchingDesk, server: FakeImap, mailbox: MakeMailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_of, "MAX_LOSSES", 10**9)
    desk.poll(mailbox(poll_seconds=0.2))
    desk.until(desk.cursor)
    tries: list[int] = []

    def broken(_tag: bytes, arguments: bytes) -> bytes | None:
        if arguments.startswith(b"1 ") and b"BODY.PEEK[]" in arguments:
            tries.append(1)
            return b"* 1 FETCH (UID 1 BODY[]<0> {999999999}\r\n"
        return None

    server.on[b"FETCH"] = broken
    server.put(mail("bad"))
    server.put(mail("good"))
    desk.until(lambda: len(tries) >= 6)
    assert desk.stored() == []


def test_a_passed_mail_that_can_be_fetched_later_is_stored_then(
    desk: FetchingDesk, server: FakeImap, mailbox: MakeMailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailboxes, "RETRY_AFTER", (timedelta(),) * 5)
    desk.poll(mailbox(poll_seconds=0.2))
    desk.until(desk.cursor)
    server.on[b"FETCH"] = lambda tag, arguments: tag + b" NO later\r\n" if b"BODY.PEEK[]" in arguments else None
    server.put(mail("later"))
    desk.until(desk.skipped)
    del server.on[b"FETCH"]
    desk.until(desk.stored)
    desk.until(lambda: not desk.skipped())
    assert desk.message_ids() == ["later@corp.example"]


def test_a_mail_over_the_limit_is_recorded_and_taken_when_the_limit_is_raised(
    desk: FetchingDesk, server: FakeImap, mailbox: MakeMailbox
) -> None:
    desk.poll(mailbox(poll_seconds=0.2, message_limit_bytes=2048))
    desk.until(desk.cursor)
    server.put(mail("large", text="x" * 4000))
    server.put(mail("small"))
    desk.until(desk.stored)
    (passed,) = desk.skipped()
    assert (passed.reason, passed.size_bytes > 4000, passed.retry_at) == ("oversize", True, None)
    desk.stop()
    desk.poll(mailbox(poll_seconds=0.2))
    desk.until(lambda: len(desk.stored()) == 2)
    desk.until(lambda: not desk.skipped())


def test_a_size_that_lies_hides_no_octet_and_no_oversize(desk: FetchingDesk, server: FakeImap, mailbox: MakeMailbox) -> None:
    desk.poll(mailbox(poll_seconds=0.2, message_limit_bytes=4096))
    desk.until(desk.cursor)

    def lies(tag: bytes, arguments: bytes) -> bytes | None:
        if b"RFC822.SIZE" not in arguments:
            return None
        rows = [b'* %d FETCH (UID %d RFC822.SIZE 10 INTERNALDATE "%s")\r\n' % (uid, uid, server.dates[uid]) for uid in server.mails]
        return b"".join(rows) + tag + b" OK done\r\n"

    server.on[b"FETCH"] = lies
    server.put(mail("whole", text="y" * 3000))
    server.put(mail("large", text="z" * 9000))
    desk.until(lambda: desk.stored() and desk.skipped())
    assert desk.stored()[0].envelope.size_bytes == len(server.mails[1])
    assert desk.skipped()[0].reason == "oversize"


def test_a_full_folder_for_what_is_done_has_its_own_metric_and_makes_no_copies(
    desk: FetchingDesk, server: FakeImap, mailbox: MakeMailbox
) -> None:
    before = sample("triaged_mailbox_after_errors_total")
    server.on[b"MOVE"] = lambda tag, _: tag + b" NO [OVERQUOTA] quota exceeded\r\n"
    desk.poll(mailbox(poll_seconds=0.1, after="move", move_to="Done"))
    desk.until(desk.cursor)
    server.put(mail("one"))
    desk.until(desk.stored)
    looked = server.commands.count(b"SELECT")
    desk.until(lambda: server.commands.count(b"SELECT") > looked + 5)
    assert sample("triaged_mailbox_after_errors_total") == before + 1
    assert server.commands.count(b"MOVE") == 1  # not at every look: at the next reconciliation
    assert len(desk.stored()) == 1


def test_what_could_not_be_moved_is_moved_after_a_restart(desk: FetchingDesk, server: FakeImap, mailbox: MakeMailbox) -> None:
    server.on[b"MOVE"] = drop  # as if we were killed between commit and move (F06)
    settings = mailbox(poll_seconds=0.1, after="move", move_to="Done")
    desk.poll(settings)
    desk.until(desk.cursor)
    server.put(mail("one"))
    desk.until(desk.stored)
    desk.stop()
    del server.on[b"MOVE"]
    desk.poll(settings)
    desk.until(lambda: not server.mails)
    assert len(desk.stored()) == 1


@DEFENDED
def test_a_server_without_move_gets_one_copy_even_when_the_rest_fails(
    desk: FetchingDesk, server: FakeImap, mailbox: MakeMailbox, defended: bool
) -> None:
    server.capabilities = b"IMAP4rev1 IDLE"
    server.on[b"STORE"] = lambda tag, _: tag + b" NO read only\r\n"
    poller = desk.poll(mailbox(poll_seconds=0.1, after="move", move_to="Done"))
    desk.until(desk.cursor)
    server.put(mail("one"))
    desk.until(lambda: server.commands.count(b"STORE") == 1)
    if not defended:
        poller._folders[0]._copied.clear()
    poller._reconciled_at = None  # an hour has passed
    desk.until(lambda: server.commands.count(b"STORE") >= 2)
    assert (server.commands.count(b"COPY") == 1) is defended


@DEFENDED
def test_only_uid_commands_are_used(
    desk: FetchingDesk, server: FakeImap, mailbox: MakeMailbox, monkeypatch: pytest.MonkeyPatch, defended: bool
) -> None:
    """Sequence numbers shift while we iterate (F60): one mail is expunged behind us, and by its number the next one would be missed."""
    if not defended:
        monkeypatch.setattr(Client, "use_uid", property(lambda _: False, lambda *_: None), raising=False)
    shifted: list[bytes] = []

    def shift(_tag: bytes, arguments: bytes) -> bytes | None:
        if arguments.startswith(b"2 ") and b"BODY.PEEK[]" in arguments and not shifted:
            shifted.append(server.mails.pop(1))
        return None

    desk.poll(mailbox(poll_seconds=0.2))
    desk.until(desk.cursor)
    server.on[b"FETCH"] = shift
    server.on[b"EXAMINE"] = lambda *_: None if len(server.mails) in (0, 5, 6) else drop(b"", b"")  # all at once, or none
    for number in range(1, 7):
        server.put(mail(f"m{number}"))
    desk.until(lambda: shifted and "m6@corp.example" in desk.message_ids())
    assert ("m2@corp.example" in desk.message_ids()) is defended
    assert (desk.message_ids() == [f"m{number}@corp.example" for number in range(1, 7)]) is defended


def test_a_mail_that_the_store_lacks_is_found_by_the_reconciliation(desk: FetchingDesk, server: FakeImap, mailbox: MakeMailbox) -> None:
    settings = mailbox(poll_seconds=0.1)
    desk.poll(settings)
    desk.until(desk.cursor)
    server.put(mail("one"))
    desk.until(desk.stored)
    desk.stop()
    cursor = desk.cursor()
    server.put(mail("two"))  # as if a server had shown it late: the checkpoint is behind it already
    desk.store.write(lambda tx: mailboxes.move_cursor(tx, "desk", "INBOX", replace(cursor, uid=2))).result()
    desk.poll(settings)
    desk.until(lambda: len(desk.stored()) == 2)
    assert sample("triaged_mailbox_missing") == 1


def test_a_uid_that_a_server_gives_twice_loses_neither_mail(desk: FetchingDesk, server: FakeImap, mailbox: MakeMailbox) -> None:
    settings = mailbox(poll_seconds=0.1)
    desk.poll(settings)
    desk.until(desk.cursor)
    server.put(mail("one"))
    desk.until(desk.stored)
    desk.stop()
    desk.store.write(lambda tx: mailboxes.move_cursor(tx, "desk", "INBOX", replace(desk.cursor(), uid=0))).result()
    server.mails[1] = mail("other")
    desk.poll(settings)
    desk.until(lambda: len(desk.stored()) == 2)
