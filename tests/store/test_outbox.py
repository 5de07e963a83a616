"""The outbox: order per ticket and reader, one claim at a time, and bytes that never change (P3)."""

from datetime import timedelta

import pytest

from itsm.notification import DeliveryState, Event, Notification
from store import outbox
from store.schema import CHUNK_BYTES

LEASE = timedelta(minutes=20)


@pytest.fixture
def queue(store):
    """Put one notification into the outbox; gives it back."""

    def put(recipient="ana@corp.example", **fields):
        def work(tx):
            row = tx.new_id()
            usual = {
                "id": row,
                "ticket_id": 7,
                "ticket_number": 1042,
                "event": Event.RESOLVED,
                "recipient": recipient,
                "message_id": f"{row}@corp.example",
                "facts": {"words": "Cleared."},
                "created_at": tx.now,
                "due_at": tx.now,
            }
            made = Notification(**(usual | fields))
            outbox.enqueue(tx, [made])
            return made

        return store.write(work).result()

    return put


@pytest.fixture
def do(store):
    """Run a function of the outbox in a transaction of its own."""

    def work(function, *arguments, **named):
        return store.write(lambda tx: function(tx, *arguments, **named)).result()

    return work


@pytest.fixture
def claim(do):
    def take(limit=50, process_id=1):
        return do(outbox.claim, process_id=process_id, limit=limit)

    return take


def ids(rows):
    return [each.notification.id for each in rows]


def test_a_notification_comes_back_as_it_was_put(queue, claim):
    made = queue(recipient_name="Ana", in_reply_to="a@x", references=("r@x", "a@x"), facts={"words": "Grüße\n☃"})
    (claimed,) = claim()
    assert claimed.notification == made
    assert (claimed.fence, claimed.reverse_path, claimed.rendered) == (1, None, False)


def test_nothing_to_enqueue_is_no_error(do):
    do(outbox.enqueue, [])


def test_what_is_suppressed_or_not_due_is_not_claimed(queue, claim, clock):
    queue(state=DeliveryState.SUPPRESSED, suppressed_because="list mail")
    later = queue(due_at=clock.now + timedelta(minutes=1))
    assert claim() == []
    clock.advance(minutes=1)
    assert ids(claim()) == [later.id]


def test_a_claimed_row_is_not_claimed_again(queue, claim):
    queue()
    assert len(claim(process_id=1)) == 1
    assert claim(process_id=2) == []


def test_rows_are_claimed_oldest_first_and_at_most_so_many(queue, claim):
    made = [queue(ticket_id=number) for number in range(5)]
    assert ids(claim(limit=3)) == [each.id for each in made[:3]]


def test_one_reader_of_one_ticket_gets_mails_in_order(queue, claim, do):
    first, second = queue(), queue()
    other_reader, other_ticket = queue("ben@corp.example"), queue(ticket_id=8)
    claimed = claim()
    assert ids(claimed) == [first.id, other_reader.id, other_ticket.id]
    do(outbox.mark_sending, [(first.id, 1)], lease=LEASE)
    assert claim() == []
    do(outbox.record_sent, first.id, 1, "250 ok")
    assert ids(claim()) == [second.id]


@pytest.mark.parametrize(("minutes", "claimable"), [(15, 0), (16, 1)])
def test_an_earlier_mail_holds_up_the_next_unless_it_is_due_more_than_15_minutes_later(queue, claim, do, clock, minutes, claimable):
    first, _ = queue(), queue()
    claim()
    do(outbox.record_retry, first.id, 1, due_at=clock.now + timedelta(minutes=minutes), error="451 later")
    assert len(claim()) == claimable


