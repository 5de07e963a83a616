"""Loads the snapshot of a batch in a fixed number of queries, and gives each part its view of it (design 4)."""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

from casework.around import around, following, load_around, load_reply_tokens, reply_to
from casework.context import Casework
from casework.part import Part
from casework.workspace import Workspace
from itsm.address import canonical, local_part_of
from itsm.envelope import Envelope
from itsm.person import watchers
from itsm.series import SeriesState
from itsm.signal import DeliveryReport, MonitoringEvent, UserMessage
from itsm.ticket import parse_number
from itsm.token import VERP_PREFIX, is_our_mark, matches_recipient, read_message_id, read_verp
from rules.budget import every_key
from rules.snapshot import EventSnapshot, MailSnapshot, Referenced, Returned, SeenBefore
from rules.topic import topic
from store import budgets, inbox, people, series_rows, threads, tickets, undeliverable
from store.transaction import Tx

MAX_REFERENCES = 30  # In-Reply-To and the newest References; the root stays among them
REPLY_WAIT = timedelta(seconds=30)
_NUMBER_IN_SUBJECT = re.compile(r"\b(?:INC|REQ|PRB|CHG)-(\d{1,13})\b", re.IGNORECASE)


def mail_of(part: Part) -> UserMessage | None:
    """The mail of a part, when it is one."""
    if isinstance(part.signal, DeliveryReport):
        return part.signal.message
    return part.signal if isinstance(part.signal, UserMessage) else None


def referenced_ids(message: UserMessage) -> tuple[str, ...]:
    """The Message-IDs a mail points at, strongest first: In-Reply-To, then References newest to oldest (RFC 5322 3.6.4)."""
    ordered = dict.fromkeys((*message.in_reply_to, *reversed(message.references)))
    ids = tuple(ordered)
    return ids if len(ids) <= MAX_REFERENCES else (*ids[: MAX_REFERENCES - 1], ids[-1])


def thread_keys(message: UserMessage) -> dict[str, bytes]:
    """The keys of the threads that a mail stands in, by the Message-ID it references, in the order of `referenced_ids`."""
    ids = referenced_ids(message)
    if not ids:
        return {}
    about = topic(message.subject)
    return {each: threads.thread_key_of(each, about) for each in ids}


def number_in_subject(message: UserMessage) -> int | None:
    """The last ticket number in the subject; only a hint (design 6)."""
    found = _NUMBER_IN_SUBJECT.findall(message.subject[:500])
    return parse_number(found[-1]) if found else None


def sameness_key(message: UserMessage) -> bytes:
    """The key a mail is compared with others under."""
    return threads.key_of(message.message_id) if message.message_id else threads.fallback_key_of(message.fallback_sha256)


def verp_of(envelope: Envelope, keys: Sequence[tuple[int, bytes]]) -> int | None:
    """The row of the outbox that a bounce's recipient address names by our token."""
    for path in envelope.forward_paths:
        local = local_part_of(path)
        if local.startswith(VERP_PREFIX):
            found = read_verp(keys, local.removeprefix(VERP_PREFIX))
            if found is not None:
                return found
    return None


def keys_of(parts: Iterable[Part]) -> Iterator[bytes]:
    """What can be read from the signals alone and must not change under us: series, own and referenced Message-IDs."""
    for part in parts:
        if isinstance(part.signal, MonitoringEvent):
            yield series_rows.key_of(part.signal.source) + series_rows.key_of(part.signal.series_key)
        elif (message := mail_of(part)) is not None:
            yield sameness_key(message)
            yield from (threads.key_of(each) for each in referenced_ids(message))


def load(tx: Tx, parts: Sequence[Part], casework: Casework) -> Workspace:
    """Everything the parts' decisions may read, in statements whose number does not depend on how many there are."""
    workspace = Workspace(tx.now)
    mails = [(part, message) for part in parts if (message := mail_of(part)) is not None]
    if mails:
        _load_mails(tx, workspace, mails, casework)
    events = [part.signal for part in parts if isinstance(part.signal, MonitoringEvent)]
    if events:
        workspace.series = series_rows.by_keys(tx, {(event.source, event.series_key) for event in events})
        load_tickets(tx, workspace, incidents_of(row.state for row in workspace.series.values()))
    return workspace


def incidents_of(states: Iterable[SeriesState]) -> Iterator[int]:
    """The tickets that the instances of these series belong to."""
    for state in states:
        for instance in state.instances:
            if instance.ticket_id is not None:
                yield instance.ticket_id


