"""The notifier from the outbox to the relay: what is promised once, what is tried again, and what ends (P3, F46 to F52)."""

import asyncio
import email
import email.policy
from datetime import timedelta

import msgspec
import pytest

from itsm.errors import Transient
from itsm.notification import DeliveryState, Event
from itsm.token import is_our_mark, read_verp
from notifier.child import render_one
from notifier.folder import Folder
from notifier.relay import Relay
from store import outbox
from tests.notifier.running import KEYS, in_process, metric, once, replace_connection, run_until


def test_a_notification_goes_out_once_with_all_it_needs_to_come_back(enqueue, relay, to_relay, row):
    made, server = enqueue(in_reply_to="a@x.example", references=("r@x.example",)), relay()
    worker = to_relay(server)
    assert once(worker) is True
    assert once(worker) is False
    (taken,) = server.taken
    mail = email.message_from_bytes(taken.content, policy=email.policy.default)
    assert mail["Message-ID"] == f"<{made.message_id}>"
    assert mail["References"].split() == ["<r@x.example>", "<a@x.example>"]
    assert is_our_mark(KEYS, mail["X-Triaged-Loop"])
    assert read_verp(KEYS, taken.mail.partition("bounces+")[2].partition("@")[0]) == made.id
    assert (row(made).notification.state, row(made).relay_reply) == (DeliveryState.SENT, "250 2.0.0 queued as 42")


def test_a_mail_that_answers_nothing_goes_into_the_thread_its_reader_knows(enqueue, relay, to_relay):
    enqueue(Event.ACKNOWLEDGED, in_reply_to="ana-1@x.example", references=("ana-1@x.example",), message_id="ack@corp.example")
    enqueue(Event.REPLY)
    server = relay()
    worker = to_relay(server)
    assert once(worker)
    assert once(worker)
    mail = email.message_from_bytes(server.taken[1].content, policy=email.policy.default)
    assert mail["In-Reply-To"] == "<ack@corp.example>"
    assert mail["References"].split() == ["<ana-1@x.example>", "<ack@corp.example>"]


def test_a_retry_sends_the_same_bytes_at_a_later_time(enqueue, relay, to_relay, row, clock):
    made, server = enqueue(), relay({"dot": ["cut"]})
    worker, uncertain = to_relay(server), metric("triaged_outbox_uncertain_total")
    assert once(worker)
    waiting = row(made).notification
    assert (waiting.state, waiting.attempts) == (DeliveryState.QUEUED, 1)
    assert timedelta(minutes=4) <= waiting.due_at - clock.now <= timedelta(minutes=6)
    assert metric("triaged_outbox_uncertain_total") == uncertain + 1
    assert not once(worker)
    clock.now += timedelta(hours=1)
    assert once(worker)
    first, second = server.taken
    assert first.content == second.content
    assert row(made).notification.state is DeliveryState.SENT


def test_what_the_relay_refuses_is_dead_and_says_why(enqueue, relay, to_relay, row):
    made = enqueue()
    assert once(to_relay(relay({"rcpt": "550 5.1.1 no such user"})))
    assert (row(made).notification.state, row(made).last_error) == (DeliveryState.DEAD, "550 5.1.1 no such user")


def test_an_address_that_is_none_is_dead_without_a_word_to_the_relay(enqueue, relay, to_relay, row):
    made, server = enqueue(recipient="ana@corp.example\r\nRCPT TO:<b@x>"), relay()
    assert once(to_relay(server))
    assert row(made).notification.state is DeliveryState.DEAD
    assert server.connections == 0


def test_after_its_days_a_mail_is_given_up(enqueue, relay, to_relay, row, clock):
    made = enqueue()
    clock.now += timedelta(days=6)
    assert once(to_relay(relay({"rcpt": "451 4.7.1 later"})))
    assert row(made).notification.state is DeliveryState.DEAD
    assert row(made).last_error == "given up after 5 days: 451 4.7.1 later"


def test_an_acknowledgement_that_waited_a_day_is_not_sent_and_an_answer_is(enqueue, relay, to_relay, row, clock):
    late, answer, server = enqueue(Event.ACKNOWLEDGED), enqueue(ticket_id=8), relay()
    clock.now += timedelta(hours=25)
    assert once(to_relay(server))
    assert row(late).notification.state is DeliveryState.SUPPRESSED
    assert row(answer).notification.state is DeliveryState.SENT
    assert len(server.taken) == 1


