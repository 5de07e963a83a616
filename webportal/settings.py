"""The `[webportal]` table."""

from typing import Annotated

import msgspec
from msgspec import Meta


class WebportalSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[webportal]`: the JSON API."""

    page_limit: Annotated[int, Meta(description="Rows a page of a list has at most.", ge=1, le=200)] = 50
    body_limit_bytes: Annotated[int, Meta(description="Largest JSON body of an act, in bytes.", ge=1024)] = 262_144
    raw_limit_bytes: Annotated[int, Meta(description="Largest body of new bytes for a quarantined envelope, in bytes.", ge=1024)] = (
        26_214_400
    )
    body_timeout_seconds: Annotated[float, Meta(description="A body must have come within this many seconds.", gt=0)] = 30.0
