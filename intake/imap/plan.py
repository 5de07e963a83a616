"""What is to be fetched from a folder: pure judgements over the cursor and what SELECT told (fault F56)."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from intake.imap.session import Selected
from itsm.address import domain_of, local_part_of
from store.mailboxes import Cursor

RESCAN_MARGIN = timedelta(days=1)  # clocks of servers differ; what is taken again is known by its content
MAX_HEADER_BYTES = 65_536
MAX_RECIPIENTS = 20
_FIELD = re.compile(rb"(?im)^(delivered-to|x-original-to|envelope-to|to|cc)[ \t]*:((?:[^\r\n]|\r?\n[ \t])*)")
_ADDRESS = re.compile(rb"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,128}@[A-Za-z0-9.-]{1,255}")


def first_cursor(selected: Selected, now: datetime, imports_since: datetime | None, newest: datetime | None) -> Cursor:
    """The first connect is silent: everything below UIDNEXT is history, but for what `imports_since` asks for.

    `newest` is the latest INTERNALDATE that is there: the server's clock may be ahead of ours.
    """
    last = selected.uid_next - 1
    if imports_since is not None:
        return Cursor(uid_validity=selected.uid_validity, uid=0, history_uid=last, begun_at=imports_since)
    begun_at = max(now, newest + timedelta(seconds=1)) if newest is not None else now
    return Cursor(uid_validity=selected.uid_validity, uid=last, history_uid=last, begun_at=begun_at)


def cursor_in_force(cursor: Cursor, selected: Selected) -> Cursor:
    """The cursor, or one that begins anew when UIDVALIDITY changed: every UID means another mail then (RFC 9051 2.3.1.1).

    What was there before we came stays history, by the date the server received it.
    """
    if cursor.uid_validity == selected.uid_validity:
        return cursor
    begun_at = cursor.begun_at - RESCAN_MARGIN
    return Cursor(uid_validity=selected.uid_validity, uid=0, history_uid=selected.uid_next - 1, begun_at=begun_at)


def is_history(cursor: Cursor, uid: int, received_at: datetime) -> bool:
    """Whether a mail was there before we came."""
    return uid <= cursor.history_uid and received_at < cursor.begun_at


def key_of(folder: str, uid_validity: int, uid: int) -> str:
    """What IMAP knows a mail by, for ever (RFC 9051 2.3.1.1); the mailbox is the door."""
    return f"{uid_validity}/{uid}/{folder}"


def forward_paths(address: str, body: bytes) -> tuple[str, ...]:
    """The recipient of a fetched mail: the mailbox's address, after the subaddresses of its domain that the header names (RFC 5233).

    Only subaddresses (`bounces+token@`): they carry tokens of ours, each checked by its MAC; what else a header names is a stranger's word.
    """
    if not address:
        return ()
    domain = domain_of(address)
    written = dict.fromkeys(each.decode("ascii") for each in _written(body[:MAX_HEADER_BYTES]))
    found = [each for each in written if "+" in local_part_of(each) and domain_of(each) == domain]
    return (*found[:MAX_RECIPIENTS], address)


def _written(head: bytes) -> Iterator[bytes]:
    end = re.search(rb"\r?\n\r?\n", head)
    for field in _FIELD.finditer(head, 0, end.start() if end else len(head)):
        for address in _ADDRESS.finditer(field[2]):
            yield address[0]