def test_while_the_relay_is_away_nothing_is_lost_and_nothing_counts(enqueue, relay, to_relay, row, clock):
    made = [enqueue(ticket_id=number) for number in range(20)]
    server = relay({"connect": ["421 4.3.2 busy"] * 3})
    worker = to_relay(server, connections=2)
    run_until(worker, lambda: len(server.taken) == 20)
    assert [row(each).notification.state for each in made] == [DeliveryState.SENT] * 20
    assert {row(each).notification.attempts for each in made} == {1}


def test_a_relay_that_goes_away_in_the_middle_is_waited_for(enqueue, relay, to_relay, row):
    made, server = enqueue(), relay({"mail": ["cut"]})
    run_until(to_relay(server), lambda: len(server.taken) == 1)
    assert (row(made).notification.state, row(made).notification.attempts) == (DeliveryState.SENT, 1)


def test_stopping_while_the_relay_is_away_ends_at_once(enqueue, relay, to_relay, row):
    made, server = enqueue(), relay({"connect": "554 5.3.2 no"})
    run_until(to_relay(server), lambda: server.connections >= 2)
    assert row(made).notification.state is DeliveryState.QUEUED


def test_many_mails_go_out_over_several_connections_in_order_for_each_reader(enqueue, relay, to_relay):
    for number in range(30):
        enqueue(ticket_id=number % 3, facts={"number": f"INC-{number}", "subject": "s"})
    server = relay()
    worker = to_relay(server, connections=3, batch=7)
    run_until(worker, lambda: len(server.taken) == 30)
    order = [int(str(email.message_from_bytes(each.content)["Subject"]).partition("INC-")[2].partition("]")[0]) for each in server.taken]
    for ticket in range(3):
        mine = [number for number in order if number % 3 == ticket]
        assert mine == sorted(mine)


def test_a_new_notification_wakes_the_worker(enqueue, relay, to_relay):
    server = relay()
    worker = to_relay(server)

    def later():
        if not made:
            made.append(enqueue())
            worker.wake()
        return bool(server.taken)

    made = []
    run_until(worker, later)
    assert len(server.taken) == 1


def test_the_end_of_the_program_cuts_a_wait_and_the_mail_is_sent_again_with_the_same_bytes(enqueue, relay, to_relay, row, clock):
    made, server = enqueue(), relay({"dot": ["silence"]})
    run_until(to_relay(server, relay_fields={"data_timeout_seconds": 60.0}), lambda: bool(server.taken))
    assert row(made).notification.state is DeliveryState.QUEUED
    server.released.set()
    clock.now += timedelta(hours=1)
    assert once(to_relay(server))
    assert server.taken[0].content == server.taken[1].content


def test_what_was_claimed_and_not_begun_is_given_back_at_the_end(enqueue, relay, to_relay, store):
    for number in range(5):
        enqueue(ticket_id=number)
    server = relay({"dot": "silence"})
    run_until(to_relay(server, relay_fields={"data_timeout_seconds": 60.0}), lambda: bool(server.taken))
    assert store.read(outbox.counts) == {"queued": 5}
    claimed = store.write(lambda tx: outbox.claim(tx, process_id=2, limit=50)).result()
    assert len(claimed) == 4


def test_a_sender_that_was_never_heard_of_again_is_replaced_and_has_no_word(enqueue, relay, to_relay, row, clock, store):
    made, server = enqueue(), relay()
    (stalled,) = store.write(lambda tx: outbox.claim(tx, process_id=99, limit=1)).result()
    store.write(lambda tx: outbox.mark_sending(tx, [(made.id, stalled.fence)], lease=timedelta(minutes=20))).result()
    worker = to_relay(server)
    assert not once(worker)
    clock.now += timedelta(minutes=21)
    assert once(worker)
    assert row(made).notification.state is DeliveryState.SENT
    assert not store.write(lambda tx: outbox.record_dead(tx, made.id, stalled.fence, "late word")).result()


def test_a_row_taken_over_before_it_is_sent_is_left_alone(enqueue, relay, to_relay, row, store):
    made, server, late = enqueue(), relay(), metric("triaged_outbox_late_words_total")

    async def stalled(function, items):
        store.write(lambda tx: tx.connection.execute(outbox.outbox.update().values(fence=9))).result()
        return await in_process(function, items)

    assert once(to_relay(server, run_batch=stalled))
    assert server.taken == []
    assert row(made).notification.state is DeliveryState.QUEUED
    assert metric("triaged_outbox_late_words_total") == late


