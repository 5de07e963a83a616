"""Turns a decision's effects into changes of the workspace, which `flush` writes (design 4). One home for every effect."""

import hashlib
from datetime import datetime
from typing import assert_never

import msgspec

from casework.context import Casework
from casework.flush import flush, stream_of
from casework.load import mail_of, sameness_key, unknown_threads
from casework.numbers import Numbers
from casework.part import Part
from casework.workspace import HistoryRow, PartRow, Workspace
from itsm.address import canonical
from itsm.decision import (
    AddEntry,
    ChangeTicket,
    ClearTimer,
    Decision,
    KeepFollower,
    KeepSeries,
    LiftUndeliverable,
    LinkTickets,
    MarkUndeliverable,
    MarkUndelivered,
    Notify,
    OpenTicket,
    RemoveFollower,
    ReviseEntry,
    SetTimer,
    SpendBudget,
    UnlinkTickets,
)
from itsm.envelope import Outcome
from itsm.grant import Grant, Role
from itsm.notification import DeliveryState, Notification, StoredFile
from itsm.person import Follower
from itsm.signal import MailKind, UserMessage
from itsm.ticket import Ticket, number_text
from itsm.token import mint_message_id
from rules.audience import team_by_key
from rules.follow_up_policy import policy_of
from rules.gist import gist_of
from rules.monitoring import incident_of
from rules.series import has_open
from store import threads
from store.entries import Entry
from store.series_rows import SeriesRow
from store.threads import MailSeen, MailSent, MailThread
from store.transaction import Tx
from store.undeliverable import Undeliverable

MAX_REFERENCE_IDS = 20
NEVER_SENT = "never-sent"
HIDDEN_FIELDS = frozenset({"version", "updated_at"})


