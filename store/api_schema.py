"""The table of what the API answered, for repeats of a request."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text

from store.schema import metadata

answer = Table(  # what the API answered under an Idempotency-Key, for a repeat
    "answer",
    metadata,
    Column("desk_id", Integer, primary_key=True, autoincrement=False),
    Column("door", Text, primary_key=True),
    Column("key_sha256", LargeBinary, primary_key=True),
    Column("request_sha256", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("answer_age", "desk_id", "created_at"),
)
