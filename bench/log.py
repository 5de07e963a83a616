"""Log lines as the daemon makes them, read by nobody: what they cost belongs to what is measured."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from triaged.logs import Logging


@contextmanager
def unread_log() -> Iterator[None]:
    """Log to nowhere while it lasts."""
    with Path(os.devnull).open("w", encoding="ascii") as nowhere:
        logging = Logging(style="json", stream=nowhere)
        try:
            yield
        finally:
            logging.stop()
