"""What must be proved before a door may act in somebody's name (design 6); which acts they may do is in `itsm.lifecycle`."""

from itsm.act import Actor, ActorKind

LEAST_TRUST: dict[ActorKind, int] = {
    ActorKind.REQUESTER: 1,  # authenticated mail, or a login
    ActorKind.AGENT: 2,  # a reply token bound to agent and ticket, or an API token
    ActorKind.OPERATOR: 2,  # the API token made at the first start; a CLI verb that holds the data directory has 3
    ActorKind.SYSTEM: 0,  # a timer or a rule: nobody outside can be one
}


def refusal(actor: Actor) -> str:
    """Why this actor may not act at all, "" when it may. A source and anyone never act."""
    least = LEAST_TRUST.get(actor.kind)
    if least is None:
        return f"{actor.kind.value} may not act on tickets"
    if actor.trust < least:
        return f"to act as {actor.kind.value} takes trust level {least}, this has {actor.trust}"
    return ""
