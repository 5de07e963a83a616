"""`triaged verify`: do the conservation laws add up, does the history hold together, is the file whole."""

import click

from store import totals, verify
from store.totals import Balance
from store.transaction import Tx
from triaged.access import opened
from triaged.options import config_option, json_option
from triaged.output import data, data_json, talk

MAX_SHOWN = 1_000


@click.command("verify", short_help="Check the conservation laws and the history.")
@config_option
@json_option
def command(as_json: bool) -> int:
    """Check that nothing was lost: both conservation laws, every hash chain, every reference, and the database file.

    Reads the whole store in one consistent view, changes nothing, and may run beside the daemon. Exit code 1 when anything is wrong.
    """

    def work(tx: Tx) -> tuple[Balance, list[str], bool]:
        found: list[str] = []
        for sentence in verify.findings(tx):
            if len(found) >= MAX_SHOWN:
                return totals.balance(tx), found, True
            found.append(sentence)
        return totals.balance(tx), found, False

    with opened() as (store, _):
        balance, found, cut = store.read(work)
    if as_json:
        data_json({"ok": not found, "balance": balance, "findings": found, "cut": cut})
    else:
        data(laws(balance))
        for sentence in found:
            data(f"FAIL  {sentence}")
        talk(
            "All is well."
            if not found
            else f"{len(found)}{' and more' if cut else ''} findings; keep a copy of the data directory before you change anything."
        )
    return 1 if found else 0


def laws(balance: Balance) -> str:
    """Both laws as sums that a person can check."""
    outcomes = {name: count for name, count in balance.outcomes.items() if count}
    ended = " + ".join(f"{count} {name}" for name, count in outcomes.items()) or "0"
    waiting = f" + {balance.parts_pending} waiting" if balance.parts_pending else ""
    return (
        f"{_mark(balance.envelopes_hold)}  envelopes: {balance.accepted} accepted = {balance.pending} pending + {balance.done} done "
        f"+ {balance.quarantined} quarantined\n"
        f"{_mark(balance.parts_hold)}  parts:     {balance.parts} = {ended}{waiting}"
    )


def _mark(holds: bool) -> str:
    return "ok  " if holds else "FAIL"
