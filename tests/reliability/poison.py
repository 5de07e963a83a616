"""What a parser does that a poisonous mail brings down: the whole child ends, and with it the batch."""

import os
import signal

from intake import child


def parse_one(request: bytes) -> bytes:
    """Parse, unless the mail is poison."""
    if b"POISON" in request:
        os.kill(os.getpid(), signal.SIGKILL)
    return child.parse_one(request)
