"""The invariants, judged by nothing but what clients heard, what the relay took, and which rows each commit changed.

Which of I1 to I12 (docs/explanation/simulation.md has the table) stands at each function.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from prove.simulation.mirror import Changed, Mirror, Row
from prove.simulation.relay import Copy, ScriptedRelay
from rules.loops import LOOP_SUBJECT
from rules.settings import Budgets
from store.history import GENESIS, commitment_of, link_hash

MINUTE, HOUR, DAY = 60_000_000, 3_600_000_000, 86_400_000_000  # microseconds
ORDER_WINDOW = 15 * MINUTE
MOVES = {  # which state of a ticket follows which; written down here anew, not read from itsm.lifecycle
    "new": {"in_progress", "pending", "resolved", "cancelled"},
    "in_progress": {"pending", "resolved", "cancelled"},
    "pending": {"in_progress", "resolved", "cancelled"},
    "resolved": {"in_progress", "new", "closed"},
    "closed": set(),
    "cancelled": set(),
}
OUTBOX_MOVES = {
    "queued": {"queued", "sending", "suppressed", "dead"},
    "sending": {"sending", "queued", "sent", "dead"},
    "sent": {"sent"},
    "dead": {"dead"},
    "suppressed": {"suppressed"},
}
FIXED = ("ticket_id", "event", "recipient", "message_id", "created_at", "facts", "in_reply_to", "reference_ids")


class Broken(AssertionError):
    """An invariant does not hold."""


def demand(holds: object, which: str, *told: object) -> None:
    """Raise Broken when it does not hold."""
    if not holds:
        raise Broken(f"{which}: " + " ".join(str(each) for each in told))


class Checker:
    """Judges each commit, each copy the relay takes and each yes a client hears."""

    def __init__(
        self,
        mirror: Mirror,
        relay: ScriptedRelay,
        *,
        budgets: Budgets,
        wall: Callable[[], int],
        close_after_days: int,
        name_of: Callable[[bytes], str],
    ) -> None:
        """`wall` is the wall clock of the daemon in microseconds; `name_of` tells which item an envelope's bytes are."""
        self.name_of = name_of
        self.mirror, self.relay, self.budgets, self.wall = mirror, relay, budgets, wall
        self.close_after = close_after_days * DAY
        self.envelopes: set[int] = set()  # every id that was ever committed
        self.heads: dict[str, tuple[int, bytes]] = {}
        self.replayed: dict[str, dict[str, str]] = {}
        self.acknowledged: dict[int, int] = {}  # ticket -> rows
        self.answers: dict[tuple[str, int], int] = defaultdict(int)
        self.item_of: dict[int, str] = {}
        self.outbox_sha: dict[int, str] = {}
        self.by_message_id: dict[str, int] = {}
        self.rows: dict[int, Row] = {}  # of the outbox
        self.by_reader: dict[tuple[int, str], set[int]] = defaultdict(set)
        self.unsettled: set[int] = set()
        self.dead = 0  # mails that were given up
        self.pending_rows: set[int] = set()
        self.outcomes: dict[int, str] = {}
        self.sending_life: dict[int, int] = {}
        self.tickets: dict[int, Row] = {}
        self.timers: dict[int, Row] = {}
        self.states: dict[str, int] = defaultdict(int)
        self.removed: dict[str, int] = {}
        self.subjects: set[str] = set()
        self.checks = 0
        self._by_table: dict[str, Callable[[Row | None, Row | None], None]] = {
            "inbox": self._inbox, "raw": self._raw, "ticket": self._ticket, "entry": self._entry, "outbox": self._outbox,
            "outbox_raw": self._outbox_raw, "timer": self._timer, "budget": self._budget, "totals": self._totals,
            "history": self._nothing, "history_content": self._nothing, "series": self._nothing, "part": self._nothing,
        }  # fmt: skip

    def commit(self, changes: Iterable[Changed]) -> None:
        """Judge what a commit changed, then what must hold between the tables."""
        found = list(changes)
        if not found:
            return
        self._history(found)
        for each in found:
            self._by_table[each.table](each.old, each.new)
            self.checks += 1
        self._order(found)
        self._laws()
        self._timers_of(found)
        self._replay(found)

    # ------------------------------------------------------------ I1: conservation, legal states of envelopes

    def _nothing(self, old: Row | None, new: Row | None) -> None:
        """Judged elsewhere."""

    def _inbox(self, old: Row | None, new: Row | None) -> None:
        if old is not None:
            self.states[old["state"]] -= 1
        if new is not None:
            self.states[new["state"]] += 1
            self.outcomes[new["id"]] = new["outcomes"] if new["state"] != "quarantined" else "Q"
            (self.pending_rows.add if new["state"] == "pending" else self.pending_rows.discard)(new["id"])
        if old is None and new is not None:
            first = new["raw_of"]
            if first is None:
                demand(new["state"] == "pending", "I1 an envelope begins pending", new["id"])
            else:  # a body that was known whole (ADR-0016)
                demand(new["state"] == "done" and set(new["outcomes"]) == {"D"}, "I1 a repeat is more than one", new["id"], new["outcomes"])
                demand(first in self.item_of, "I1 a repeat of nothing", new["id"], first)
                self.item_of[new["id"]] = self.item_of[first]
            demand(new["id"] not in self.envelopes, "I1 an identifier was issued twice", new["id"])
            self.envelopes.add(new["id"])
        elif new is None and old is not None:
            demand(old["state"] == "done", "I1 only what is done may be removed", old["id"], old["state"])
        elif old is not None and new is not None:
            demand(old["state"] == "pending" or new["state"] == old["state"], "I1 an envelope went back", old["id"], old["state"])
            for seq, letter in enumerate(old["outcomes"]):
                demand(
                    letter in (".", new["outcomes"][seq : seq + 1]), "I1 an outcome changed", old["id"], old["outcomes"], new["outcomes"]
                )

    def _raw(self, old: Row | None, new: Row | None) -> None:
        if new is not None and old is None:
            self.item_of.setdefault(new["inbox_id"], self.name_of(new["chunk"]))

    def _totals(self, old: Row | None, new: Row | None) -> None:
        demand(new is not None, "I1 a total went away")
        assert new is not None
        demand(old is None or new["amount"] >= old["amount"], "I1 a total fell", new["name"])
        self.removed[new["name"]] = new["amount"]

    def _laws(self) -> None:
        """Accepted = pending + done + quarantined, with what retention removed."""
        live = self.states["pending"] + self.states["done"] + self.states["quarantined"]
        demand(live + self.removed.get("accepted", 0) == len(self.envelopes), "I1 envelopes were lost", live, len(self.envelopes))
        ended = sum(amount for name, amount in self.removed.items() if name.startswith("outcome:"))
        demand(ended == self.removed.get("parts", 0), "I1 parts that were removed are not their outcomes", ended)

    # ------------------------------------------------------------ I8: no yes before the commit

    def heard_yes(self, inbox_id: int) -> None:
        """A client was told yes for this envelope."""
        demand(inbox_id in self.envelopes, "I8 a yes before the commit", inbox_id)

    # ------------------------------------------------------------ tickets: monotonic, phantom-free

    def _ticket(self, old: Row | None, new: Row | None) -> None:
        demand(new is not None, "a ticket went away")
        assert new is not None
        self.tickets[new["id"]] = new
        if old is None:
            demand(new["subject"] in self.subjects or new["subject"] == LOOP_SUBJECT, "I1 a phantom: nobody sent this", new["subject"])
            return
        demand(new["number"] == old["number"], "a ticket changed its number", old["number"])
        demand(new["version"] >= old["version"], "a version fell", old["number"])
        if new["state"] != old["state"]:
            demand(new["version"] > old["version"], "a status changed without a version", old["number"])

    def _entry(self, old: Row | None, new: Row | None) -> None:
        demand(new is not None, "an entry went away")

    # ------------------------------------------------------------ I5 the chain, link by link; I4 replay

    def _history(self, found: list[Changed]) -> None:
        contents = {(each.new["stream"], each.new["seq"]): each.new for each in found if each.table == "history_content" and each.new}
        rows = [each for each in found if each.table == "history"]
        for each in rows:
            demand(each.old is None and each.new is not None, "I5 an entry of the history was changed or removed")
        for row in sorted((each.new for each in rows if each.new), key=lambda row: (row["stream"], row["seq"])):
            seq, previous = self.heads.get(row["stream"], (0, GENESIS))
            demand(row["seq"] == seq + 1, "I5 a gap in the history", row["stream"], row["seq"])
            names = ("stream", "seq", "at", "kind", "actor", "ids", "commitment")
            digest = link_hash(previous, row["desk_id"], *(row[name] for name in names))
            demand(digest == row["hash"], "I5 the chain is broken", row["stream"], row["seq"])
            self.heads[row["stream"]] = (row["seq"], digest)
            content = contents.get((row["stream"], row["seq"]))
            demand(content is not None, "I5 an entry without content", row["stream"])
            assert content is not None
            demand(commitment_of(content["salt"], content["content"]) == row["commitment"], "I5 the content is another", row["stream"])
            self._fold(row, json.loads(content["content"]))

    def _fold(self, row: Row, content: dict[str, str]) -> None:
        """The state of a ticket by its history alone."""
        if not row["stream"].startswith("ticket:") or row["kind"] == "entry":
            return
        state = self.replayed.setdefault(row["stream"], {})
        if row["kind"] == "open":
            state |= content
        else:
            for name, told in content.items():
                before, arrow, after = told.rpartition(" -> ")
                if not arrow:
                    continue
                if name in state and name in ("state", "priority", "team"):
                    demand(state[name] == before, "I4 the history does not follow from itself", row["stream"], name, state[name], told)
                if name == "state":  # by the history, for one commit may hold several acts
                    demand(after in MOVES[before], "a status went where it may not", row["stream"], before, after)
                state[name] = after
        if row["kind"] == "close" and row["actor"] == "system:auto_close":
            self._auto_closed(row)

    def _auto_closed(self, row: Row) -> None:
        """I10: no ticket closes by itself before its days are over, by the wall clock it was resolved by."""
        ticket = self.tickets.get(int(row["stream"].partition(":")[2]))
        demand(ticket is not None and ticket["state"] == "resolved", "I10 closed by itself though not resolved", row["stream"])
        assert ticket is not None
        demand(row["at"] - ticket["resolved_at"] >= self.close_after, "I10 closed by itself too early", ticket["number"])

    def _replay(self, found: list[Changed]) -> None:
        for each in found:
            if each.table == "ticket" and each.new is not None:
                state = self.replayed.get(f"ticket:{each.new['id']}", {})
                for name in ("state", "priority", "team", "type"):
                    told = str(state.get(name))
                    demand(
                        told.rpartition(".")[2].lower() == str(each.new[name]).lower(), "I4 replay differs", each.new["number"], name, told
                    )

    # ------------------------------------------------------------ timers

    def _timer(self, old: Row | None, new: Row | None) -> None:
        row = new or old
        assert row is not None
        if row["kind"] == "auto_close":
            if new is not None:
                kept = old is not None and new["generation"] <= old["generation"]
                demand(not kept, "a timer was set and kept its generation", old, new)
                self.timers[row["subject_id"]] = new
            else:
                self.timers.pop(row["subject_id"], None)

    def _timers_of(self, found: list[Changed]) -> None:
        """A ticket has its timer while it is resolved, and only then."""
        touched = {each.new["id"] for each in found if each.table == "ticket" and each.new}
        touched |= {
            (each.new or each.old or {})["subject_id"]
            for each in found
            if each.table == "timer" and (each.new or each.old or {})["kind"] == "auto_close"
        }
        for ticket_id in touched:
            ticket = self.tickets[ticket_id]
            resolved, timer = ticket["state"] == "resolved", self.timers.get(ticket_id)
            demand(resolved == (timer is not None), "I12 timer and state do not agree", ticket["number"], ticket["state"], timer)

    # ------------------------------------------------------------ I3 and budgets

    def _budget(self, old: Row | None, new: Row | None) -> None:
        if new is None:
            return
        limits = {
            "answer/address": self.budgets.per_address_hour, "answer/domain": self.budgets.per_domain_minute,
            "answer/all": self.budgets.total_minute, "notice/sender": self.budgets.notices_per_sender_hour,
            "answer/repeat": self.budgets.same_mail_week, "notice/words": self.budgets.same_words_day,
            "notice/ticket": self.budgets.per_ticket_hour, "reopen/ticket": self.budgets.reopens_per_day,
            "breaker/": 1, "breaker": self.budgets.loop_incidents_per_day,
        }  # fmt: skip
        limit = next(limit for name, limit in limits.items() if new["key"].startswith(name))
        demand(new["used"] <= limit, "a budget was exceeded", new["key"], new["used"])

    def _answered(self, row: Row) -> None:
        """One acknowledgement a ticket, and never more in a window than the budget, counted anew from the rows."""
        demand(row["ticket_id"] not in self.acknowledged, "I3 a second acknowledgement", row["ticket_number"])
        self.acknowledged[row["ticket_id"]] = row["id"]
        if row["state"] == "suppressed":
            return
        recipient = row["recipient"].lower()
        for key, window, limit in (
            (recipient, row["created_at"] // HOUR * HOUR, self.budgets.per_address_hour),
            (recipient.rpartition("@")[2], row["created_at"] // MINUTE * MINUTE, self.budgets.per_domain_minute),
            ("", row["created_at"] // MINUTE * MINUTE, self.budgets.total_minute),
        ):
            self.answers[(key, window)] += 1
            demand(self.answers[(key, window)] <= limit, "I3 more answers than the budget", key, self.answers[(key, window)])

    # ------------------------------------------------------------ I2: rows of the outbox, and the relay

    def _outbox(self, old: Row | None, new: Row | None) -> None:
        demand(new is not None, "I2 a row of the outbox went away")
        assert new is not None
        self.rows[new["id"]] = new
        self.dead += (new["state"] == "dead") - (old is not None and old["state"] == "dead")
        (self.unsettled.add if new["state"] in ("queued", "sending") else self.unsettled.discard)(new["id"])
        if old is None:
            self.by_message_id[new["message_id"]] = new["id"]
            self.by_reader[(new["ticket_id"], new["recipient"])].add(new["id"])
            if new["event"] == "acknowledged":
                self._answered(new)
            return
        demand(new["state"] in OUTBOX_MOVES[old["state"]], "I2 a row went where it may not", new["id"], old["state"], new["state"])
        demand(all(old[name] == new[name] for name in FIXED), "I2 a notification changed after it was made", new["id"])
        demand(new["fence"] >= old["fence"], "I2 a fence fell", new["id"])
        demand(old["reverse_path"] in (None, new["reverse_path"]), "I2 rendered twice", new["id"])
        if new["state"] == "sending":
            self.sending_life[new["id"]] = self.relay.life
            demand(new["lease_until"] and new["claimed_by"], "I2 sent without lease or claim", new["id"])
        if new["state"] == "sent" and old["state"] != "sent":
            demand(self.relay.copies.get(new["message_id"]), "I2 recorded as sent, the relay never took it", new["id"])

    def _outbox_raw(self, old: Row | None, new: Row | None) -> None:
        if old is not None and new is not None:
            demand(old["chunk"] == new["chunk"], "I2 the bytes of a mail changed", new["outbox_id"])
        elif new is not None:
            demand(new["outbox_id"] not in self.outbox_sha, "I2 a mail was written anew", new["outbox_id"])
            self.outbox_sha[new["outbox_id"]] = hashlib.sha256(new["chunk"]).hexdigest()

    def _order(self, found: list[Changed]) -> None:
        """Reordered: nobody claims a mail while an earlier one of the same ticket and reader is due within 15 minutes."""
        for each in found:
            if each.table != "outbox" or each.new is None or each.old is None:
                continue
            if each.new["fence"] == each.old["fence"] or each.new["claimed_by"] is None:
                continue
            for other in self.by_reader[(each.new["ticket_id"], each.new["recipient"])] & self.unsettled:
                row = self.rows[other]
                late = row["due_at"] > self.wall() + ORDER_WINDOW - MINUTE
                demand(other >= each.new["id"] or late, "I11 out of order", each.new["id"], "before", other)

    def copy(self, copy: Copy, body: bytes) -> None:
        """The relay took a mail."""
        row = self.rows.get(self.by_message_id.get(copy.message_id, 0))
        demand(row is not None, "I2 a phantom mail: no row has this Message-ID", copy.message_id)
        assert row is not None
        demand(row["state"] == "sending", "I2 sent without a record of it before", row["id"], row["state"])
        demand(copy.recipient == row["recipient"], "I2 sent to somebody else", copy.recipient)
        demand(copy.sha256 == self.outbox_sha.get(row["id"]), "I2 other bytes than the stored ones", row["id"])
        copies = self.relay.copies[copy.message_id]
        for earlier in copies[:-1]:
            told = earlier.answered and earlier.life == copy.life and not getattr(self, "lost_words", False)
            demand(not told, "I2 a second copy though the relay's yes was heard and nobody crashed", row["id"])

    # ------------------------------------------------------------ what waits

    def waiting(self) -> dict[str, Any]:
        """What has not ended yet."""
        pending = [row["id"] for row in self.mirror.tables["inbox"].values() if row["state"] == "pending"]
        return {name: many for name, many in (("inbox", pending), ("outbox", sorted(self.unsettled))) if many}
