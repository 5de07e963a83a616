"""What is fetched, judged from values alone."""

from datetime import UTC, datetime, timedelta

from intake.imap.plan import cursor_in_force, first_cursor, forward_paths, is_history, key_of
from intake.imap.session import Selected
from intake.imap.settings import Mailbox, mailbox_refusals

NOW = datetime(2026, 3, 23, 10, 30, tzinfo=UTC)
SELECTED = Selected(uid_validity=7, uid_next=100)


def test_at_the_first_connect_everything_below_uidnext_is_history() -> None:
    cursor = first_cursor(SELECTED, NOW, None, NOW - timedelta(hours=1))
    assert cursor.uid == 99
    assert is_history(cursor, 99, NOW - timedelta(seconds=1))
    assert not is_history(cursor, 100, NOW - timedelta(days=400))  # moved in by somebody later: an old date, a new UID


def test_a_server_whose_clock_is_ahead_makes_no_history_new() -> None:
    ahead = NOW + timedelta(hours=2)
    assert is_history(first_cursor(SELECTED, NOW, None, ahead), 99, ahead)


def test_import_since_makes_old_mail_new_from_that_day_on() -> None:
    since = datetime(2026, 3, 1, tzinfo=UTC)
    cursor = first_cursor(SELECTED, NOW, since, NOW)
    assert cursor.uid == 0
    assert is_history(cursor, 5, since - timedelta(seconds=1))
    assert not is_history(cursor, 6, since)


def test_a_changed_uidvalidity_begins_anew_and_history_stays_history() -> None:
    before = first_cursor(SELECTED, NOW, None, None)
    assert cursor_in_force(before, SELECTED) is before
    after = cursor_in_force(before, Selected(uid_validity=8, uid_next=50))
    assert (after.uid_validity, after.uid, after.history_uid) == (8, 0, 49)
    assert is_history(after, 49, NOW - timedelta(days=2))
    assert not is_history(after, 49, NOW + timedelta(hours=1))


def test_the_key_tells_folders_and_validities_apart() -> None:
    assert len({key_of("INBOX", 7, 1), key_of("INBOX", 8, 1), key_of("INBOX", 7, 2), key_of("Other", 7, 1)}) == 4


def test_the_recipient_is_the_mailbox_and_subaddresses_of_its_domain() -> None:
    body = (
        b"Delivered-To: bounces+abc@Corp.example\r\nTo: Help <help@corp.example>,\r\n x <help+tag@evil.example>\r\nCc: boss@corp.example\r\n"
        b"Subject: to: help+fake@corp.example\r\n\r\nTo: help+body@corp.example\r\n"
    )
    assert forward_paths("help@corp.example", body) == ("bounces+abc@Corp.example", "help@corp.example")
    assert forward_paths("", body) == ()


def refused(**settings: object) -> list[str]:
    given: dict[str, object] = {"name": "m", "host": "mail.example", "login": "help@corp.example", "password_file": "p"}
    return [each.path for each in mailbox_refusals((Mailbox(**(given | settings)),))]  # type: ignore[arg-type]  # as written


def test_a_mailbox_without_tls_across_a_network_is_refused() -> None:
    assert refused(tls="none") == ["intake.mailbox.0.tls"]
    assert refused(tls="none", host="127.0.0.1") == []
    assert refused(tls="none", host="localhost.") == []


def test_a_mailbox_needs_one_credential_a_folder_to_move_to_and_a_day_that_exists() -> None:
    assert refused(password_file="") == ["intake.mailbox.0.password_file"]
    assert refused(oauth="m365") == ["intake.mailbox.0.password_file"]
    assert refused(after="move") == ["intake.mailbox.0.move_to"]
    assert refused(after="move", move_to="INBOX") == ["intake.mailbox.0.move_to"]
    assert refused(folders=("A", "A")) == ["intake.mailbox.0.folders"]
    assert refused(import_since="2026-02-30") == ["intake.mailbox.0.import_since"]
    twice = Mailbox(name="m", host="mail.example", login="help@corp.example", password_file="p")
    assert [each.path for each in mailbox_refusals((twice, twice))] == ["intake.mailbox.1.name"]


def test_the_port_and_the_address_follow_from_what_is_set() -> None:
    assert Mailbox(name="m", host="mail.example", login="help@corp.example").server_port == 993
    assert Mailbox(name="m", host="mail.example", login="help", tls="starttls").server_port == 143
    assert Mailbox(name="m", host="mail.example", login="help").answers_for == ""
    assert Mailbox(name="m", host="mail.example", login="help@corp.example").answers_for == "help@corp.example"