def test_a_row_taken_over_after_it_was_rendered_is_a_late_word(enqueue, relay, to_relay, store):
    server, late = relay({"rset": ["250 ok"]}), metric("triaged_outbox_late_words_total")
    enqueue()

    class Stalling(Relay):
        def ready(self):
            store.write(lambda tx: tx.connection.execute(outbox.outbox.update().values(fence=9))).result()
            return super().ready()

    worker = to_relay(server)
    replace_connection(worker, Stalling(worker._settings.relay, local_hostname="x"))
    assert once(worker)
    assert server.taken == []
    assert metric("triaged_outbox_late_words_total") == late + 1


@pytest.mark.parametrize("reply", ["250 2.0.0 ok", "451 4.7.1 later", "550 5.7.1 no"])
def test_a_word_about_a_mail_that_was_taken_over_while_it_was_sent_is_refused(enqueue, relay, to_relay, row, store, reply):
    made, server, late = enqueue(), relay({"dot": reply}), metric("triaged_outbox_late_words_total")
    worker = to_relay(server)

    class Stalling(Relay):
        def submit(self, *arguments):
            store.write(lambda tx: tx.connection.execute(outbox.outbox.update().values(fence=9))).result()
            return super().submit(*arguments)

    replace_connection(worker, Stalling(worker._settings.relay, local_hostname="x"))
    assert once(worker)
    assert row(made).notification.state is DeliveryState.SENDING
    assert metric("triaged_outbox_late_words_total") == late + 1


def test_there_are_never_more_mails_in_memory_than_configured(enqueue, relay, to_relay, store):
    for number in range(3):
        enqueue(ticket_id=number)
    server = relay({"dot": "silence"})
    worker = to_relay(server, batch=2, relay_fields={"data_timeout_seconds": 60.0})

    async def work():
        assert await worker._start_some()
        assert not await worker._start_some()
        await worker._drain()

    asyncio.run(work())
    assert store.read(outbox.counts) == {"queued": 3}


def test_a_notification_is_found_without_a_word_about_it_and_no_connection_is_kept_open_idly(enqueue, relay, to_relay, monkeypatch):
    monkeypatch.setattr("notifier.worker.IDLE_SECONDS", 0.01)
    server = relay()
    worker = to_relay(server)
    rounds = []

    def condition():
        rounds.append(True)
        if len(rounds) == 10:
            enqueue()
        return bool(server.taken) and server.commands[-1] == "quit"

    run_until(worker, condition)
    assert len(server.taken) == 1


def test_while_every_connection_waits_for_an_answer_none_is_probed(enqueue, relay, to_relay, store):
    enqueue(ticket_id=1)
    server = relay({"dot": "silence"})
    worker = to_relay(server, relay_fields={"data_timeout_seconds": 60.0})

    def condition():
        if server.taken and not marked:
            marked.append(True)
            worker._unreachable = "another connection was refused"
            worker.wake()
        return metric("triaged_outbox_relay_up") == 0.0 and bool(marked)

    marked = []
    run_until(worker, condition)
    assert store.read(outbox.counts) == {"queued": 1}


def test_an_item_that_spoils_its_batch_goes_out_with_the_plain_text_and_the_others_as_they_are(enqueue, relay, to_relay):
    enqueue(ticket_id=1, facts={"number": "INC-1", "subject": "good"})
    enqueue(ticket_id=2, facts={"number": "INC-2", "subject": "kills the child", "words": "the words"})

    async def fragile(function, items):
        if any(b"kills the child" in each for each in items):
            return [None] * len(items)
        return await in_process(function, items)

    server, fallbacks = relay(), metric("triaged_notifier_fallbacks_total", template="resolved")
    assert once(to_relay(server, run_batch=fragile))
    good, plain = (email.message_from_bytes(each.content, policy=email.policy.default) for each in server.taken)
    assert good["Subject"] == "[INC-1] good"
    assert plain["Subject"] == "[INC-2] Service Desk"
    assert "> the words" in plain.get_body(("plain",)).get_content()
    assert metric("triaged_notifier_fallbacks_total", template="resolved") == fallbacks + 1