def test_the_bytes_are_stored_once_and_come_back_whole(queue, claim, do, store):
    made = queue()
    claim()
    body = bytes(range(256)) * (CHUNK_BYTES // 128)
    assert do(outbox.store_rendered, [(made.id, 1, "", body)]) == {made.id}
    assert do(outbox.store_rendered, [(made.id, 1, "x", b"other")]) == set()
    assert store.read(lambda tx: outbox.rendered_bytes(tx, [made.id, 99])) == {made.id: body}


def test_a_retry_finds_the_reverse_path_and_the_bytes(queue, claim, do, clock):
    made = queue()
    claim()
    do(outbox.store_rendered, [(made.id, 1, "", b"mail")])
    assert do(outbox.record_retry, made.id, 1, due_at=clock.now, error="451 later")
    (again,) = claim()
    assert (again.fence, again.reverse_path, again.rendered, again.notification.attempts) == (2, "", True, 1)


def test_an_attempt_that_never_reached_the_relay_is_not_counted(queue, claim, do, clock):
    made = queue()
    claim()
    do(outbox.record_retry, made.id, 1, due_at=clock.now, error="unreachable", counted=False)
    assert claim()[0].notification.attempts == 0


def test_a_stalled_worker_has_no_word_any_more(queue, claim, do, clock):
    made = queue()
    claim()
    assert do(outbox.mark_sending, [(made.id, 1)], lease=LEASE) == {made.id}
    clock.advance(minutes=19)
    assert do(outbox.release_expired) == 0
    clock.advance(minutes=2)
    assert do(outbox.release_expired) == 1
    (again,) = claim()
    assert again.fence > 1
    stale = (made.id, 1)
    assert do(outbox.mark_sending, [stale], lease=LEASE) == set()
    assert do(outbox.store_rendered, [(*stale, "", b"late")]) == set()
    assert not do(outbox.record_sent, *stale, "250 ok")
    assert not do(outbox.record_retry, *stale, due_at=clock.now, error="451")
    assert not do(outbox.record_dead, *stale, "550")
    assert not do(outbox.record_dropped, *stale, "old")
    do(outbox.release, [stale])
    assert claim() == []
    assert do(outbox.record_sent, made.id, again.fence, "250 ok")
    found = do(outbox.find, made.id)
    assert (found.notification.state, found.relay_reply, found.sent_at) == (DeliveryState.SENT, "250 ok", clock.now)


def test_a_lease_from_before_the_clock_was_set_back_ends_one_lease_from_now(queue, claim, do, clock):
    made = queue()
    claim()
    do(outbox.mark_sending, [(made.id, 1)], lease=LEASE)
    clock.advance(days=-10)
    assert do(outbox.release_expired, longest=LEASE) == 0  # its sender may be alive: it has a whole lease
    clock.advance(minutes=21)
    assert do(outbox.release_expired) == 1
    assert [each.notification.id for each in claim()] == [made.id]


@pytest.mark.parametrize("defended", [True, False])
def test_what_was_queued_by_a_clock_that_was_set_back_is_due_at_once(queue, claim, do, clock, monkeypatch, defended):
    if not defended:
        monkeypatch.setattr(outbox, "LONGEST_WAIT", timedelta(days=10_000))
    clock.advance(days=10)
    row = queue()
    clock.advance(days=-10)
    do(outbox.release_expired)
    assert [each.notification.id for each in claim()] == ([row.id] if defended else [])


def test_a_mail_that_waits_for_its_next_attempt_waits_on(queue, claim, do, clock):
    queue(due_at=clock() + outbox.LONGEST_WAIT)
    do(outbox.release_expired)
    assert claim() == []


def test_a_released_claim_is_free_at_once_and_one_that_is_being_sent_is_not(queue, claim, do):
    first, second = queue(ticket_id=1), queue(ticket_id=2)
    claim()
    do(outbox.mark_sending, [(second.id, 1)], lease=LEASE)
    do(outbox.release, [(first.id, 1), (second.id, 1)])
    assert ids(claim()) == [first.id]


def test_at_start_claims_of_the_process_before_are_given_back(queue, claim, do):
    first, second = queue(ticket_id=1), queue(ticket_id=2)
    claim()
    do(outbox.mark_sending, [(second.id, 1)], lease=LEASE)
    assert do(outbox.release_all) == 1
    assert ids(claim(process_id=2)) == [first.id]


def test_what_is_dead_or_dropped_says_why_and_holds_up_nobody(queue, claim, do):
    dead, dropped, after = queue(ticket_id=1), queue(ticket_id=2), queue(ticket_id=1)
    claim()
    assert do(outbox.record_dead, dead.id, 1, "550 no such user")
    assert do(outbox.record_dropped, dropped.id, 1, "too old")
    assert do(outbox.find, dead.id).last_error == "550 no such user"
    assert do(outbox.find, dropped.id).notification.suppressed_because == "too old"
    assert do(outbox.counts) == {"dead": 1, "queued": 1}
    assert ids(claim()) == [after.id]


def test_a_person_can_hold_retry_and_drop_what_waits(queue, claim, do):
    made = queue()
    assert do(outbox.hold, made.id)
    assert not do(outbox.hold, made.id)
    assert claim() == []
    assert do(outbox.retry, made.id)
    (claimed,) = claim()
    for act in (outbox.hold, outbox.retry):
        assert not do(act, made.id)
    assert not do(outbox.drop, made.id, "no use")
    do(outbox.record_dead, made.id, claimed.fence, "550")
    assert do(outbox.drop, made.id, "no use")
    assert not do(outbox.drop, made.id, "no use")
    assert do(outbox.find, made.id).notification.state is DeliveryState.SUPPRESSED


def test_lists_show_the_newest_first_by_state_and_ticket(queue, do):
    made = [queue(ticket_id=number) for number in (1, 2, 1)]
    queue(ticket_id=1, state=DeliveryState.SUPPRESSED, suppressed_because="list mail")
    assert [each.notification.id for each in do(outbox.listed, state="queued", ticket_id=1)] == [made[2].id, made[0].id]
    assert len(do(outbox.listed, limit=2)) == 2
    assert do(outbox.find, 1) is None


def test_the_queue_knows_its_oldest(queue, do, clock):
    assert do(outbox.oldest_queued) is None
    began = clock.now
    queue(due_at=clock.now + timedelta(hours=1))
    clock.advance(minutes=5)
    queue(ticket_id=8)
    assert do(outbox.oldest_queued) == began


def test_a_bounce_is_kept_with_its_mail(queue, do, clock):
    made = queue()
    do(outbox.mark_bounced, [made.id])
    assert do(outbox.find, made.id).bounced_at == clock.now


def test_a_thread_is_what_its_reader_knows(queue, do):
    queue(state=DeliveryState.SUPPRESSED, references=("ana-1@x",), message_id="ack@corp.example", suppressed_because="over budget")
    queue(message_id="reply@corp.example")
    queue("ben@corp.example", message_id="other-reader@corp.example")
    queue(ticket_id=9, message_id="other-ticket@corp.example")
    last = queue(message_id="last@corp.example")
    queue(message_id="later@corp.example")
    assert do(outbox.thread_before, [last]) == {last.id: ("ana-1@x", "reply@corp.example")}
    assert do(outbox.thread_before, []) == {}
