"""The tables that belong to no package alone: the desk, its teams, agents and services, logging, metrics and the process."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Words = tuple[str, ...]
Key = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=64)]


class DeskSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[desk]`: how the desk calls itself."""

    name: Annotated[str, Meta(description="Name of the desk, in every mail it sends.", min_length=1, max_length=100)] = "Service Desk"
    address: Annotated[
        str, Meta(description="Address of the desk: From of its mails, and where replies go.", pattern="^[^@\\s]+@[^@\\s]+$")
    ] = "desk@localhost"
    domain: Annotated[str, Meta(description="Domain in the Message-IDs we mint; empty: the domain of the address.")] = ""


class TeamSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[team]]`: a team. Mail to one of its addresses makes its tickets."""

    key: Annotated[Key, Meta(description="Key of the team, used by rules and services; unique and never changed.")]
    name: Annotated[str, Meta(description="Name as people read it.", min_length=1, max_length=100)]
    addresses: Annotated[Words, Meta(description="Help desk addresses the team answers for.")] = ()
    notify: Annotated[
        str, Meta(description="Where notices for the team go; empty: to each of its agents, who can answer their own copy by mail.")
    ] = ""


class AgentSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[agent]]`: a person who works tickets."""

    key: Annotated[Key, Meta(description="Key of the agent; unique and never changed.")]
    name: Annotated[str, Meta(description="Name as people read it.", min_length=1, max_length=100)]
    address: Annotated[str, Meta(description="Mail address of the agent.", pattern="^[^@\\s]+@[^@\\s]+$")]
    aliases: Annotated[Words, Meta(description="Other addresses the agent writes from.")] = ()
    teams: Annotated[Words, Meta(description="Keys of the agent's teams.")] = ()
    role: Annotated[Literal["agent", "auditor"], Meta(description="agent works tickets; auditor reads and never acts.")] = "agent"
    organisations: Annotated[
        Words, Meta(description="Keys of organisations: through the API the agent sees only tickets of their people; empty: all.")
    ] = ()


class ServiceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[service]]`: a service of the catalogue."""

    key: Annotated[Key, Meta(description="Key of the service, used by rules; unique and never changed.")]
    name: Annotated[str, Meta(description="Name as people read it.", min_length=1, max_length=100)]
    team: Annotated[str, Meta(description="Key of the team that supports it.")] = ""
    tier: Annotated[int, Meta(description="Criticality, 1 (most critical) to 4; bounds the impact of its alerts.", ge=1, le=4)] = 3


class LogSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[log]`: the log on stderr."""

    level: Annotated[str, Meta(description="Least level logged: debug, info, warning, error.", pattern="^(debug|info|warning|error)$")] = (
        "info"
    )
    format: Annotated[str, Meta(description="auto (logfmt on a terminal, JSON else), logfmt or json.", pattern="^(auto|logfmt|json)$")] = (
        "auto"
    )


class ProcessSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[process]`: how the process ends and where it is watched."""

    drain_seconds: Annotated[float, Meta(description="After SIGTERM, work at hand may take this long, in seconds.", gt=0)] = 10.0
    metrics_listen: Annotated[
        str, Meta(description='Bind /healthz, /readyz and /metrics apart, as "address:port"; empty: with the other HTTP doors.')
    ] = ""
