"""Looks whether a mailbox can be fetched, without fetching: for `triaged doctor`."""

from intake.imap.connection import Pipe
from intake.imap.session import Session
from intake.imap.settings import Mailbox
from itsm.credential import Bearer
from itsm.errors import Transient


def examine(mailbox: Mailbox, bearer: Bearer | None) -> str:
    """Connect, log in, open every folder; returns what was seen, raises Transient with what is wrong."""
    pipe = Pipe()
    try:
        session = Session(mailbox, bearer=bearer, pipe=pipe)
    except Transient:
        pipe.close()
        raise
    try:
        told = [f"{folder}: next UID {session.select(folder).uid_next}" for folder in mailbox.folders]
        if mailbox.after == "move" and not session.exists(mailbox.move_to):
            raise Transient(f"the folder {mailbox.move_to!r} that stored mail is moved to is not there")
        return ", ".join(told) + ("" if session.can("IDLE") else "; no IDLE, so it is polled")
    finally:
        session.close()
        pipe.close()