def load_tickets(tx: Tx, workspace: Workspace, ids: Iterable[int]) -> None:
    """Load tickets into the workspace."""
    workspace.tickets |= tickets.by_ids(tx, ids)
    workspace.numbers |= {ticket.number: ticket.id for ticket in workspace.tickets.values()}


def _load_mails(tx: Tx, workspace: Workspace, mails: list[tuple[Part, UserMessage]], casework: Casework) -> None:
    referenced = {threads.key_of(each) for _, message in mails for each in referenced_ids(message)}
    own = {sameness_key(message) for _, message in mails}
    workspace.seen.update(threads.seen_before(tx, referenced | own))
    if referenced:
        workspace.sent = threads.sent_before(tx, referenced)
        workspace.threads.update(threads.threads_of(tx, {key for _, message in mails for key in thread_keys(message).values()}))
    workspace.paths = {part.envelope.id: part.envelope.forward_paths for part, _ in mails}
    if len(casework.desk.teams) > 1:
        workspace.paths |= inbox.forward_paths(tx, {seen.inbox_id for key in own for seen in workspace.seen.get(key, ())})
    returned = [found for part, _ in mails if (found := verp_of(part.envelope, casework.keys)) is not None]
    workspace.sent_by_id = threads.sent_by_ids(tx, returned) if returned else {}
    missing = referenced - workspace.seen.keys() - workspace.sent.keys()
    workspace.pending = threads.pending_in_inbox(tx, missing) if missing else set()
    numbers = {number for _, message in mails if (number := number_in_subject(message)) is not None}
    numbers |= load_reply_tokens(tx, workspace, mails, casework.keys)
    by_number = tickets.by_numbers(tx, numbers) if numbers else {}
    workspace.tickets |= {ticket.id: ticket for ticket in by_number.values()}
    ids = {seen.ticket_id for rows in workspace.seen.values() for seen in rows if seen.ticket_id is not None}
    ids |= {each.ticket_id for found in workspace.threads.values() for each in found}
    ids |= {sent.ticket_id for sent in (*workspace.sent.values(), *workspace.sent_by_id.values())}
    load_tickets(tx, workspace, ids - workspace.tickets.keys())
    workspace.numbers |= {number: ticket.id for number, ticket in by_number.items()}
    load_around(tx, workspace)
    workspace.people = people.by_addresses(tx, (message.sender.address for _, message in mails if message.sender))
    senders = {canonical(message.sender.address) if message.sender else "" for _, message in mails}
    workspace.undeliverable = undeliverable.among(tx, senders | {canonical(each.recipient) for each in workspace.sent_by_id.values()})
    wanted = every_key((message for _, message in mails), workspace.tickets, casework.ruleset.settings, tx.now)
    workspace.budgets = budgets.used(tx, wanted)


def waits(part: Part, message: UserMessage, workspace: Workspace) -> bool:
    """Whether a reply must wait: what it references is accepted but not triaged yet, and it is younger than 30 s."""
    if workspace.now - part.envelope.received_at >= REPLY_WAIT:
        return False
    return any(threads.key_of(each) in workspace.pending for each in referenced_ids(message))


def mail_snapshot(part: Part, message: UserMessage, workspace: Workspace, casework: Casework) -> MailSnapshot:
    """What the rules may know about one mail."""
    sender = canonical(message.sender.address) if message.sender else ""
    number = number_in_subject(message)
    named = workspace.tickets.get(workspace.numbers.get(number, 0)) if number is not None else None
    by_subject = following(named, workspace) if named is not None else None
    referenced, replied = tuple(_referenced(message, sender, workspace, casework)), reply_to(part, workspace)
    threaded = tuple(_threaded(message, sender, workspace))
    reached = {each.ticket.id for each in (*referenced, *threaded)} | {each.id for each in (by_subject, replied and replied.ticket) if each}
    token = verp_of(part.envelope, casework.keys)
    sent = workspace.sent_by_id.get(token) if token is not None else None
    returned = workspace.tickets.get(sent.ticket_id) if sent else None
    return MailSnapshot(
        seen=tuple(
            SeenBefore(
                content_sha256=seen.content_sha256,
                participants_sha256=seen.participants_sha256,
                ticket_id=seen.ticket_id,
                received_at=seen.received_at,
                forward_paths=workspace.paths.get(seen.inbox_id),
            )
            for seen in workspace.seen.get(sameness_key(message), ())
            if seen.inbox_id != part.envelope.id
        ),
        referenced=referenced,
        threaded=threaded,
        by_subject=by_subject,
        by_subject_participant=by_subject is not None and _participates(sender, by_subject.id, workspace),
        returned=Returned(
            notification_id=sent.outbox_id,
            recipient=sent.recipient,
            ticket=returned,
            marked=canonical(sent.recipient) in workspace.undeliverable,
        )
        if sent and returned
        else None,
        budgets_used=workspace.budgets,
        reply_to=replied,
        person=workspace.people.get(sender),
        around={ticket_id: around(ticket_id, workspace, others=replied is not None) for ticket_id in reached},
        sender_marked=sender in workspace.undeliverable,
        ours=message.sent_by_us is not None and is_our_mark(casework.keys, message.sent_by_us),
    )


