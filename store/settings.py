"""The `[store]` table: where the data is and how long it is kept."""

from typing import Annotated

import msgspec
from msgspec import Meta


class Retention(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[store.retention]`: how long each class of data is kept."""

    raw_mail_days: Annotated[int, Meta(description="Raw bytes of what was triaged, in days.", ge=1)] = 90
    finished_rows_days: Annotated[int, Meta(description="Inbox rows that are done, in days; their outcomes stay in the totals.", ge=1)] = (
        365
    )
    sent_bytes_days: Annotated[int, Meta(description="Bytes of mails that were sent, in days.", ge=1)] = 30
    refused_days: Annotated[int, Meta(description="Bodies that a door refused, in days.", ge=1)] = 7
    repeat_keys_days: Annotated[
        int, Meta(description="Keys by which a door knows a repeat, in days; longer than senders repeat and than raw mail is kept.", ge=1)
    ] = 400


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
    retention: Annotated[Retention, Meta(description="How long data is kept, `[store.retention]`.")] = Retention()
