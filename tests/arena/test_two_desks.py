"""Two desks of triaged that write to each other, each one's outbox rendered and fed to the other's door."""

import itertools
from datetime import timedelta

import msgspec
import pytest

from itsm.notification import DeliveryState
from itsm.token import mint_mark, mint_verp
from notifier.render import Identity, RenderRequest, render
from rules.answer import SAID_BEFORE
from rules.authentication import TrustSettings
from rules.settings import Budgets
from store.settings import StoreSettings
from tests.arena.responders import MAX_MAILS, RATES, WIDE
from tests.casework.desks import TestDesk
from tests.rules.worlds import DESK

OURS, OTHER = "help@corp.example", "help@other.example"
OTHER_DESK = msgspec.structs.replace(
    DESK,
    address=OTHER,
    domain="other.example",
    teams=(msgspec.structs.replace(DESK.teams[0], addresses=(OTHER,), notify=""),),
    agents=(),
)
MARKS = ("auto-submitted", "x-auto-response-suppress", "x-triaged-loop")
THREAD = ("in-reply-to", "references")
GATEWAYS = {"nothing": (), "marks": MARKS, "thread": THREAD, "marks and thread": (*MARKS, *THREAD)}
ROUNDS = 6


class Side:
    """A desk, the address it writes from, and how many mails it sent to the other."""

    def __init__(self, folder, desk, address, peer, **budgets):
        self.desk = TestDesk(StoreSettings(path=str(folder)), budgets=Budgets(**budgets))
        trust = TrustSettings(senders_of_login={"peer": (peer,)})
        self.desk.casework = msgspec.structs.replace(self.desk.casework, desk=desk, trust=trust)
        self.address, self.peer, self.taken = address, peer, set()

    def ahead(self, count):
        """Draw numbers, so that those of the other desk name nothing here."""
        for each in range(count):
            mail = f"From: x{each}@y.example\r\nTo: {self.address}\r\nSubject: x\r\nMessage-ID: <{each}@y.example>\r\n\r\nx\r\n"
            self.desk.put(mail.encode(), sender=f"x{each}@y.example")
        self.desk.triage(wait=False)
        return self

    def outgoing(self):
        """Mails for the other desk that were not handed over yet, as they go to the relay: reverse-path and octets."""
        for told in self.desk.outbox():
            if told.recipient != self.peer or told.state is not DeliveryState.QUEUED or told.id in self.taken:
                continue
            self.taken.add(told.id)
            identity = Identity(name="Desk", address=self.address, domain=self.address.partition("@")[2])
            marks = {"verp": mint_verp(self.desk.keys, told.id), "loop_mark": mint_mark(self.desk.keys, told.message_id)}
            made = render(RenderRequest(notification=told, identity=identity, date=told.created_at, **marks))
            yield made.reverse_path, made.message


def through(gateway, message):
    """The octets without the fields that a gateway on the way removes."""
    head, _, body = message.partition(b"\r\n\r\n")
    lines = head.replace(b"\r\n ", b"\n ").replace(b"\r\n\t", b"\n\t").split(b"\r\n")
    kept = [each for each in lines if each.partition(b":")[0].lower().decode() not in GATEWAYS[gateway]]
    return b"\r\n".join(kept).replace(b"\n ", b"\r\n ").replace(b"\n\t", b"\r\n\t") + b"\r\n\r\n" + body


def play(one, other, *, gateway, path, login, wait):
    """A person writes to the one in the name of the other; then each gets what the other sends."""
    one.desk.put(
        f"From: {other.address}\r\nTo: {one.address}\r\nSubject: Printer\r\nMessage-ID: <p@x.example>\r\n\r\nIt is broken.\r\n".encode(),
        sender=other.address, login=login,
    )  # fmt: skip
    for _ in range(ROUNDS):
        for writer, reader in ((one, other), (other, one)):
            writer.desk.triage(wait=False)
            for reverse_path, message in writer.outgoing():
                sender = reverse_path if path == "kept" else writer.address
                reader.desk.put(through(gateway, message), sender=sender, to=(reader.address,), login=login)
        one.desk.time += wait
        other.desk.time += wait
    return len(one.taken), len(other.taken)


@pytest.fixture
def sides(tmp_path):
    made = []

    def make(ours=DESK, ahead=0, **budgets):
        number = len(made)
        one = Side(tmp_path / f"one{number}", ours, OURS, OTHER, **budgets)
        other = Side(tmp_path / f"other{number}", OTHER_DESK, OTHER, OURS, **budgets).ahead(ahead)
        made.extend((one, other))
        return one, other

    yield make
    for each in made:
        each.desk.store.close()


@pytest.mark.parametrize("rate", ["at once", "slow"])
@pytest.mark.parametrize("ahead", [0, 20], ids=["the same numbers", "other numbers"])
def test_two_desks_come_to_rest_in_three_mails_a_side_whatever_a_gateway_takes_away(sides, rate, ahead):
    for gateway, path, login in itertools.product(GATEWAYS, ("kept", "replaced"), (None, "peer")):
        sent = play(*sides(ahead=ahead), gateway=gateway, path=path, login=login, wait=RATES[rate])
        assert max(sent) <= MAX_MAILS, (gateway, path, login, sent)
        assert sent[0] >= 1


def test_with_their_marks_one_mail_is_the_end_of_it(sides):
    assert play(*sides(), gateway="nothing", path="kept", login=None, wait=timedelta(seconds=1)) == (1, 0)


def test_without_the_budget_of_repeats_two_desks_behind_such_a_gateway_would_go_on(sides):
    how = {"gateway": "marks and thread", "path": "replaced", "login": None, "wait": timedelta(seconds=1)}
    one, other = sides(ahead=20, per_address_hour=WIDE, per_domain_minute=WIDE)
    assert max(play(one, other, **how)) <= MAX_MAILS
    assert SAID_BEFORE in {each.suppressed_because for side in (one, other) for each in side.desk.outbox()}
    assert min(play(*sides(ahead=20, per_address_hour=WIDE, per_domain_minute=WIDE, same_mail_week=WIDE), **how)) >= ROUNDS - 1


@pytest.mark.parametrize("gateway", GATEWAYS)
@pytest.mark.parametrize("path", ["kept", "replaced"])
def test_a_team_whose_mailbox_is_another_desk_comes_to_rest(sides, gateway, path):
    ours = msgspec.structs.replace(DESK, teams=(msgspec.structs.replace(DESK.teams[0], notify=OTHER), DESK.teams[1]))
    one, other = sides(ours)
    sent = play(one, other, gateway=gateway, path=path, login=None, wait=timedelta(seconds=1))
    told = [each for each in one.desk.outbox() if each.recipient == OTHER and each.suppressed_because is None]
    assert max(sent) <= 2 * MAX_MAILS, (sent, [each.event.value for each in told])  # to its team and to its sender, who are one here
    assert max(play(one, other, gateway=gateway, path=path, login=None, wait=timedelta(seconds=1))) == max(sent), "it rests"
