"""`triaged deliver`: a mail on stdin, from an MTA that pipes (RFC 5321 by other means: the exit code is the answer)."""

import asyncio
import os
import re
import sys

import click

from intake.accept import Acceptor, Arrival
from itsm.envelope import Channel
from itsm.errors import TriagedError
from itsm.identifier import inbox_text
from triaged.access import opened
from triaged.options import config_option
from triaged.output import talk

EX_DATAERR, EX_TEMPFAIL = os.EX_DATAERR, os.EX_TEMPFAIL  # sysexits.h: the mail is at fault; try again later
_MBOX_LINE = re.compile(rb"From [^\r\n]*\r?\n")


@click.command("deliver", short_help="Take a mail on stdin, from an MTA.")
@config_option
@click.option("--from", "reverse_path", metavar="ADDRESS", default=None, help="Reverse-path of the mail; empty for a bounce.")
@click.argument("recipients", nargs=-1, metavar="[RECIPIENT]...")
def command(reverse_path: str | None, recipients: tuple[str, ...]) -> int:
    """Take one mail on stdin and store it, with or without a running daemon. Recipients are addresses of the envelope.

    Exit codes are those of sysexits.h, as Postfix, Exim and Sendmail read them: 0 stored; 65 no mail, or one that is too large; 75
    cannot be stored now, so the MTA keeps it and tries again.
    """
    try:
        return _deliver(reverse_path, recipients)
    except (TriagedError, OSError) as error:
        talk(f"triaged: {error}; try again later")
        return EX_TEMPFAIL
    except Exception as error:  # the boundary of the command: whatever is wrong with us, the MTA keeps the mail
        talk(f"triaged: this should not happen: {error!r}; try again later")
        return EX_TEMPFAIL


def _deliver(reverse_path: str | None, recipients: tuple[str, ...]) -> int:
    with opened(create=True) as (store, found):
        configuration = found.configuration
        limit = configuration.intake.smtp.message_limit_bytes
        body = sys.stdin.buffer.read(limit + 1)
        body = body[found_line.end() :] if (found_line := _MBOX_LINE.match(body)) else body  # Postfix's flag F writes it
        if not body.strip():
            talk("triaged: there is no mail on stdin")
            return EX_DATAERR
        if len(body) > limit:
            talk(f"triaged: the mail is larger than {limit} bytes")
            return EX_DATAERR
        arrival = Arrival(
            channel=Channel.PIPE,
            source="pipe",
            body=body,
            reverse_path=None if reverse_path is None else reverse_path.strip("<>"),
            forward_paths=recipients or (configuration.desk.address,),
        )
        pending, free = configuration.intake.pending_limit, configuration.store.minimum_free_bytes
        acceptor = Acceptor(store, wake=lambda: None, pending_limit=pending, minimum_free_bytes=free)
        acceptor.look()
        accepted = asyncio.run(acceptor.accept(arrival))
    talk(f"stored as {inbox_text(accepted.inbox_id)}")
    return 0
