"""Writes the workspace: one bulk statement a table, however many parts a transaction had (design 4)."""

import msgspec

from casework.workspace import Workspace
from itsm.address import canonical
from itsm.notification import DeliveryState, Notification
from itsm.words import words
from store import budgets, entries, followers, grants, history, outbox, parts, search, series_rows, threads, tickets, timers, undeliverable
from store.transaction import Tx


def flush(tx: Tx, workspace: Workspace) -> None:
    """Write the workspace: one bulk statement a table. Raises Conflict when somebody was faster."""
    tickets.insert_many(tx, list(workspace.new_tickets.values()))
    tickets.update_many(tx, [(seen, workspace.tickets[ticket_id]) for ticket_id, seen in workspace.seen_versions.items()])
    tickets.count_events(tx, workspace.event_counts)
    entries.insert_many(tx, workspace.new_entries)
    search.keep_many(tx, _search_rows(workspace))
    threads.remember_many(tx, workspace.new_seen)
    threads.keep_threads(tx, workspace.new_threads)
    entries.revise_many(tx, workspace.revised)
    tickets.link_many(tx, workspace.new_links)
    tickets.unlink_many(tx, workspace.gone_links)
    kept = workspace.kept_followers
    followers.keep_many(tx, [each for each in kept.values() if each], [key for key, each in kept.items() if each is None])
    series_rows.keep_many(tx, [workspace.series[key] for key in sorted(workspace.changed_series)])
    budgets.spend(tx, workspace.spending)
    timers.set_many(tx, [(key, due) for key, due in workspace.timers.items() if due is not None])
    timers.clear_many(tx, [key for key, due in workspace.timers.items() if due is None])
    undeliverable.lift_many(tx, workspace.lifted)
    undeliverable.mark_many(tx, list(workspace.marked.values()))
    outbox.enqueue(tx, _deliverable(tx, _with_grants(tx, workspace)))
    outbox.mark_bounced(tx, workspace.bounced)
    parts.insert_many(tx, [(row.inbox_id, row.seq, row.kind, row.outcome, row.ticket_id, row.reasons) for row in workspace.new_parts])
    begun = {stream_of(ticket_id) for ticket_id in workspace.new_tickets}
    history.append_many(
        tx, [(row.stream, row.kind, row.actor, row.ids, msgspec.json.encode(row.content)) for row in workspace.new_history], begun=begun
    )


def stream_of(ticket_id: int) -> str:
    """The stream of the history that is a ticket's."""
    return f"ticket:{ticket_id}"


def _with_grants(tx: Tx, workspace: Workspace) -> list[Notification]:
    """Draw the numbers of the new grants together, write them, and put them into the notifications."""
    if not workspace.new_grants:
        return workspace.notifications
    numbers = grants.draw_ids(tx, len(workspace.new_grants))
    grants.insert_many(tx, [msgspec.structs.replace(each, id=number) for each, number in zip(workspace.new_grants, numbers, strict=True)])
    return [
        each if each.reply_grant is None else msgspec.structs.replace(each, reply_grant=numbers[each.reply_grant])
        for each in workspace.notifications
    ]


def _search_rows(workspace: Workspace) -> list[search.Row]:
    """The words of what is new: of each entry with what its ticket is about, of a ticket by itself where it opened without any or from alerts."""
    found = []
    for each in workspace.new_entries:
        about, text = workspace.tickets[each.ticket_id], workspace.text_words.get(each.id, each.text)
        files = (file.filename or "" for file in each.attachments)
        found.append(
            (each.id, about.id, words((about.subject, about.requester, each.author, each.author_name, each.subject, text, *files)))
        )
    spoken = {each.ticket_id for each in workspace.new_entries}
    silent = (each for each in workspace.new_tickets.values() if each.id not in spoken or each.group_key)
    return found + [(each.id, each.id, words((each.subject, each.requester, each.requester_name))) for each in silent]


def _deliverable(tx: Tx, notifications: list[Notification]) -> list[Notification]:
    """The mails as they are queued: one to an address that mail comes back from is recorded with that reason, and not sent."""
    queued = {canonical(each.recipient) for each in notifications if each.suppressed_because is None}
    marked = undeliverable.among(tx, queued) if queued else {}
    if not marked:
        return notifications
    told = {address: f"mail to it comes back since {each.since:%Y-%m-%d}: {each.reason}" for address, each in marked.items()}
    return [
        msgspec.structs.replace(each, state=DeliveryState.SUPPRESSED, suppressed_because=told[canonical(each.recipient)])
        if each.suppressed_because is None and canonical(each.recipient) in told
        else each
        for each in notifications
    ]
