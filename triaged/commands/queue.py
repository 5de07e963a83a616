"""`triaged queue`: the inbox, the outbox and the quarantine, and what a person may do about a row."""

from pathlib import Path
from typing import Any

import click
import msgspec

from itsm.errors import Conflict
from itsm.identifier import inbox_text
from itsm.notification import DeliveryState
from store import edited, inbox, mailboxes, outbox, refused
from store.inbox import DONE, PENDING, QUARANTINED, InboxRow
from store.mailboxes import Skipped
from store.outbox import OutboxRow
from store.refused import RefusedBody
from store.transaction import Tx
from triaged.access import find, opened, outbox_named, refused_named, row_number
from triaged.options import Function, config_option, json_option
from triaged.output import data, data_json, instant, table, talk

INBOX, OUTBOX, QUARANTINE, REFUSED, SKIPPED = "inbox", "outbox", "quarantine", "refused", "skipped"
STATES = (PENDING, DONE, QUARANTINED, *(each.value for each in DeliveryState))
NOT_NOW = "is not in a state for that; see `triaged queue why`"


def of_option(*queues: str) -> Function:
    """`--of QUEUE`, one of those given; the first is the default when there is only one."""
    default = queues[0] if len(queues) == 1 else None
    return click.option("--of", "queue", type=click.Choice(queues), required=default is None, default=default, help="Which queue.")


@click.group("queue", short_help="Look after inbox, outbox, quarantine and refused bodies.")
@config_option
def command() -> None:
    """Look after the inbox (what came in), the outbox (what goes out) and the quarantine (what could not be understood).

    Refused are the bodies that a door answered with 4xx; they are kept for a week to be looked at.
    """


