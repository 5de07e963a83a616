"""A desk on a real store of either engine: put envelopes in, triage them, look at what came of it."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from casework.context import Casework
from casework.handle import perform, tick
from intake.accept import Acceptor, Arrival
from intake.child import parse_one
from intake.parse import digest_of
from intake.scan import message_id_of
from intake.worker import Triage
from itsm.act import Act, Actor, ActorKind, Verb
from itsm.envelope import Channel, Envelope
from itsm.token import ReplyToken, mint_reply
from rules.authentication import TrustSettings
from rules.ruleset import compile_ruleset
from rules.settings import RulesSettings
from store import credentials, entries, inbox, outbox, parts, tickets
from store.store import Store
from tests.rules.worlds import DESK, WITH_AGENTS


class TestDesk:
    """The store, the rules and the triage worker, with the parser in this process."""

    __test__ = False

    def __init__(self, settings, members=False, **rules):
        self.time = datetime(2026, 3, 23, 10, 30, tzinfo=UTC)
        self.store = Store(settings, clock=lambda: self.time, exclusive=True, lease_clock=lambda: self.time)
        self.keys = self.store.write(credentials.signing_keys).result()
        ruleset, errors = compile_ruleset(RulesSettings(**rules))
        assert not errors
        self.casework = Casework(
            ruleset=ruleset,
            desk=WITH_AGENTS if members else DESK,
            keys=self.keys,
            trust=TrustSettings(
                senders_of_login={"app": ("ana@corp.example",), "ben": ("ben@corp.example",), "cid": ("cid@corp.example",)}
            ),
        )

    async def parse(self, name, requests):
        return [parse_one(request) for request in requests]

    def put(self, body, *, login=None, to=("help@corp.example",), sender="ana@corp.example", later=0.0):
        self.time += timedelta(seconds=later)
        envelope = Envelope(
            id=self.store.new_id(), channel=Channel.SMTP, source="smtp", received_at=self.time, size_bytes=len(body),
            reverse_path=sender, forward_paths=to, login=login, message_id=message_id_of(body), peer="192.0.2.1",
        )  # fmt: skip
        self.store.write_many(inbox.add_many, inbox.Arrived(envelope=envelope, body=body)).result()
        return envelope.id

    def post(self, body, format_="alertmanager", source="am"):
        envelope = Envelope(
            id=self.store.new_id(), channel=Channel.HTTP, source=source, format=format_, received_at=self.time, size_bytes=len(body)
        )
        self.store.write_many(inbox.add_many, inbox.Arrived(envelope=envelope, body=body)).result()
        return envelope.id

    def deliver(self, body, resends=None, format_="alertmanager", source="am", **more):
        """Put a body in through the door, which may know it."""
        return asyncio.run(self.acceptor(resends).accept(self.arrival(body, format_, source, **more))).inbox_id

    def acceptor(self, resends=None):
        return Acceptor(
            self.store,
            wake=lambda: None,
            pending_limit=10_000,
            minimum_free_bytes=0,
            resends=resends,
            casework=lambda: self.casework,
        )

    def arrival(self, body, format_="alertmanager", source="am", **more):
        digest = digest_of(format_, source, body)
        return Arrival(channel=Channel.HTTP, source=source, body=body, format=format_, digest=digest, **more)

    def triage(self, parse=None, wait=True, resends=None, signing_keys=None):
        async def run():
            worker = Triage(
                self.store,
                run_batch=parse or self.parse,
                casework=lambda: self.casework,
                mappings=dict,
                on_outgoing=lambda: None,
                resends=resends,
                signing_keys=signing_keys,
            )
            while await worker.once():
                if wait:
                    self.time += timedelta(seconds=1)

        asyncio.run(run())

    def act(self, verb, number, text="", kind=ActorKind.AGENT, version=None, **arguments):
        act = Act(
            verb=Verb(verb),
            ticket_number=number,
            actor=Actor(kind=kind, name="ben", trust=2),
            text=text,
            arguments=arguments,
            expected_version=version,
        )
        return self.store.write(lambda tx: perform(tx, act, self.casework)).result()

    def tick(self, **later):
        self.time += timedelta(**later)
        return self.store.write(lambda tx: tick(tx, self.casework, limit=100)).result()

    def tickets(self):
        return sorted(self.store.read(tickets.listed), key=lambda each: each.number)

    def entries(self, ticket):
        return self.store.read(lambda tx: entries.of_ticket(tx, ticket.id))

    def outbox(self, event=None):
        rows = [each.notification for each in reversed(self.store.read(outbox.listed))]
        return [each for each in rows if event is None or each.event.value == event]

    def reply_address(self, notice):
        """The address that an agent's client answers to, as the mail's Reply-To has it."""
        token = mint_reply(self.keys, ReplyToken(ticket_number=notice.ticket_number, grant=notice.reply_grant))
        return f"help+{token}@corp.example"

    def answer(self, notice, body, *, login="ben", to=None):
        """Put the answer of an agent to a notice, and triage it."""
        where = self.put(body, login=login, to=(to or self.reply_address(notice),), sender="ben@corp.example", later=1)
        self.triage()
        return where

    def inbox(self, inbox_id):
        return self.store.read(lambda tx: inbox.find(tx, inbox_id))

    def parts(self, inbox_id):
        return self.store.read(lambda tx: parts.of_inbox(tx, inbox_id))


@pytest.fixture
def make_desk(make_place):
    made = []

    def make(**rules):
        made.append(TestDesk(make_place(), **rules))
        return made[-1]

    yield make
    for each in made:
        each.store.close()


@pytest.fixture
def desk(make_desk):
    return make_desk()


@pytest.fixture
def mail():
    def make(name="m1", subject="Printer 4F jams", text="It is broken.", sender="Ana <ana@corp.example>", **headers):
        lines = [f"From: {sender}", "To: help@corp.example", f"Subject: {subject}"]
        lines += [f"Message-ID: <{name}@corp.example>"] if name else []
        lines += [f"{key.replace('_', '-')}: {value}" for key, value in headers.items()]
        return "\r\n".join([*lines, "", text, ""]).encode()

    return make
