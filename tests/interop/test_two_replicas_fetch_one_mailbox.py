"""Two whole daemons on one PostgreSQL and one Dovecot mailbox: killed, stopped and woken, they make one ticket a mail (fault F14)."""

import itertools
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from prove.ports import free_ports
from prove.postgres import PostgresServer
from tests.conftest import EMPTY
from tests.intake.imap.doors import mail
from tests.intake.imap.tables import mailbox_table
from tests.interop.dovecot import Dovecot, dovecot
from tests.reliability.lives import Life

__all__ = ["dovecot"]
pytestmark = pytest.mark.timeout(600)
CLAIM_SECONDS = 10  # a replica that is silent for so long has lost its mailbox
TOGETHER, ROUNDS = 30, 40  # mails that are delivered together, and how often at most until a poller is caught at its work
STORE = '\n[store.postgres]\nurl = "{url}"\nclaim_seconds = {claim}\nwriters = 2\nreaders = 2\n'
USERS, DATABASES = itertools.count(), itertools.count()


class Pair:
    """Replicas `one` and `two` on one database, each with a poller on the one mailbox; they log in as user@one and user@two."""

    def __init__(self, folder: Path, server: PostgresServer, dovecot: Dovecot, **mailbox: str) -> None:
        """Nothing runs yet."""
        self.server, self.dovecot, self.user = server, dovecot, f"pair{next(USERS)}"
        self.database, self.delivered = f"pair_{folder.parent.name}_{next(DATABASES)}", 0
        self.lives = {name: self._life(folder / name, name, mailbox) for name in ("one", "two")}
        self.without = ""

    def _life(self, folder: Path, name: str, mailbox: dict[str, str]) -> Life:
        folder.mkdir()
        (folder / "password").write_text(self.dovecot.password)
        life = Life(folder, *free_ports(2))
        table = mailbox_table(self.dovecot.port, login=f"{self.user}@{name}", address="desk@example.org", poll_seconds=1, **mailbox)
        life.configure(STORE.format(url=self.server.url(self.database), claim=CLAIM_SECONDS) + table)
        return life

    def begin(self, without: str = "") -> None:
        """Start both, without some defences, and wait until the folder was seen for the first time: what comes now is new."""
        self.without = without
        self.server.make_database(self.database, template=EMPTY)
        for each in self.lives.values():
            each.begin(without=without, ready=False)
        for each in self.lives.values():
            each.until(lambda life=each: life.probe("/readyz")[0] == 200)
        self.until(lambda: self.ask("SELECT count(*) FROM mailbox_cursor"))

    def until(self, holds: Callable[[], Any]) -> None:
        self.lives["one"].until(lambda: bool(holds()))

    def ask(self, query: str) -> int:
        """The one number that a query gives."""
        return int(self.server.sql(query, database=self.database)[0][0])

    def envelopes(self) -> int:
        return self.ask("SELECT count(*) FROM inbox")

    def stored(self) -> int:
        """How many of the mails are stored, however often."""
        return self.ask("SELECT count(DISTINCT message_id) FROM inbox")

    def deliver(self) -> None:
        """Some mails more, all at once, each by a person of its own."""
        numbers = range(self.delivered, self.delivered + TOGETHER)
        self.dovecot.append(self.user, *(mail(f"m{each}", f"Printer {each} jams", sender=f"p{each}@corp.example") for each in numbers))
        self.delivered += TOGETHER

    def signal(self, name: str, which: signal.Signals) -> None:
        process = self.lives[name].process
        assert process is not None
        process.send_signal(which)

    def kill(self, name: str) -> None:
        self.signal(name, signal.SIGKILL)
        assert self.lives[name].ended() == -signal.SIGKILL

    def polling(self) -> set[str]:
        """Who is logged in at the mailbox."""
        return set(self._open(self.dovecot.sessions(self.user))[-1].values())

    def at_once(self) -> list[set[str]]:
        """Who was logged in at the same time, from the first login to now."""
        return [set(each.values()) for each in self._open(self.dovecot.sessions(self.user))]

    @staticmethod
    def _open(events: list[tuple[str, str, bool]]) -> list[dict[str, str]]:
        found: list[dict[str, str]] = [{}]
        for name, session, begins in events:
            others = {known: who for known, who in found[-1].items() if known != session}
            found.append(others | {session: name} if begins else others)
        return found

    def catch(self, name: str) -> None:
        """Deliver mails and stop this replica when it has stored some of them and not all; nobody else fetches meanwhile."""
        for _ in range(ROUNDS):
            before = self.stored()
            self.deliver()
            self.until(lambda seen=before: self.stored() > seen)
            self.signal(name, signal.SIGSTOP)
            if self.stored() < before + TOGETHER:
                return
            self.signal(name, signal.SIGCONT)
            self.all_stored()
        raise AssertionError("it was never caught at its work")

    def collide(self) -> None:
        """Deliver mails while both stand still and wake both, until one is stored twice."""
        for _ in range(ROUNDS):
            self.all_stored()
            if self.envelopes() > self.delivered:
                return
            for each in (signal.SIGSTOP, signal.SIGCONT):
                self.signal("one", each)
                self.signal("two", each)
                if each is signal.SIGSTOP:
                    self.deliver()
        raise AssertionError("no mail was ever stored twice")

    def all_stored(self) -> None:
        self.until(lambda: self.stored() == self.delivered)

    def settle(self) -> None:
        """Wait until every mail is stored and every envelope has its outcome."""
        self.all_stored()
        self.until(lambda: self.ask("SELECT count(*) FROM inbox WHERE state = 'pending'") == 0)

    def tickets(self) -> list[str]:
        """The subjects of all tickets."""
        return sorted(row[0] for row in self.server.sql("SELECT subject FROM ticket", database=self.database))

    def wanted(self) -> list[str]:
        """A ticket a mail."""
        return sorted(f"Printer {number} jams" for number in range(self.delivered))

    def close(self) -> None:
        for each in self.lives.values():
            if each.process is not None and each.process.poll() is None:
                each.process.kill()  # one that is stopped too
                each.process.wait()
        self.server.drop_database(self.database)


