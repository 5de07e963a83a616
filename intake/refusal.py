"""Why a configuration of a door is refused at start."""

import msgspec


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Where, what, and what to do. `path` is dotted: `intake.source.0.name`."""

    path: str
    message: str
    hint: str
