"""One look at one folder: fetch what is new, each mail with its checkpoint in one commit, then flag or move (design 7)."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

import msgspec
import structlog
from prometheus_client import Counter

from intake.accept import Accepted, Arrival
from intake.imap import history
from intake.imap.plan import cursor_in_force, first_cursor, forward_paths, is_history, key_of
from intake.imap.session import CommandRefused, Facts, Lost, Selected, Session
from intake.imap.settings import Mailbox
from itsm.envelope import Channel
from itsm.errors import Conflict
from store import mailboxes
from store.mailboxes import CRASHED, EMPTY, OVERSIZE, REFUSED, Cursor, Skipped
from store.store import Store
from store.transaction import Tx

CHUNK = 100  # mails whose facts are asked for at once, and that are flagged or moved together
MAX_LOSSES = 3  # connections that one mail may cost before it is passed
RECONCILED = timedelta(days=14)  # how far back server and store are compared; repeat keys live longer
MAX_RECONCILED = 10_000

# mailbox: the configured names; reason: oversize, empty, refused, crashed, expunged
SKIPPED = Counter("triaged_mailbox_skipped_total", "Mails that could not be fetched and were passed.", ["mailbox", "reason"])
# mailbox: the configured names
AFTER_ERRORS = Counter("triaged_mailbox_after_errors_total", "Times that stored mails could not be flagged or moved.", ["mailbox"])
RESCANS = Counter("triaged_mailbox_rescans_total", "Folders read anew because their UIDVALIDITY changed.", ["mailbox"])

log = structlog.get_logger("imap")


class Folder:
    """What one mailbox thread knows of one folder between two looks; all that must last is in the store."""

    def __init__(
        self,
        mailbox: Mailbox,
        name: str,
        store: Store,
        *,
        accept: Callable[[Arrival, Callable[[Tx], None]], Accepted],
        hold: Callable[[Tx], None],
        stopping: Callable[[], bool],
    ) -> None:
        """`accept` stores a mail with work of ours in the same commit and waits for it; `hold` is the lease, asserted in each commit."""
        self._mailbox, self._name, self._store = mailbox, name, store
        self._accept, self._hold, self._stopping = accept, hold, stopping
        self._losses: dict[int, int] = {}
        self._copied: set[int] = set()
        self._left: list[int] = []  # stored, and not yet flagged or moved
        self._compared = False  # server and store, since this process began

    def look(self, session: Session) -> Cursor:
        """Fetch everything new; raises what the session raises, and Transient when the store cannot take it."""
        selected = session.select(self._name)
        cursor = self._cursor(session, selected)
        self._again(session, cursor)
        last = selected.uid_next - 1
        for chunk in _chunks(session.uids(cursor.uid + 1, last)):
            cursor = self._take(session, cursor, chunk)
            if self._stopping():
                break
        return cursor  # never beyond what SEARCH has shown: an answer that came back short must hide no mail

    def _cursor(self, session: Session, selected: Selected) -> Cursor:
        """Where to go on; at the first connect what is there becomes history."""
        known = self._store.read(lambda tx: mailboxes.cursor(tx, self._mailbox.name, self._name))
        if known is not None:
            cursor = cursor_in_force(known, selected)
            if cursor is not known:
                RESCANS.labels(self._mailbox.name).inc()
                log.warning("folder read anew: its UIDVALIDITY changed", mailbox=self._mailbox.name, folder=self._name)
                self._forget_session()
                self._move(cursor)
            return cursor
        newest = history.record(session, self._store, self._mailbox, selected, hold=self._hold)
        cursor = first_cursor(selected, self._store.clock(), self._mailbox.imports_since, newest)
        self._move(cursor)
        log.info("first connect", mailbox=self._mailbox.name, folder=self._name, uid_next=selected.uid_next)
        return cursor

    def _forget_session(self) -> None:
        """UIDs mean other mails now."""
        self._losses.clear()
        self._copied.clear()
        self._left.clear()

    def _take(self, session: Session, cursor: Cursor, chunk: Sequence[int]) -> Cursor:
        facts = _facts(session, chunk)
        stored: list[int] = []
        for uid in chunk:
            cursor, kept = self._one(session, cursor, uid, facts.get(uid))
            stored += [uid] if kept else []
            if self._stopping():
                break
        else:
            if cursor.uid < chunk[-1]:  # the last ones were history, or expunged before we came to them
                cursor = self._settle(cursor, chunk[-1])
        self._after(session, stored)
        return cursor

    def _one(self, session: Session, cursor: Cursor, uid: int, facts: Facts | None) -> tuple[Cursor, bool]:
        """Settle one mail: stored, or passed with its reason. Returns the new cursor, and whether the mail is stored."""
        if facts is None:  # expunged between SEARCH and FETCH (F57), or the server has no answer for it
            return self._gone_or_refused(session, cursor, uid), False
        if is_history(cursor, uid, facts.received_at):
            return cursor, False  # the next checkpoint passes it
        limit = self._mailbox.message_limit_bytes
        if facts.size_bytes > limit:
            return self._skip(cursor, uid, OVERSIZE, f"larger than {limit} bytes", facts.size_bytes), False
        try:
            body = session.body(uid, limit)
        except CommandRefused as error:
            return self._skip(cursor, uid, REFUSED, str(error), facts.size_bytes), False
        except Lost as error:
            return self._lost(cursor, uid, error, facts.size_bytes), False
        if body is None:
            return self._gone_or_refused(session, cursor, uid), False
        if len(body) > limit:
            return self._skip(cursor, uid, OVERSIZE, f"larger than {limit} bytes, which its size hid", len(body)), False
        return self._store_mail(cursor, uid, facts.received_at, body), True

    def _store_mail(self, cursor: Cursor, uid: int, received_at: datetime, body: bytes) -> Cursor:
        """Envelope, key and checkpoint in one commit (P1); a repeat only moves the checkpoint (F06)."""
        mailbox = self._mailbox
        moved = _moved(cursor, uid)
        key = (f"imap/{mailbox.name}", key_of(self._name, cursor.uid_validity, uid))

        def also(tx: Tx) -> None:
            self._hold(tx)
            mailboxes.move_cursor(tx, mailbox.name, self._name, moved)
            mailboxes.forget_skipped(tx, mailbox.name, self._name, cursor.uid_validity, uid)

        arrival = Arrival(
            channel=Channel.IMAP,
            source=mailbox.name,
            body=body,
            forward_paths=forward_paths(mailbox.answers_for, body),
            peer=mailbox.host,
            idempotency_key=key,
            received_at=received_at,
        )
        try:
            self._accept(arrival, also)
        except Conflict:  # the server gave the UID of one mail to another: told apart by content, so that neither is lost
            log.error("the server used a UID twice", mailbox=mailbox.name, folder=self._name, uid=uid)
            content = hashlib.sha256(body).hexdigest()
            self._accept(msgspec.structs.replace(arrival, idempotency_key=(key[0], f"{key[1]}/{content}")), also)
        return moved

    def _gone_or_refused(self, session: Session, cursor: Cursor, uid: int) -> Cursor:
        """A mail without an answer: expunged by somebody, or there and unreadable (`NIL`)."""
        if list(session.uids(uid, uid)):
            return self._skip(cursor, uid, EMPTY, "the server has no content for it", 0)
        SKIPPED.labels(self._mailbox.name, "expunged").inc()
        log.info("mail expunged before it was fetched", mailbox=self._mailbox.name, folder=self._name, uid=uid)
        return cursor

    def _lost(self, cursor: Cursor, uid: int, error: Lost, size_bytes: int) -> Cursor:
        """The connection broke at this mail. Once that is the network; the third time it is the mail, and the others go on (F58)."""
        self._losses[uid] = self._losses.get(uid, 0) + 1
        if self._losses[uid] < MAX_LOSSES:
            raise error
        self._skip(cursor, uid, CRASHED, f"the connection broke {MAX_LOSSES} times: {error}", size_bytes)
        raise error  # the checkpoint has passed it; the next connection goes on behind it

    def _skip(self, cursor: Cursor, uid: int, reason: str, detail: str, size_bytes: int) -> Cursor:
        """Pass a mail, with the checkpoint in the same commit: recorded, shown by `queue list --of skipped`, tried again."""
        mailbox, moved = self._mailbox, _moved(cursor, uid)

        def work(tx: Tx) -> None:
            self._hold(tx)
            before = mailboxes.attempts(tx, mailbox.name, self._name, cursor.uid_validity, uid)
            row = Skipped(
                mailbox=mailbox.name,
                folder=self._name,
                uid_validity=cursor.uid_validity,
                uid=uid,
                reason=reason,
                detail=detail,
                size_bytes=size_bytes,
                attempts=before,
            )
            mailboxes.skip(tx, row)
            mailboxes.move_cursor(tx, mailbox.name, self._name, moved)

        self._store.write(work).result()
        SKIPPED.labels(mailbox.name, reason).inc()
        log.warning("mail passed", mailbox=mailbox.name, folder=self._name, uid=uid, reason=reason, size_bytes=size_bytes)
        return moved

    def _again(self, session: Session, cursor: Cursor) -> None:
        """Try again what was passed and is due."""
        mailbox, validity = self._mailbox, cursor.uid_validity
        limit = mailbox.message_limit_bytes
        due = self._store.read(lambda tx: mailboxes.due_again(tx, mailbox.name, self._name, validity, size_limit_bytes=limit))
        uids = {each.uid for each in due}
        present = set(_present(session, uids))
        gone = sorted(uids - present)

        def forget(tx: Tx) -> None:
            for uid in gone:
                mailboxes.forget_skipped(tx, mailbox.name, self._name, validity, uid)

        if gone:
            self._write(forget)
        if present:
            self._take(session, cursor, sorted(present))

    # ---------------------------------------------------------------- after the commit

    def _after(self, session: Session, stored: Sequence[int]) -> None:
        """Flag or move what is stored. A failure costs nothing but its own metric: the checkpoint has passed these mails (F59)."""
        if self._mailbox.after == "none" or not stored:
            return
        try:
            if self._mailbox.after == "flag":
                session.flag(stored, self._mailbox.flag)
            elif session.can("MOVE"):
                session.move(stored, self._mailbox.move_to)
            else:
                self._copy_and_expunge(session, stored)
        except CommandRefused as error:
            AFTER_ERRORS.labels(self._mailbox.name).inc()
            self._left = sorted({*self._left, *stored})[-MAX_RECONCILED:]
            log.error("stored mail could not be flagged or moved", mailbox=self._mailbox.name, mails=len(stored), error=str(error))

    def _copy_and_expunge(self, session: Session, stored: Sequence[int]) -> None:
        """For servers without MOVE: what was copied once is not copied again when the rest fails."""
        fresh = [uid for uid in stored if uid not in self._copied]
        if fresh:
            session.copy(fresh, self._mailbox.move_to)
            self._copied.update(fresh)
        session.flag(stored, "\\Deleted")
        if session.can("UIDPLUS"):
            session.expunge(stored)
        self._copied.difference_update(stored)

    # ---------------------------------------------------------------- server against store

    def reconcile(self, session: Session, cursor: Cursor) -> int:
        """Compare the server's UIDs with the store: fetch what is missing, and move what should be gone. Returns how many were missing."""
        mailbox, validity = self._mailbox, cursor.uid_validity
        since = self._store.clock() - RECONCILED
        present = list(session.uids(1, cursor.uid, since=since))[-MAX_RECONCILED:]
        keys = {uid: key_of(self._name, validity, uid) for uid in present}

        def work(tx: Tx) -> tuple[set[int], set[int]]:
            passed = mailboxes.skipped_uids(tx, mailbox.name, self._name, validity)
            return mailboxes.stored(tx, f"imap/{mailbox.name}", keys), passed

        stored, passed = self._store.read(work)
        missing = self._without_history(session, cursor, [uid for uid in present if uid not in stored and uid not in passed])
        if missing:
            log.error(
                "mails on the server that the store lacks; fetching them", mailbox=mailbox.name, folder=self._name, mails=len(missing)
            )
            for chunk in _chunks(missing):
                self._take(session, cursor, chunk)
        left = self._still_to_do(sorted(stored))
        self._left.clear()
        self._compared = True
        for chunk in _chunks(left):
            self._after(session, chunk)
        return len(missing)

    def _still_to_do(self, stored: Sequence[int]) -> Sequence[int]:
        """Of what is stored and still here: what was to be moved or flagged.

        What is here was not moved. What was not flagged is known while the process lives; the newest are flagged again when it begins, for
        a kill between commit and flag leaves at most one chunk, and somebody may since have taken the flag from others on purpose.
        """
        if self._mailbox.after == "move":
            return stored
        perhaps = {*self._left, *(() if self._compared else stored[-CHUNK:])}
        return [uid for uid in stored if uid in perhaps]

    def _without_history(self, session: Session, cursor: Cursor, uids: Sequence[int]) -> list[int]:
        found: list[int] = []
        for chunk in _chunks(uids):
            facts = _facts(session, chunk)
            found += [uid for uid in chunk if uid in facts and not is_history(cursor, uid, facts[uid].received_at)]
        return found

    # ---------------------------------------------------------------- the store

    def _settle(self, cursor: Cursor, uid: int) -> Cursor:
        moved = _moved(cursor, uid)
        self._move(moved)
        return moved

    def _move(self, cursor: Cursor) -> None:
        self._write(lambda tx: mailboxes.move_cursor(tx, self._mailbox.name, self._name, cursor))

    def _write(self, work: Callable[[Tx], None]) -> None:
        def held(tx: Tx) -> None:
            self._hold(tx)
            work(tx)

        self._store.write(held).result()


def _moved(cursor: Cursor, uid: int) -> Cursor:
    """The checkpoint never goes back: what is fetched again lies behind it."""
    return Cursor(uid_validity=cursor.uid_validity, uid=max(cursor.uid, uid), history_uid=cursor.history_uid, begun_at=cursor.begun_at)


def _facts(session: Session, chunk: Sequence[int]) -> dict[int, Facts]:
    """The facts of a chunk; when the server refuses it, one at a time, so that one bad mail hides no other (F58)."""
    try:
        return session.facts(chunk)
    except CommandRefused:
        found: dict[int, Facts] = {}
        for uid in chunk:
            try:
                found |= session.facts([uid])
            except CommandRefused:
                continue  # `_gone_or_refused` looks whether it is there
        return found


def _present(session: Session, uids: Iterable[int]) -> Iterator[int]:
    for uid in uids:
        yield from session.uids(uid, uid)


def _chunks(uids: Sequence[int] | Iterator[int]) -> Iterator[list[int]]:
    rest = iter(uids)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk
