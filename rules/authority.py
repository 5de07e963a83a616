"""Whether a mail speaks for an agent: a reply address bound to them and the ticket, and level 1 or more (design 6, level 2)."""

from datetime import datetime

import msgspec

from itsm.address import canonical
from itsm.grant import Role, lapsed
from itsm.service import Agent, Desk
from itsm.signal import UserMessage
from rules.authentication import TrustVerdict
from rules.snapshot import ReplyTo

LEVEL = 2


class Authority(msgspec.Struct, frozen=True, kw_only=True):
    """The level, and whom the reply address was written for; `refused` says why the mail does not act as them, "" when it does."""

    trust: TrustVerdict
    holder: Agent | None = None
    refused: str = ""


def agent_of(desk: Desk, address: str) -> Agent | None:
    """The agent with that address, or None."""
    wanted = canonical(address)
    return next((agent for agent in desk.agents if wanted and wanted in {canonical(each) for each in agent.addresses}), None)


def authority(message: UserMessage, trust: TrustVerdict, reply_to: ReplyTo, desk: Desk, now: datetime) -> Authority:
    """Judge a mail to one of our reply addresses; the token's MAC was checked before."""
    grant = reply_to.grant
    if grant is None or grant.ticket_number != reply_to.ticket_number or grant.role is not Role.AGENT:
        return Authority(trust=trust, refused="this reply address was never given to anybody")
    holder = next((agent for agent in desk.agents if agent.key == grant.person), None)
    if holder is None:
        return Authority(trust=trust, refused="this reply address was given to somebody who is no agent any more")
    ended = lapsed(grant, now)
    if ended:
        return Authority(trust=trust, holder=holder, refused=ended)
    sender = message.sender.address if message.sender else ""
    if agent_of(desk, sender) is not holder:
        return Authority(trust=trust, holder=holder, refused=f"this reply address was given to {holder.name}, and somebody else used it")
    if trust.level < 1:
        return Authority(trust=trust, holder=holder, refused=f"nobody vouches for its sender: {trust.reason}")
    raised = TrustVerdict(level=LEVEL, reason=f"{trust.reason}; and a reply address bound to {holder.key} and this ticket")
    return Authority(trust=raised, holder=holder)
