"""`triaged verify`: do the conservation laws add up, does the history hold together, is the file whole."""

import click

from store import totals, verify
from store.totals import Balance
from store.transaction import Tx
from triaged.access import opened
from triaged.options import config_option, json_option
from triaged.output import data, data_json, talk
from triaged.tables import laws

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
