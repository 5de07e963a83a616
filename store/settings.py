"""The `[store]` table: where the data is and how long it is kept."""

from typing import Annotated

import msgspec
from msgspec import Meta


class Retention(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[store.retention]`: how long each class of data is kept."""

    raw_mail_days: Annotated[
        int,
        Meta(description="Raw bytes of what was triaged, in days; a body of alerts that came again whole is stored once an hour.", ge=1),
    ] = 90
    finished_rows_days: Annotated[int, Meta(description="Inbox rows that are done, in days; their outcomes stay in the totals.", ge=1)] = (
        365
    )
    sent_bytes_days: Annotated[int, Meta(description="Bytes of mails that were sent, in days.", ge=1)] = 30
    refused_days: Annotated[int, Meta(description="Bodies that a door refused, in days.", ge=1)] = 7
    repeat_keys_days: Annotated[
        int, Meta(description="Keys by which a door knows a repeat, in days; longer than senders repeat and than raw mail is kept.", ge=1)
    ] = 400


class PostgresSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[store.postgres]`: PostgreSQL 15 or newer instead of the file, for several replicas; needs the extra `triaged[postgres]`."""

    url: Annotated[
        str,
        Meta(
            description="Where the database is: `postgresql://user@host:5432/name?sslmode=verify-full`. Never with a password.",
            pattern=r"^postgres(ql)?://[^\s]*$",
        ),
    ]
    password_file: Annotated[str, Meta(description="A file with the password.")] = ""
    writers: Annotated[int, Meta(description="Connections that write, each in a thread of its own.", ge=1, le=64)] = 4
    readers: Annotated[int, Meta(description="Connections that read.", ge=1, le=64)] = 8
    connect_timeout_seconds: Annotated[int, Meta(description="How long to wait for a connection, in seconds.", ge=1)] = 3
    lock_timeout_seconds: Annotated[int, Meta(description="How long a statement waits for a lock, in seconds.", ge=1)] = 10
    statement_timeout_seconds: Annotated[int, Meta(description="How long a statement may take, in seconds.", ge=1)] = 60
    claim_seconds: Annotated[
        int,
        Meta(description="A process that has not been heard of for so long loses what it had claimed, in seconds.", ge=2),
    ] = 60


class StoreSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[store]`: the data directory and its bounds."""

    path: Annotated[str, Meta(description="The data directory; made with mode 0700.")] = "./var"
    queue_limit: Annotated[int, Meta(description="Writes that may wait; more are answered 451 or 503.", ge=10)] = 10_000
    busy_timeout_seconds: Annotated[
        int, Meta(description="How long to wait for another process's lock on the database, in seconds.", ge=1)
    ] = 10
    minimum_free_bytes: Annotated[int, Meta(description="Below this much free space the doors answer 452 or 503, in bytes.", ge=0)] = (
        100 * 1024 * 1024
    )
    postgres: Annotated[PostgresSettings | None, Meta(description="PostgreSQL instead of the file.")] = None
    retention: Annotated[Retention, Meta(description="How long data is kept, `[store.retention]`.")] = Retention()
