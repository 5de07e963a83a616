"""The tables of the desk itself: its counters, processes, directory, keys and tokens, and the mailboxes it fetches."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text

from store.schema import desk, key, metadata

counter = Table("counter", metadata, desk(), Column("name", Text, primary_key=True), Column("next", BigInteger, nullable=False))

process = Table(  # a running process: node number for identifiers, heartbeat for claims
    "process",
    metadata,
    desk(),
    key("node", Integer),
    Column("process_id", BigInteger, nullable=False),  # unique id of this run
    Column("description", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("heartbeat_at", BigInteger, nullable=False),
    Column("last_id", BigInteger, nullable=False),
)

directory = Table(
    "directory",
    metadata,
    desk(),
    key("id"),
    Column("kind", Text, nullable=False),  # team, agent, service
    Column("key", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("removed_at", BigInteger),  # no longer configured; the row and its id stay
    Index("directory_key", "desk_id", "kind", "key", unique=True),
)

signing_key = Table(
    "signing_key",
    metadata,
    desk(),
    key("key_id", Integer),
    Column("secret", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("retired_at", BigInteger),
)

api_token = Table(
    "api_token",
    metadata,
    desk(),
    key("id"),
    Column("name", Text, nullable=False),
    Column("secret_sha256", LargeBinary, nullable=False),
    Column("scopes", Text, nullable=False),  # JSON list
    Column("acts_as", Text, nullable=False),  # "agent:<key>", "source:<key>" or "operator"
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Index("api_token_secret", "desk_id", "secret_sha256", unique=True),
    Index("api_token_name", "desk_id", "name", unique=True),
)

# ---------------------------------------------------------------- mailboxes that are fetched, and what they need

lease = Table(  # who does what only one may do at a time, such as polling a mailbox
    "lease",
    metadata,
    desk(),
    Column("name", Text, primary_key=True),
    Column("holder", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("fence", BigInteger, nullable=False),  # raised whenever the holder changes
)

mailbox_cursor = Table(  # how far a folder was fetched; written in the commit that accepts a mail
    "mailbox_cursor",
    metadata,
    desk(),
    Column("mailbox", Text, primary_key=True),
    Column("folder", Text, primary_key=True),
    Column("uid_validity", BigInteger, nullable=False),
    Column("uid", BigInteger, nullable=False),  # everything up to here is stored, skipped or older than we are
    Column("history_uid", BigInteger, nullable=False),  # up to here, what the server received before `begun_at` is history
    Column("begun_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

mailbox_skipped = Table(  # mails that could not be fetched: passed, tried again, and shown
    "mailbox_skipped",
    metadata,
    desk(),
    Column("mailbox", Text, primary_key=True),
    Column("folder", Text, primary_key=True),
    key("uid_validity"),
    key("uid"),
    Column("reason", Text, nullable=False),  # oversize, empty, refused
    Column("detail", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("skipped_at", BigInteger, nullable=False),
    Column("retry_at", BigInteger),  # NULL: given up, or waits for a higher limit
)

oauth_token = Table(
    "oauth_token",
    metadata,
    desk(),
    Column("name", Text, primary_key=True),
    Column("access_token", Text, nullable=False),
    Column("refresh_token", Text),
    Column("obtained_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)
