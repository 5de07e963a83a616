"""How a check of `triaged doctor` ended."""

import msgspec

OK, WARN, FAIL = "ok", "WARN", "FAIL"


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One check: what was looked at, how it is, and what to do when it is not well."""

    state: str
    name: str
    message: str
    advice: str = ""
