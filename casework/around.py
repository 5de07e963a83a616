"""What lies around the tickets at hand: reply addresses and their grants, merges, participants, followers, what was said."""

from collections.abc import Iterable, Sequence

from casework.part import Part
from casework.workspace import Workspace
from itsm.act import Act, Verb
from itsm.address import local_part_of
from itsm.decision import Direction, Visibility
from itsm.envelope import Envelope
from itsm.signal import UserMessage
from itsm.ticket import Ticket, parse_number
from itsm.token import Keys, ReplyToken, read_reply
from rules.agent_mail import own_words
from rules.commands import read
from rules.merging import survivor
from rules.snapshot import ActSnapshot, ReplyTo, Said
from store import entries, followers, grants, tickets
from store.entries import Entry
from store.transaction import Tx

MAX_ADDRESSES = 50  # of To and of Cc that are looked at
NAMES_AN_ENTRY = frozenset({Verb.SPLIT, Verb.ACCEPT, Verb.DROP})
NAMES_A_TICKET = {Verb.LINK: "to", Verb.MERGE: "into"}


def reply_token_of(envelope: Envelope, message: UserMessage, keys: Keys) -> ReplyToken | None:
    """The reply token in the address a mail went to: by its envelope, else in To and Cc, where a mailbox leaves it."""
    written = (*envelope.forward_paths, *(each.address for each in (*message.to[:MAX_ADDRESSES], *message.cc[:MAX_ADDRESSES])))
    for address in written:
        _, plus, token = local_part_of(address).rpartition("+")
        found = read_reply(keys, token) if plus else None
        if found is not None:
            return found
    return None


def load_reply_tokens(tx: Tx, workspace: Workspace, mails: Iterable[tuple[Part, UserMessage]], keys: Keys) -> set[int]:
    """Read the reply addresses of a batch and load their grants; returns the numbers of the tickets they and their commands name."""
    numbers: set[int] = set()
    for part, message in mails:
        token = reply_token_of(part.envelope, message, keys)
        if token is None:
            continue
        workspace.reply_tokens[part.envelope.id] = token
        lines = read(own_words(message)).lines
        numbers |= {token.ticket_number, *(number for line in lines if (number := parse_number(line.rest)) is not None)}
        if any(line.word in NAMES_AN_ENTRY for line in lines):
            workspace.said_of.add(token.ticket_number)
    if workspace.reply_tokens:
        workspace.grants = grants.by_ids(tx, {token.grant for token in workspace.reply_tokens.values()})
    return numbers


def load_around(tx: Tx, workspace: Workspace) -> None:
    """Load it for every ticket of the workspace: a query each, one more a step where tickets were merged."""
    if not workspace.tickets:
        return
    merged = tickets.survivors(tx, workspace.tickets)
    workspace.tickets |= merged
    workspace.numbers |= {ticket.number: ticket.id for ticket in merged.values()}
    workspace.participants = entries.participants(tx, workspace.tickets)
    workspace.followers = followers.of_tickets(tx, workspace.tickets)
    said_of = {
        following(workspace.tickets[workspace.numbers[each]], workspace).id for each in workspace.said_of if each in workspace.numbers
    }
    if said_of:
        workspace.said = {ticket_id: tuple(_said(each) for each in said) for ticket_id, said in entries.said(tx, said_of).items()}


def _said(entry: Entry) -> Said:
    return Said(
        id=entry.id,
        author=entry.author,
        author_name=entry.author_name,
        direction=Direction(entry.direction),
        visibility=Visibility(entry.visibility),
        subject=entry.subject,
        text=entry.text,
    )


def load_for_acts(tx: Tx, workspace: Workspace, acts: Sequence[Act]) -> None:
    """The same for acts of an interactive door; their own tickets are in the workspace."""
    named = {parse_number(act.arguments.get(NAMES_A_TICKET[act.verb], "")) for act in acts if act.verb in NAMES_A_TICKET}
    others = tickets.by_numbers(tx, {number for number in named if number is not None})
    workspace.tickets |= {ticket.id: ticket for ticket in others.values()}
    workspace.numbers |= {number: ticket.id for number, ticket in others.items()}
    workspace.said_of |= {act.ticket_number for act in acts if act.verb in NAMES_AN_ENTRY}
    load_around(tx, workspace)


def following(ticket: Ticket, workspace: Workspace) -> Ticket:
    """The ticket that goes on in place of this one: itself unless it was merged."""
    return ticket if ticket.merged_into is None else survivor(ticket, workspace.by_number())


def reply_to(part: Part, workspace: Workspace) -> ReplyTo | None:
    """The reply address a mail went to, its ticket the one that goes on where it was merged."""
    token = workspace.reply_tokens.get(part.envelope.id)
    ticket = workspace.tickets.get(workspace.numbers.get(token.ticket_number, 0)) if token is not None else None
    if token is None or ticket is None:
        return None
    return ReplyTo(ticket_number=token.ticket_number, ticket=following(ticket, workspace), grant=workspace.grants.get(token.grant))


def around(ticket_id: int, workspace: Workspace, *, others: bool) -> ActSnapshot:
    """What the rules may know around one ticket; `others` when acts may name tickets."""
    return ActSnapshot(
        others=workspace.by_number() if others else {},
        said=workspace.said.get(ticket_id, ()),
        followers=workspace.followers.get(ticket_id, ()),
    )
