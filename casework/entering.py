"""`enter`: a ticket entered on behalf of somebody, for an interactive door, in one transaction."""

from casework.apply import Applier
from casework.context import Casework
from casework.workspace import Workspace
from itsm.act import Entered
from itsm.address import canonical
from itsm.errors import Refused
from itsm.lifecycle import Illegal
from itsm.ticket import Ticket
from rules.entering import decide_entered
from store import people
from store.transaction import Tx


def enter(tx: Tx, entered: Entered, casework: Casework) -> Ticket:
    """Open it and return it; raises Refused with the reason."""
    person = people.by_addresses(tx, [entered.requester]).get(canonical(entered.requester)) if entered.requester else None
    decision = decide_entered(entered, person=person, ruleset=casework.ruleset, desk=casework.desk, now=tx.now)
    if isinstance(decision, Illegal):
        raise Refused(decision.reason)
    workspace = Workspace(tx.now)
    applier = Applier(tx, workspace, casework, expected=1)
    ticket_id = applier.apply(decision, None, kind="act")
    applier.flush()
    assert ticket_id is not None, "the decision opens a ticket"
    return workspace.tickets[ticket_id]