def _participates(sender: str, ticket_id: int, workspace: Workspace) -> bool:
    ticket = workspace.tickets[ticket_id]
    known = _addresses(sender, workspace)
    if not sender or ticket.requester in known:
        return bool(sender)
    watching = {each.address for each in watchers(workspace.followers.get(ticket_id, ()))}
    return not known.isdisjoint(watching) or not known.isdisjoint(workspace.participants.get(ticket_id, ()))


def _addresses(sender: str, workspace: Workspace) -> frozenset[str]:
    """Every address of the person who writes from this one."""
    person = workspace.people.get(sender)
    return frozenset((sender, *person.addresses)) if person is not None else frozenset((sender,))


def _referenced(message: UserMessage, sender: str, workspace: Workspace, casework: Casework) -> Iterator[Referenced]:
    """The tickets behind the references. One that has our form but not our MAC leads nowhere."""
    for message_id in referenced_ids(message):
        key = threads.key_of(message_id)
        sent = workspace.sent.get(key)
        if sent is not None and sent.ticket_id in workspace.tickets:
            minted = read_message_id(casework.keys, message_id) == sent.outbox_id
            yield Referenced(
                message_id=message_id,
                ticket=following(workspace.tickets[sent.ticket_id], workspace),
                minted_for_sender=minted
                and any(matches_recipient(casework.keys, message_id, each) for each in _addresses(sender, workspace)),
                participant=_participates(sender, sent.ticket_id, workspace),
            )
            continue
        for seen in workspace.seen.get(key, ()):
            if seen.ticket_id is not None and seen.ticket_id in workspace.tickets:
                yield _of_others(message_id, seen.ticket_id, sender, workspace)


def _threaded(message: UserMessage, sender: str, workspace: Workspace) -> Iterator[Referenced]:
    """The tickets of other mails that reference what this one does, on the same topic; copies of this mail are no others."""
    keys = thread_keys(message)
    copies = {each.inbox_id for each in workspace.seen.get(sameness_key(message), ())} if keys else set()
    for message_id, key in keys.items():
        for each in workspace.threads.get(key, ()):
            if each.inbox_id not in copies and each.ticket_id in workspace.tickets:
                yield _of_others(message_id, each.ticket_id, sender, workspace)


def _of_others(message_id: str, ticket_id: int, sender: str, workspace: Workspace) -> Referenced:
    """A ticket by a Message-ID that is not of ours: nothing was minted for the sender."""
    return Referenced(
        message_id=message_id,
        ticket=following(workspace.tickets[ticket_id], workspace),
        minted_for_sender=False,
        participant=_participates(sender, ticket_id, workspace),
    )


def unknown_threads(message: UserMessage, workspace: Workspace) -> Iterator[bytes]:
    """The keys to keep of a mail that opened a ticket: of its root and of what it answers, where they lead to no ticket."""
    found = list(thread_keys(message).items())
    for message_id, key in dict((*found[:1], *found[-1:])).items():
        known = threads.key_of(message_id)
        if known not in workspace.sent and all(each.ticket_id is None for each in workspace.seen.get(known, ())):
            yield key


def event_snapshot(tx: Tx, event: MonitoringEvent, workspace: Workspace) -> EventSnapshot:
    """What the rules may know about one monitoring event; a series nobody knew gets its id here."""
    row = workspace.series.get((event.source, event.series_key))
    state = row.state if row else SeriesState(id=tx.new_id(), source=event.source, series_key=event.series_key)
    ids = {instance.ticket_id for instance in state.instances if instance.ticket_id is not None}
    found = {ticket_id: workspace.tickets[ticket_id] for ticket_id in ids if ticket_id in workspace.tickets}
    return EventSnapshot(series=state, tickets=found)
