"""Responders as the product of named dimensions, and a desk they write back to under virtual time."""

import itertools
from datetime import timedelta
from typing import NamedTuple

from itsm.notification import Event
from rules.settings import Budgets
from store import outbox
from store.settings import StoreSettings
from tests.casework.desks import TestDesk

HEADERS = {
    "marked": ("Auto-Submitted: auto-replied",),
    "bulk": ("Precedence: bulk",),
    "old": ("X-Autoreply: yes",),
    "silencing": ("X-Auto-Response-Suppress: All",),
    "another desk's": ("X-Triaged-Loop: abc <x@y.example>",),
    "threaded": ("In-Reply-To: <{id}>", "References: <{id}>"),
    "bare": (),
}
SUBJECTS = {"number": "Re: [{number}] Automatic reply", "own": "We have your message, case {count}", "vacation": "Out of office: back soon"}
WORDS = {"same": "I am away until May, case {count}.", "other": "I am {word} away."}
RATES = {"at once": timedelta(seconds=1), "hourly": timedelta(hours=1), "daily": timedelta(days=1), "slow": timedelta(days=3)}
MAX_MAILS, WIDE = 3, 10**6


class Make(NamedTuple):
    """A responder: its fields, its reverse-path, its Reply-To, its subject, the address it writes from, its words."""

    headers: str = "bare"
    envelope: str = "own"
    reply_to: str = "none"
    subject: str = "own"
    address: str = "new"
    words: str = "other"

    @property
    def crowd(self) -> bool:
        """Whether nothing in its mails tells that they are one responder's: no mark, no thread, nothing of ours, nothing that stays."""
        return (self.headers, self.envelope, self.subject) == ("bare", "own", "own") and (self.address == "new" or self.words == "other")


MAKES = [
    Make(*each)
    for each in itertools.product(
        ("marked", "bulk", "old", "threaded", "bare"),
        ("null", "own"),
        ("none", "desk"),
        ("number", "own"),
        ("same", "detail", "new"),
        WORDS,
    )
]


class Arena:
    """One desk and a responder of each make, each in a domain of its own; a person's mail in their name sets each of them off."""

    def __init__(self, folder, makes, **budgets):
        self.desk = TestDesk(StoreSettings(path=str(folder)), budgets=Budgets(**({"total_minute": WIDE} | budgets)))
        self.makes, self.answered, self.theirs = makes, set(), [0] * len(makes)

    def send(self, place, told=None):
        make, count = self.makes[place], self.theirs[place] + 1
        address = {
            "same": f"ana@r{place}.example", "detail": f"ana+{count}@r{place}.example", "new": f"ana{_word(count)}@r{place}.example",
            "ours": "net@corp.example", "silent": f"noreply@r{place}.example",
        }[make.address if told else "same"]  # fmt: skip
        facts = {
            "count": count,
            "word": _word(count),
            "id": told.message_id if told else "",
            "number": told.facts["number"] if told else "",
        }
        lines = [f"From: {address}", "To: help@corp.example", f"Message-ID: <m{count if told else 0}@r{place}.example>"]
        lines += [f"Subject: {SUBJECTS[make.subject].format(**facts)}" if told else "Subject: Printer"]
        if told:
            lines += [each.format(**facts) for each in HEADERS[make.headers]]
            lines += ["Reply-To: help@corp.example"] if make.reply_to == "desk" else []
            self.theirs[place] += 1
        text = WORDS[make.words].format(**facts) if told else "It is broken."
        self.desk.put("\r\n".join([*lines, "", text, ""]).encode(), sender="" if told and make.envelope == "null" else address)

    def play(self, wait, rounds=6):
        for place in range(len(self.makes)):
            self.send(place)
        for _ in range(rounds):
            self.desk.triage(wait=False)
            self.desk.time += wait
            for told in self.fresh():
                self.send(self.place_of(told), told)
        return self

    def place_of(self, told):
        """Whose domain it is in; an address of our own is passed on to the one responder there is."""
        return int(told.recipient.rpartition("@r")[2].partition(".")[0]) if "@r" in told.recipient else 0

    def fresh(self):
        rows = [each for each in self.sent() if each.id not in self.answered]
        self.answered |= {each.id for each in rows}
        return rows

    def sent(self):
        rows = self.desk.store.read(lambda tx: outbox.listed(tx, limit=WIDE))
        mails = [each.notification for each in rows if each.notification.event is Event.ACKNOWLEDGED]
        return [each for each in mails if each.suppressed_because is None]

    def most(self):
        """The automatic mails of each responder's pair, of the side that wrote more."""
        ours = [0] * len(self.makes)
        for each in self.sent():
            ours[self.place_of(each)] += 1
        return [max(we, they) for we, they in zip(ours, self.theirs, strict=True)]

    def unsettled(self):
        return [make for make, mails in zip(self.makes, self.most(), strict=True) if mails > MAX_MAILS]


def _word(count):
    return "".join(chr(97 + int(each)) for each in str(count))
