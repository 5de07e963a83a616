"""What a first start leaves behind: the administrator's token, in a file that only its owner can read."""

import os
from pathlib import Path

from itsm.errors import Conflict
from store.credentials import create_token, list_tokens
from store.store import Store
from store.transaction import Tx

TOKEN_FILE, TOKEN_NAME = "admin.token", "admin"


def ensure_admin_token(store: Store) -> Path | None:
    """Make the token when the store has none at all; returns its file, None when there was one already.

    Of replicas that start at the same moment one makes it.
    """

    def work(tx: Tx) -> str | None:
        if list_tokens(tx):
            return None
        try:
            return create_token(tx, TOKEN_NAME, scopes=("admin",), acts_as="operator")
        except Conflict:  # it was made since we looked
            return None

    secret = store.write(work).result()
    if secret is None:
        return None
    file = store.directory / TOKEN_FILE
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(secret + "\n")
        opened.flush()
        os.fsync(opened.fileno())
    file.chmod(0o600)
    return file
