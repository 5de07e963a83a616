"""What a parser does that a poisonous mail brings down: the whole child ends, and with it the batch; or that treacle holds for ever."""

import os
import signal
import time

from intake import child


def parse_one(request: bytes) -> bytes:
    """Parse, unless the mail is poison or treacle."""
    if b"POISON" in request:
        os.kill(os.getpid(), signal.SIGKILL)
    while b"TREACLE" in request:
        time.sleep(60)
    return child.parse_one(request)