def test_an_item_that_nobody_can_render_is_dead_and_the_others_go_out(enqueue, relay, to_relay, row):
    bad, good, server = enqueue(ticket_id=1, message_id="ü@corp.example"), enqueue(ticket_id=2), relay()

    async def careful(function, items):
        answers = []
        for each in items:
            try:
                answers.append(render_one(each))
            except UnicodeEncodeError:
                answers.append(None)
        return answers

    assert once(to_relay(server, run_batch=careful))
    assert (row(bad).notification.state, row(bad).last_error) == (DeliveryState.DEAD, "internal: UnicodeEncodeError")
    assert row(good).notification.state is DeliveryState.SENT


def test_bytes_that_retention_removed_are_never_written_anew(enqueue, relay, to_relay, row, store):
    made, server = enqueue(), relay()
    (claimed,) = store.write(lambda tx: outbox.claim(tx, process_id=1, limit=1)).result()
    store.write(lambda tx: outbox.store_rendered(tx, [(made.id, claimed.fence, "", b"mail\r\n")])).result()
    store.write(lambda tx: outbox.release(tx, [(made.id, claimed.fence)])).result()
    store.write(lambda tx: tx.connection.execute(outbox.outbox_raw.delete())).result()
    assert once(to_relay(server))
    assert row(made).notification.state is DeliveryState.DEAD
    assert "removed by retention" in row(made).last_error
    assert server.taken == []


def test_a_bug_while_submitting_one_mail_stops_neither_it_nor_the_others(enqueue, notifier, row, tmp_path):
    class Buggy(Folder):
        def submit(self, name, reverse_path, recipient, message):
            if recipient == "bug@corp.example":
                raise KeyError("bug")
            return super().submit(name, reverse_path, recipient, message)

    bad, good = enqueue(recipient="bug@corp.example"), enqueue()
    assert once(notifier([Buggy(tmp_path / "outbox")]))
    assert (row(bad).notification.state, row(bad).last_error) == (DeliveryState.QUEUED, "internal: KeyError")
    assert row(good).notification.state is DeliveryState.SENT


def test_without_a_relay_mails_are_files_and_a_second_time_the_same_file(enqueue, notifier, tmp_path, store):
    made = enqueue()
    assert once(notifier([Folder(tmp_path / "outbox")]))
    store.write(lambda tx: tx.connection.execute(outbox.outbox.update().values(state="queued"))).result()
    assert once(notifier([Folder(tmp_path / "outbox")]))
    (file,) = (tmp_path / "outbox").iterdir()
    assert file.name.endswith(f"-1042-resolved-{made.id}.eml")


def test_a_record_that_the_store_cannot_take_now_is_written_later(enqueue, relay, to_relay, row, store):
    made, server = enqueue(), relay()
    worker, real = to_relay(server), store.awrite
    refused = []

    class Full:
        """The store with a disk that is full for a while, once a mail was taken."""

        def __getattr__(self, name):
            return getattr(store, name)

        async def awrite(self, work, *, step=""):
            if server.taken and len(refused) < 2:
                refused.append(work)
                raise Transient("the disk is full")
            return await real(work, step=step)

    worker._recorder._store = Full()
    assert once(worker)
    assert len(refused) == 2
    assert row(made).notification.state is DeliveryState.SENT
    assert len(server.taken) == 1


def test_a_store_that_does_not_answer_ends_the_run_to_be_started_again(enqueue, relay, to_relay, store):
    server = relay()
    worker = to_relay(server)

    class Broken:
        def __getattr__(self, name):
            return getattr(store, name)

        async def awrite(self, work, *, step=""):
            raise Transient("too many writes wait for the store")

    worker._store = Broken()
    with pytest.raises(Transient):
        asyncio.run(worker.run())


@pytest.mark.parametrize("whole_life", [True, False])
def test_a_bug_in_what_is_written_down_ends_the_worker_loudly(enqueue, relay, to_relay, whole_life):
    enqueue()
    worker = to_relay(relay())

    async def sending(claimed):
        raise AssertionError("a bug")

    worker._recorder.sending = sending
    with pytest.raises(AssertionError, match="a bug"):
        asyncio.run(worker.run()) if whole_life else once(worker)


def test_a_request_survives_the_way_to_the_child(enqueue, notifier):
    made = enqueue()
    worker = notifier([])
    claimed = outbox.ClaimedNotification(notification=made, fence=1, reverse_path=None, rendered=False)
    request = worker._request(claimed, (), ())
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(request), type=type(request)) == request