class Applier:
    """Applies the decisions of one transaction, one after another, to its workspace."""

    def __init__(self, tx: Tx, workspace: Workspace, casework: Casework, *, expected: int) -> None:
        """Bind the transaction, its workspace and the rules; `expected` is how many tickets it may open."""
        self.tx, self.workspace, self.casework = tx, workspace, casework
        self._numbers = Numbers(tx, expected)
        self._handles: dict[int, int] = {}
        self._part: Part | None = None
        self._written: dict[datetime, str] = {}  # instants as people read them: nearly every ticket of a batch has the same
        self._reopen_days: dict[str, str] = {}  # of each team
        self._told: tuple[Ticket, dict[str, str]] | None = None  # the facts of the last ticket: most have more than one notice

    def apply(  # noqa: C901, PLR0912 -- one arm an effect
        self, decision: Decision, part: Part | None, *, kind: str, participants_sha256: bytes | None = None
    ) -> int | None:
        """Apply every effect; returns the real id of the decision's ticket. A mail comes with the hash of its people."""
        self._handles, self._part = {}, part
        for effect in decision.effects:
            match effect:
                case OpenTicket():
                    self._open(effect)
                case ChangeTicket():
                    self._change(effect)
                case AddEntry():
                    self._add_entry(effect)
                case LinkTickets():
                    self.workspace.new_links.append((self._real(effect.ticket_id), self._real(effect.other_id), effect.kind))
                case SetTimer():
                    key = (effect.subject_kind, self._real(effect.subject_id), effect.kind, effect.threshold)
                    self.workspace.timers[key] = effect.due_at
                case ClearTimer():
                    self.workspace.timers[(effect.subject_kind, self._real(effect.subject_id), effect.kind, effect.threshold)] = None
                case Notify():
                    self._notify(effect)
                case SpendBudget():
                    self.workspace.spend((effect.key, effect.window_start), effect.limit)
                case KeepSeries():
                    self._keep_series(effect)
                case MarkUndelivered():
                    self.workspace.bounced.append(effect.notification_id)
                case MarkUndeliverable():
                    self.workspace.mark(
                        Undeliverable(address=effect.address, outbox_id=effect.notification_id, reason=effect.reason, since=self.tx.now)
                    )
                case LiftUndeliverable():
                    self.workspace.lift(effect.address)
                case ReviseEntry():
                    self._revise(effect)
                case KeepFollower():
                    self._follow(effect.follower)
                case RemoveFollower():
                    self._unfollow(effect)
                case UnlinkTickets():
                    self.workspace.gone_links.append((effect.ticket_id, effect.other_id, effect.kind))
                case _:
                    assert_never(effect)
        ticket_id = self._real(decision.ticket_id) if decision.ticket_id is not None else None
        if part is not None:
            self._remember(part, decision, ticket_id, kind, participants_sha256)
            if kind == "monitoring_event" and ticket_id is not None and ticket_id not in self._handles.values():
                self.workspace.event_counts[ticket_id] += 1
        return ticket_id

    def _real(self, ticket_id: int) -> int:
        return self._handles[ticket_id] if ticket_id < 0 else ticket_id

    def flush(self) -> None:
        """Write what every decision changed, in a number of statements that does not depend on how many there were."""
        self._numbers.give_back()
        flush(self.tx, self.workspace)

    def _open(self, effect: OpenTicket) -> None:
        ticket_id = self.tx.new_id()
        self._handles[effect.ticket.id] = ticket_id
        ticket = msgspec.structs.replace(effect.ticket, id=ticket_id, number=self._numbers.take())
        self.workspace.put_ticket(ticket)
        actor = ticket.entered_by or ticket.requester or f"source:{ticket.source}"
        self._history(
            ticket, "open", actor, {name: str(getattr(ticket, name)) for name in ("type", "state", "priority", "subject", "team")}
        )

    def _change(self, effect: ChangeTicket) -> None:
        before = self.workspace.tickets[effect.before.id]
        fields = effect.after.__struct_fields__
        changed = {name: getattr(effect.after, name) for name in fields if getattr(effect.after, name) != getattr(effect.before, name)}
        after = msgspec.structs.replace(before, **changed)
        if before.id not in self.workspace.new_tickets and before.id not in self.workspace.seen_versions:
            after = msgspec.structs.replace(after, version=before.version + 1)
        self.workspace.put_ticket(after)
        told = {name: f"{getattr(before, name)} -> {value}" for name, value in changed.items() if name not in HIDDEN_FIELDS}
        self._history(after, effect.verb, effect.actor, told)

    def _history(self, ticket: Ticket, kind: str, actor: str, content: dict[str, str]) -> None:
        ids = (self._part.envelope.id,) if self._part else ()
        self.workspace.new_history.append(HistoryRow(stream_of(ticket.id), kind, actor, ids, content))

    def _add_entry(self, effect: AddEntry) -> None:
        ticket_id, entry_id = self._real(effect.ticket_id), self.tx.new_id()
        message = mail_of(self._part) if self._part and effect.from_signal else None
        self.workspace.new_entries.append(self._entry(effect, ticket_id, entry_id, message))
        if message is not None and message.text_words and effect.text is message.text:
            self.workspace.text_words[entry_id] = message.text_words
        if effect.verified and message is not None and effect.author:
            known = self.workspace.participants.get(ticket_id, frozenset())
            self.workspace.participants[ticket_id] = known | {effect.author}
        digest = gist_of(message).text_sha256 if message is not None and effect.text is message.text else _digest(effect.text)
        content = {"author": effect.author, "visibility": effect.visibility.value, "text_sha256": digest, "note": effect.note}
        begun = self.workspace.new_history[-1] if self.workspace.new_history else None
        if begun is not None and begun.kind == "open" and begun.stream == stream_of(ticket_id) and self._part is not None:
            begun.content |= content  # what comes from outside begins with its words: one entry of the history tells both
            return
        self._history(self.workspace.tickets[ticket_id], "entry", effect.author or "unknown", content)

    def _revise(self, effect: ReviseEntry) -> None:
        self.workspace.revised.append((effect.entry_id, effect.visibility.value, effect.verified))
        content = {"entry": str(effect.entry_id), "visibility": effect.visibility.value}
        self._history(self.workspace.tickets[effect.ticket_id], "revise_entry", effect.actor, content)

    def _follow(self, follower: Follower) -> None:
        key = (follower.ticket_id, follower.address, follower.kind.value)
        self.workspace.kept_followers[key] = follower
        others = self.workspace.followers.get(follower.ticket_id, ())
        self.workspace.followers[follower.ticket_id] = (*(each for each in others if _follower_key(each) != key), follower)
        content = {"kind": follower.kind.value, "address": follower.address}
        self._history(self.workspace.tickets[follower.ticket_id], "follow", follower.added_by, content)

    def _unfollow(self, effect: RemoveFollower) -> None:
        key = (effect.ticket_id, effect.address, effect.kind.value)
        self.workspace.kept_followers[key] = None
        others = self.workspace.followers.get(effect.ticket_id, ())
        self.workspace.followers[effect.ticket_id] = tuple(each for each in others if _follower_key(each) != key)
        content = {"kind": effect.kind.value, "address": effect.address}
        self._history(self.workspace.tickets[effect.ticket_id], "unfollow", effect.actor, content)

    def _entry(self, effect: AddEntry, ticket_id: int, entry_id: int, message: UserMessage | None) -> Entry:
        part = self._part if message is not None else None
        defects = "; ".join(message.defects) if message else ""
        return Entry(
            id=entry_id,
            ticket_id=ticket_id,
            direction=effect.direction.value,
            visibility=effect.visibility.value,
            author=effect.author,
            author_name=effect.author_name,
            verified=effect.verified,
            kind=message.kind.value if message else "words",
            subject=effect.subject,
            text=effect.text,
            reply_text=effect.new_words if effect.new_words is not None else message.reply_text if message else effect.text,
            note="; ".join(each for each in (effect.note, defects) if each),
            message_id=message.message_id if message else None,
            content_sha256=message.content_sha256 if message else None,
            inbox_id=part.envelope.id if part else None,
            part_seq=part.seq if part else None,
            created_at=self.tx.now,
            trust=effect.trust,
            attachments=message.attachments if message else (),
        )

    def _notify(self, effect: Notify) -> None:
        ticket = self.workspace.tickets[self._real(effect.ticket_id)]
        row_id = self.tx.new_id()
        recipient = canonical(effect.recipient.address)
        suppressed = effect.suppressed_because
        if suppressed is None:
            message_id = mint_message_id(self.casework.keys, row_id, recipient, self.casework.desk.domain)
        else:  # nobody will ever see it, so it need not prove anything
            message_id = f"{row_id}.{NEVER_SENT}@{self.casework.desk.domain}"
        grant = self._grant(effect, ticket) if suppressed is None else None
        self.workspace.notifications.append(
            Notification(
                id=row_id,
                ticket_id=ticket.id,
                ticket_number=ticket.number,
                event=effect.event,
                recipient=effect.recipient.address,
                recipient_name=effect.recipient.name,
                message_id=message_id,
                in_reply_to=effect.in_reply_to,
                references=(*effect.references[:1], *effect.references[1:][-MAX_REFERENCE_IDS:]),
                facts=self._facts(ticket) | effect.facts,
                created_at=self.tx.now,
                due_at=effect.due_at or self.tx.now,
                state=DeliveryState.QUEUED if suppressed is None else DeliveryState.SUPPRESSED,
                suppressed_because=suppressed,
                reply_grant=grant,
                attachments=self._files(effect),
            )
        )
        if suppressed is not None:
            return
        sent = MailSent(outbox_id=row_id, message_id=message_id, recipient=recipient, ticket_id=ticket.id)
        self.workspace.sent[threads.key_of(message_id)] = self.workspace.sent_by_id[row_id] = sent

    def _grant(self, effect: Notify, ticket: Ticket) -> int | None:
        """A grant of its own for a mail whose reader may answer as an agent; here its place among the new ones, a number when all are written."""
        if not effect.reply_as or effect.reply_until is None:
            return None
        place = len(self.workspace.new_grants)
        self.workspace.new_grants.append(
            Grant(id=place, ticket_number=ticket.number, person=effect.reply_as, role=Role.AGENT, expires_at=effect.reply_until)
        )
        return place

    def _files(self, effect: Notify) -> tuple[StoredFile, ...]:
        """Where the files of a mail lie, which is in the mail of the part at hand."""
        if self._part is None:
            return ()
        return tuple(
            StoredFile(
                inbox_id=self._part.envelope.id,
                part_index=each.part_index,
                filename=each.filename or "",
                content_type=each.content_type,
                size_bytes=each.size_bytes,
            )
            for each in effect.files
        )

    def _facts(self, ticket: Ticket) -> dict[str, str]:
        """What every template may say of the ticket and the desk, as text."""
        if self._told is None or self._told[0] is not ticket:
            self._told = ticket, self._facts_of(ticket)
        return self._told[1]

    def _facts_of(self, ticket: Ticket) -> dict[str, str]:
        desk = self.casework.desk
        team = team_by_key(desk, ticket.team)
        service = next((each.name for each in desk.services if each.key == ticket.service), ticket.service)
        return {
            "number": number_text(ticket.type, ticket.number),
            "type": ticket.type.value.replace("_", " "),
            "state": ticket.state.value.replace("_", " "),
            "subject": ticket.subject,
            "priority": f"P{ticket.priority}",
            "service": service,
            "team_name": team.name if team else "",
            "requester": ticket.requester,
            "event_count": str(ticket.event_count),
            "opened_at": self._in_words(ticket.opened_at),
            "reopen_days": self._reopen_days_of(ticket.team),
        }

    def _reopen_days_of(self, team: str) -> str:
        found = self._reopen_days.get(team)
        if found is None:
            policy = policy_of(team, self.casework.ruleset.settings)
            found = self._reopen_days[team] = str(min(policy.reopen_days, policy.close_after_days))  # what is closed is not reopened
        return found

    def _in_words(self, at: datetime) -> str:
        written = self._written.get(at)
        if written is None:
            written = self._written[at] = f"{at.year:04}-{at.month:02}-{at.day:02} {at.hour:02}:{at.minute:02} UTC"
        return written

    def _keep_series(self, effect: KeepSeries) -> None:
        state = effect.state
        if self._handles:
            instances = tuple(
                msgspec.structs.replace(each, ticket_id=self._handles.get(each.ticket_id, each.ticket_id))
                if each.ticket_id is not None
                else each
                for each in state.instances
            )
            state = msgspec.structs.replace(state, instances=instances)
        key = (state.source, state.series_key)
        known = self.workspace.series.get(key)
        self.workspace.series[key] = SeriesRow(
            state=state, open=has_open(state, self.tx.now), ticket_id=incident_of(state), version=known.version if known else 0
        )
        self.workspace.changed_series.add(key)

    def _remember(self, part: Part, decision: Decision, ticket_id: int | None, kind: str, participants: bytes | None) -> None:
        """Keep the mail for sameness and threading, and the part with its reasons when it had an effect worth explaining."""
        message = mail_of(part)
        if message is not None and decision.outcome is not Outcome.DUPLICATE:
            assert participants is not None, "a mail comes with the hash of its people"
            seen = MailSeen(
                key_sha256=sameness_key(message),
                inbox_id=part.envelope.id,
                content_sha256=message.content_sha256,
                participants_sha256=participants,
                ticket_id=ticket_id,
                author=canonical(message.sender.address) if message.sender else "",
                received_at=part.envelope.received_at,
            )
            self.workspace.seen.setdefault(seen.key_sha256, []).append(seen)
            self.workspace.new_seen.append(seen)
            if decision.outcome is Outcome.CREATED and ticket_id is not None and message.kind is MailKind.HUMAN:
                for key in unknown_threads(message, self.workspace):
                    thread = MailThread(key_sha256=key, inbox_id=seen.inbox_id, ticket_id=ticket_id)
                    self.workspace.threads[key].append(thread)
                    self.workspace.new_threads.append(thread)
        if decision.outcome is not Outcome.DUPLICATE or message is not None:
            row = PartRow(part.envelope.id, part.seq, kind, decision.outcome, ticket_id, decision.reasons)
            self.workspace.new_parts.append(row)


def participants_hash(message: UserMessage) -> bytes:
    """The hash of the people of a mail: From, To and Cc, in any order."""
    people = [message.sender, *message.to, *message.cc]
    addresses = sorted({canonical(each.address) for each in people if each is not None})
    return hashlib.sha256("\n".join(addresses).encode("utf-8", "surrogatepass")).digest()


def _follower_key(follower: Follower) -> tuple[int, str, str]:
    return follower.ticket_id, follower.address, follower.kind.value


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
