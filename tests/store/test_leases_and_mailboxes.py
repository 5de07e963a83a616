"""Leases, and what the store knows of mailboxes, on either engine (faults F14, F56, F58)."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from itsm.errors import Transient
from store import claims, idempotency, leases, mailboxes, oauth_tokens, process
from store.mailboxes import EMPTY, OVERSIZE, Cursor, Skipped
from store.oauth_tokens import Token
from store.store import Store
from store.threads import MailSeen, key_of, seen_before
from tests.store.conftest import SetClock

MINUTE = timedelta(minutes=1)


def take(store: Store, holder: int) -> int | None:
    return store.write(lambda tx: leases.take(tx, "mailbox/desk", holder=holder, duration=MINUTE)).result(10)


def test_a_lease_is_one_holders_until_it_ends(store: Store, clock: SetClock) -> None:
    assert (take(store, 1), take(store, 2), take(store, 1)) == (1, None, 1)
    clock.advance(seconds=59)
    assert take(store, 2) is None
    clock.advance(seconds=1)
    assert (take(store, 2), take(store, 1)) == (2, None)


def test_a_holder_who_stood_still_past_its_lease_commits_nothing(store: Store, clock: SetClock) -> None:
    fence = take(store, 1)
    assert fence is not None
    clock.advance(minutes=2)
    take(store, 2)
    with pytest.raises(Transient, match="went to another"):
        store.write(lambda tx: leases.hold(tx, "mailbox/desk", holder=1, fence=fence, duration=MINUTE)).result(10)


def test_a_lease_that_is_given_back_is_free(store: Store) -> None:
    take(store, 1)
    store.write(lambda tx: leases.release(tx, "mailbox/desk", holder=2)).result(10)
    assert take(store, 2) is None
    store.write(lambda tx: leases.release(tx, "mailbox/desk", holder=1)).result(10)
    assert take(store, 2) == 2
    store.write(leases.release_all).result(10)
    assert take(store, 3) == 1


def test_a_fence_is_never_given_twice_or_an_old_tenure_would_pass_for_one(store: Store, clock: SetClock) -> None:
    fence = take(store, 1)
    assert fence is not None
    clock.advance(minutes=2)
    take(store, 2)
    store.write(lambda tx: leases.release(tx, "mailbox/desk", holder=2)).result(10)
    with pytest.raises(Transient, match="went to another"):
        store.write(lambda tx: leases.hold(tx, "mailbox/desk", holder=1, fence=fence, duration=MINUTE)).result(10)
    assert take(store, 2) == 2  # the refused word changed nothing


def test_the_lease_of_a_process_that_is_silent_ends_with_its_claims_and_that_of_a_living_one_does_not(
    store: Store, clock: SetClock
) -> None:
    silent = Store(store.settings, clock=clock, lease_clock=clock)
    ask = {"duration": timedelta(hours=1)}
    take_both = [("mailbox/one", store.process_id), ("mailbox/two", silent.process_id)]
    for name, holder in take_both:
        store.write(lambda tx, name=name, holder=holder: leases.take(tx, name, holder=holder, **ask)).result(10)
    clock.advance(minutes=2)
    store.write(lambda tx: process.heartbeat(tx, store.lease)).result(10)
    released = [store.write(lambda tx: claims.release_dead(tx, silent=MINUTE)).result(10) for _ in range(2)]
    assert released == [1, 0]
    again = [store.write(lambda tx, name=name: leases.take(tx, name, holder=7, **ask)).result(10) for name, _ in take_both]
    assert again == [None, 2]
    silent.close()


def test_a_checkpoint_is_written_over(store: Store, clock: SetClock) -> None:
    assert store.read(lambda tx: mailboxes.cursor(tx, "desk", "INBOX")) is None
    for uid in (5, 9):
        cursor = Cursor(uid_validity=4_294_967_295, uid=uid, history_uid=3, begun_at=clock())
        store.write(lambda tx, to=cursor: mailboxes.move_cursor(tx, "desk", "INBOX", to)).result(10)
        assert store.read(lambda tx: mailboxes.cursor(tx, "desk", "INBOX")) == cursor


def skipped(uid: int, reason: str, **more: int) -> Skipped:
    fields = {"size_bytes": 0, "attempts": 0} | more
    return Skipped(mailbox="desk", folder="INBOX", uid_validity=7, uid=uid, reason=reason, detail="x" * 1000, **fields)


def test_what_is_skipped_is_due_again_after_a_while_and_given_up_in_the_end(store: Store, clock: SetClock) -> None:
    def due() -> list[int]:
        return [each.uid for each in store.read(lambda tx: mailboxes.due_again(tx, "desk", "INBOX", 7, size_limit_bytes=1000))]

    store.write(lambda tx: mailboxes.skip(tx, skipped(1, EMPTY))).result(10)
    store.write(lambda tx: mailboxes.skip(tx, skipped(2, OVERSIZE, size_bytes=2000))).result(10)
    store.write(lambda tx: mailboxes.skip(tx, skipped(3, OVERSIZE, size_bytes=900))).result(10)
    assert due() == [3]  # it fits by now
    clock.advance(minutes=1)
    assert due() == [1, 3]
    store.write(lambda tx: mailboxes.skip(tx, skipped(1, EMPTY, attempts=5))).result(10)
    clock.advance(days=30)
    assert due() == [3]
    rows = {row.uid: row for row in store.read(mailboxes.skipped)}
    assert (rows[1].attempts, rows[1].retry_at, len(rows[1].detail)) == (6, None, mailboxes.MAX_DETAIL)
    assert store.read(mailboxes.skipped_counts) == {"desk": 3}
    assert store.read(lambda tx: mailboxes.skipped_uids(tx, "desk", "INBOX", 7)) == {1, 2, 3}
    assert store.read(lambda tx: mailboxes.attempts(tx, "desk", "INBOX", 7, 1)) == 6
    store.write(lambda tx: mailboxes.forget_skipped(tx, "desk", "INBOX", 7, 1)).result(10)
    assert store.read(lambda tx: mailboxes.attempts(tx, "desk", "INBOX", 7, 1)) == 0


def test_the_uids_whose_mail_is_stored_are_found_by_their_keys(store: Store, arrive: Callable[..., int]) -> None:
    inbox_id = arrive()
    store.write(lambda tx: idempotency.remember(tx, door="imap/desk", key="7/1/INBOX", body_sha256=b"x", inbox_id=inbox_id)).result(10)
    keys = {1: "7/1/INBOX", 2: "7/2/INBOX"}
    assert store.read(lambda tx: mailboxes.stored(tx, "imap/desk", keys)) == {1}
    assert store.read(lambda tx: mailboxes.stored(tx, "imap/other", keys)) == set()


def test_history_is_kept_once(store: Store, clock: SetClock) -> None:
    key = key_of("old@corp.example")

    def older(inbox_id: int) -> MailSeen:
        return MailSeen(
            key_sha256=key,
            inbox_id=inbox_id,
            content_sha256=b"",
            participants_sha256=b"p",
            ticket_id=None,
            author="a@x",
            received_at=clock(),
        )

    assert store.write(lambda tx: mailboxes.remember_history(tx, [older(1), older(2)])).result(10) == 1
    assert store.write(lambda tx: mailboxes.remember_history(tx, [older(3)])).result(10) == 0
    assert len(store.read(lambda tx: seen_before(tx, [key]))[key]) == 1


def test_a_token_takes_the_place_of_the_one_before(store: Store, clock: SetClock) -> None:
    assert store.read(lambda tx: oauth_tokens.find(tx, "m365")) is None
    for number in (1, 2):
        token = Token(access_token=f"a{number}", refresh_token=f"r{number}", obtained_at=clock(), expires_at=clock() + MINUTE)
        store.write(lambda tx, fresh=token: oauth_tokens.keep(tx, "m365", fresh)).result(10)
        assert store.read(lambda tx: oauth_tokens.find(tx, "m365")) == token