@command.command("list")
@config_option
@json_option
@of_option(INBOX, OUTBOX, QUARANTINE, REFUSED, SKIPPED)
@click.option("--state", type=click.Choice(STATES), help="Only rows in this state; the inbox shows what is pending unless told.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="At most this many.")
def list_(queue: str, state: str | None, limit: int, as_json: bool) -> int:
    """List a queue, the newest first. What is skipped lies on an IMAP server: too large, or unreadable there."""
    with opened() as (store, _):
        if queue == SKIPPED:
            passed = store.read(lambda tx: mailboxes.skipped(tx, limit=limit))
            return _show_list([msgspec.structs.asdict(each) for each in passed], _skipped_table(passed), as_json)
        if queue == OUTBOX:
            sent = store.read(lambda tx: outbox.listed(tx, state=state, limit=limit))
            return _show_list([outbox_object(row) for row in sent], _outbox_table(sent), as_json)
        if queue == REFUSED:
            bodies = store.read(lambda tx: refused.listed(tx, limit=limit))
            return _show_list([refused_object(body) for body in bodies], _refused_table(bodies), as_json)
        wanted = QUARANTINED if queue == QUARANTINE else state or PENDING
        came = store.read(lambda tx: inbox.listed(tx, wanted, limit=limit))
        return _show_list([inbox_object(row) for row in came], _inbox_table(came), as_json)


def _show_list(objects: list[dict[str, Any]], text: str, as_json: bool) -> int:
    if as_json:
        for each in objects:
            data_json(each)
    elif text:
        data(text)
    else:
        talk("Nothing there.")
    return 0


def _skipped_table(rows: list[Skipped]) -> str:
    headers = ("mailbox", "folder", "uid", "reason", "bytes", "tries", "skipped", "next try", "detail")
    fields = ("mailbox", "folder", "uid", "reason", "size_bytes", "attempts", "skipped_at", "retry_at", "detail")
    return table(headers, [tuple(getattr(row, name) for name in fields) for row in rows])


def _inbox_table(rows: list[InboxRow]) -> str:
    headers = ("id", "state", "received", "door", "source", "format", "bytes", "tries", "reason")
    return table(headers, [_inbox_cells(row) for row in rows])


def _inbox_cells(row: InboxRow) -> tuple[object, ...]:
    envelope = row.envelope
    door = (envelope.channel.value, envelope.source, envelope.format)
    return (inbox_text(envelope.id), row.state, envelope.received_at, *door, envelope.size_bytes, row.attempts, row.reason)


def _outbox_table(rows: list[OutboxRow]) -> str:
    headers = ("id", "state", "made", "due", "mail", "ticket", "to", "tries", "last word")
    return table(headers, [_outbox_cells(row) for row in rows])


def _outbox_cells(row: OutboxRow) -> tuple[object, ...]:
    told = row.notification
    word = told.suppressed_because or row.last_error or row.relay_reply
    return (
        told.id,
        told.state.value,
        told.created_at,
        told.due_at,
        told.event.value,
        told.ticket_number,
        told.recipient,
        told.attempts,
        word,
    )


def _refused_table(bodies: list[RefusedBody]) -> str:
    headers = ("id", "source", "refused", "bytes", "reason")
    return table(headers, [(each.id, each.source, each.refused_at, each.size_bytes, each.reason) for each in bodies])


def inbox_object(row: InboxRow) -> dict[str, Any]:
    """A row of the inbox as JSON; ids as text."""
    fields = {name: getattr(row.envelope, name) for name in row.envelope.__struct_fields__}
    own = {name: getattr(row, name) for name in ("state", "attempts", "part_count", "outcomes", "reason", "done_at")}
    return fields | own | {"id": inbox_text(row.envelope.id)}


def outbox_object(row: OutboxRow) -> dict[str, Any]:
    """A row of the outbox as JSON, without what the template may say; ids as text."""
    told = row.notification
    fields = {name: getattr(told, name) for name in told.__struct_fields__ if name != "facts"}
    own = {name: getattr(row, name) for name in ("sent_at", "relay_reply", "last_error", "bounced_at")}
    return fields | own | {"id": str(told.id), "ticket_id": str(told.ticket_id)}


def refused_object(body: RefusedBody) -> dict[str, Any]:
    """A refused body as JSON, without its bytes; its id as text."""
    return {name: getattr(body, name) for name in ("source", "refused_at", "reason", "size_bytes")} | {"id": str(body.id)}


@command.command("show")
@config_option
@json_option
@of_option(INBOX, OUTBOX, QUARANTINE, REFUSED)
@click.option("--raw", is_flag=True, help="Print the stored bytes instead.")
@click.argument("id_", metavar="ID")
def show(queue: str, id_: str, raw: bool, as_json: bool) -> int:
    """Show one row, or the bytes behind it. The inbox takes a Message-ID too."""

    def work(tx: Tx) -> tuple[dict[str, Any], bytes | None]:
        if queue == OUTBOX:
            sent = outbox_named(tx, id_)
            return outbox_object(sent), outbox.rendered_bytes(tx, [sent.notification.id]).get(sent.notification.id)
        if queue == REFUSED:
            kept = refused_named(tx, id_)
            return refused_object(kept), kept.body
        came = find(tx, id_).envelopes[0] if "@" in id_ else inbox_row(tx, id_)
        return inbox_object(came), inbox.raw_bytes(tx, [came.envelope.id]).get(came.envelope.id)

    with opened() as (store, _):
        found, body = store.read(work)
    if raw:
        if body is None:
            talk("Its bytes are not there: not rendered yet, or removed by retention.")
            return 1
        click.echo(body, nl=False)
    elif as_json:
        data_json(found)
    else:
        data(
            "\n".join(
                f"{name:20} {instant(value) if name.endswith('_at') else value}"
                for name, value in found.items()
                if value not in (None, "", ())
            )
        )
    return 0


def inbox_row(tx: Tx, id_: str) -> InboxRow:
    """The envelope with this id; raises Permanent when there is none."""
    return find(tx, id_ if id_.lower().startswith("in-") else inbox_text(row_number(id_))).envelopes[0]


@command.command("why")
@config_option
@of_option(INBOX, OUTBOX, QUARANTINE)
@click.argument("id_", metavar="ID")
def why(queue: str, id_: str) -> int:
    """Say in a sentence why a row is where it is."""
    with opened() as (store, _):
        sentence = store.read(lambda tx: _why_outbox(outbox_named(tx, id_)) if queue == OUTBOX else _why_inbox(inbox_row(tx, id_)))
    data(sentence)
    return 0


def _why_inbox(row: InboxRow) -> str:
    name = inbox_text(row.envelope.id)
    if row.state == QUARANTINED:
        return f"{name} is set aside: {row.reason or 'no reason was kept'}. Retry it after an upgrade, edit it, or drop it."
    if row.state == PENDING:
        return f"{name} waits for triage" + (f", after {row.attempts} failed attempts: {row.reason}." if row.attempts else ".")
    return f"{name} is done; `triaged explain {name}` tells what became of it."


def _why_outbox(row: OutboxRow) -> str:
    told = row.notification
    match told.state.value:
        case "sent":
            return f"{told.id} was sent at {instant(row.sent_at)}; the relay said: {row.relay_reply}."
        case "suppressed":
            return f"{told.id} was never to be sent: {told.suppressed_because}."
        case "held":
            return f"{told.id} is held by a person; `triaged queue retry` lets it go."
        case "dead":
            return f"{told.id} was given up after {told.attempts} attempts: {row.last_error}."
        case _:
            last = f" The last attempt failed: {row.last_error}." if row.last_error else ""
            return f"{told.id} is due at {instant(told.due_at)}, {told.attempts} attempts so far.{last}"


@command.command("hold")
@config_option
@of_option(OUTBOX)
@click.argument("id_", metavar="ID")
def hold(queue: str, id_: str) -> int:
    """Keep a queued mail from being sent until somebody retries it."""
    with opened() as (store, _):
        done = store.write(lambda tx: outbox.hold(tx, outbox_named(tx, id_).notification.id)).result()
    return _told(done, f"{id_} of the {queue} is held.", id_)


@command.command("retry")
@config_option
@of_option(OUTBOX, QUARANTINE)
@click.argument("id_", metavar="ID")
def retry(queue: str, id_: str) -> int:
    """Try a row again: a mail that is held, dead or waits, or an envelope in quarantine."""

    def work(tx: Tx) -> bool:
        if queue == OUTBOX:
            return outbox.retry(tx, outbox_named(tx, id_).notification.id)
        return inbox.retry(tx, inbox_row(tx, id_).envelope.id)

    with opened() as (store, _):
        done = store.write(work).result()
    return _told(done, f"{id_} will be tried again at once.", id_)


@command.command("drop")
@config_option
@of_option(OUTBOX, QUARANTINE)
@click.option("--reason", required=True, help="Why; it is kept.")
@click.argument("id_", metavar="ID")
def drop(queue: str, id_: str, reason: str) -> int:
    """End a row by your word: the mail is never sent, the envelope never triaged. Both stay visible."""

    def work(tx: Tx) -> bool:
        if queue == OUTBOX:
            return outbox.drop(tx, outbox_named(tx, id_).notification.id, f"dropped: {reason}")
        return inbox.drop(tx, inbox_row(tx, id_).envelope.id, f"dropped: {reason}")

    with opened() as (store, _):
        done = store.write(work).result()
    return _told(done, f"{id_} is dropped.", id_)


def _told(done: bool, sentence: str, id_: str) -> int:
    if not done:
        raise Conflict(f"{id_} {NOT_NOW}")
    talk(sentence)
    return 0


@command.command("edit")
@config_option
@of_option(QUARANTINE)
@click.option(
    "--with", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="File with the new bytes; else your editor opens."
)
@click.argument("id_", metavar="ID")
def edit(queue: str, file: Path | None, id_: str) -> int:
    """Mend a quarantined envelope: the new bytes are a new envelope that names the old one, and the old one is dropped."""
    with opened() as (store, _):
        row, body = store.read(lambda tx: _quarantined(tx, id_))
        changed = file.read_bytes() if file else _in_editor(body)
        if changed is None or changed == body:
            talk(f"Nothing was changed in the {queue}.")
            return 1
        new_id = store.write(lambda tx: edited.replace(tx, row, changed)).result()
    data(inbox_text(new_id))
    return 0


def _quarantined(tx: Tx, id_: str) -> tuple[InboxRow, bytes]:
    row = inbox_row(tx, id_)
    if row.state != QUARANTINED:
        raise Conflict(f"{id_} is not in quarantine")
    return row, inbox.raw_bytes(tx, [row.envelope.id]).get(row.envelope.id, b"")


def _in_editor(body: bytes) -> bytes | None:
    """The bytes as a person left them; octets that are no text survive as they are."""
    text = click.edit(body.decode("utf-8", "surrogateescape"), require_save=True, extension=".txt")
    return text.encode("utf-8", "surrogateescape") if text is not None else None
