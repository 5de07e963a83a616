"""Reads a file of secrets."""

from pathlib import Path

from itsm.errors import Permanent

MAX_SECRET_BYTES = 64 * 1024


def secret_of(file: str) -> str:
    """The secret in a file, without the line break at its end; raises Permanent when it is empty or cannot be read."""
    try:
        with Path(file).open("rb") as opened:
            secret = opened.read(MAX_SECRET_BYTES).decode("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Permanent(f"the file of secrets {file} cannot be read: {error}") from error
    if not secret:
        raise Permanent(f"the file of secrets {file} is empty")
    return secret