@pytest.fixture
def make_pair(tmp_path: Path, postgres_server: PostgresServer, dovecot: Dovecot) -> Iterator[Callable[..., Pair]]:
    made: list[Pair] = []

    def make(**mailbox: str) -> Pair:
        made.append(Pair(tmp_path, postgres_server, dovecot, **mailbox))
        return made[-1]

    yield make
    for each in made:
        each.close()


def other(name: str) -> str:
    return "two" if name == "one" else "one"


def test_one_of_two_replicas_fetches_whoever_is_killed_or_stands_still_past_its_lease(make_pair: Callable[..., Pair]) -> None:
    pair = make_pair(after="move", move_to="Done")
    pair.dovecot.create(pair.user, "Done")
    pair.begin()

    (first,) = pair.polling()
    pair.catch(first)
    pair.kill(first)  # in the middle of its mails
    pair.deliver()
    pair.all_stored()
    assert pair.polling() == {other(first)}
    pair.lives[first].begin()
    assert all(len(names) <= 1 for names in pair.at_once())

    second = other(first)
    pair.catch(second)
    pair.deliver()
    pair.until(lambda: pair.polling() == {first, second})  # the one that stands still keeps its connection, and does nothing
    pair.all_stored()
    pair.signal(second, signal.SIGCONT)
    pair.deliver()
    pair.until(lambda: pair.polling() == {first})  # it was told at its next word that it had lost the lease
    pair.settle()

    assert pair.tickets() == pair.wanted()
    assert pair.envelopes() == pair.delivered
    pair.until(lambda: pair.dovecot.count(pair.user) == 0)
    assert pair.dovecot.count(pair.user, "Done") == pair.delivered
    assert pair.lives[first].command("verify").code == 0


@pytest.mark.parametrize(
    ("without", "defended"),
    [("keys,sameness", True), ("lease,sameness", True), ("lease,keys", True), ("lease,keys,sameness", False)],
    ids=["the lease alone", "the keys alone", "the content alone", "nothing"],
)
def test_any_one_of_three_defences_makes_one_ticket_a_mail(make_pair: Callable[..., Pair], without: str, defended: bool) -> None:
    """One fetches, stands still in the middle of its mails while the other takes them, and goes on where it was."""
    pair = make_pair(after="none")
    pair.begin(without)
    leased = "lease" not in without
    if not leased:
        pair.until(lambda: pair.polling() == {"one", "two"})
        pair.signal("two", signal.SIGSTOP)
    (first,) = pair.polling() if leased else ("one",)
    pair.catch(first)
    if not leased:
        pair.signal("two", signal.SIGCONT)
    pair.all_stored()
    pair.signal(first, signal.SIGCONT)
    pair.deliver()
    pair.until(lambda: pair.polling() == ({other(first)} if leased else {"one", "two"}))
    stored_once = leased or "keys" not in without
    if not stored_once:
        pair.collide()  # most often it has come to that already
    pair.settle()
    assert (pair.envelopes() == pair.delivered) is stored_once
    assert (pair.tickets() == pair.wanted()) is defended
    assert set(pair.tickets()) == set(pair.wanted())
