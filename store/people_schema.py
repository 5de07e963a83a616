"""The tables of people: requesters and organisations, who follows a ticket, and what reply addresses are good for."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table, Text, text

from store.api_schema import answer
from store.desk_schema import process
from store.schema import metadata
from store.search import search_words

reply_grant = Table(  # what a reply address binds; its number stands in the token
    "reply_grant",
    metadata,
    Column("desk_id", Integer, primary_key=True, autoincrement=False),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("ticket_number", BigInteger, nullable=False),
    Column("person", Text, nullable=False),  # key of the agent
    Column("role", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Index("reply_grant_person", "desk_id", "person"),
    Index("reply_grant_age", "desk_id", "expires_at"),
)

follower = Table(  # who else is told of a ticket, and who wants to be left alone
    "follower",
    metadata,
    Column("desk_id", Integer, primary_key=True, autoincrement=False),
    Column("ticket_id", BigInteger, primary_key=True, autoincrement=False),
    Column("address", Text, primary_key=True),
    Column("kind", Text, primary_key=True),  # watcher, muted
    Column("name", Text, nullable=False),
    Column("until", BigInteger),
    Column("added_by", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

organisation = Table(
    "organisation",
    metadata,
    Column("desk_id", Integer, primary_key=True, autoincrement=False),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("key", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("domains", Text, nullable=False),  # JSON list, read back whole
    Index("organisation_key", "desk_id", "key", unique=True),
)

organisation_domain = Table(  # which organisation an address of nobody we know belongs to
    "organisation_domain",
    metadata,
    Column("desk_id", Integer, primary_key=True, autoincrement=False),
    Column("domain", Text, primary_key=True),
    Column("organisation_id", BigInteger, nullable=False),
)

person = Table(
    "person",
    metadata,
    Column("desk_id", Integer, primary_key=True, autoincrement=False),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("address", Text, nullable=False),  # canonical; the one under which their tickets stand
    Column("name", Text, nullable=False),
    Column("organisation", Text, nullable=False),  # its key, "" for none
    Column("vip", Boolean, nullable=False, server_default=text("false")),
    Column("language", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("person_by_address", "desk_id", "address", unique=True),
)

person_address = Table(  # every address a person is known by, the first one among them
    "person_address",
    metadata,
    Column("desk_id", Integer, primary_key=True, autoincrement=False),
    Column("address", Text, primary_key=True),
    Column("person_id", BigInteger, nullable=False),
    Index("person_address_by_person", "desk_id", "person_id"),
)

undeliverable = Table(  # addresses that came back for good: nothing is sent to them until somebody writes from there
    "undeliverable",
    metadata,
    Column("desk_id", Integer, primary_key=True, autoincrement=False),
    Column("address", Text, primary_key=True),  # canonical
    Column("outbox_id", BigInteger, nullable=False),  # the mail that came back
    Column("reason", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
)

ELSEWHERE = (answer, process, search_words)  # tables that stand in a module of their own
WHOLE = metadata  # whoever makes or compares the schema takes it from here, so that no table is missing
