"""What is wrong with a configuration: where, what, and what to do about it."""

from collections.abc import Iterable

import msgspec

from itsm.errors import Permanent


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to mend. `file` is "" without a file, `line` None where the locator is unsure; `path` is then all there is."""

    file: str = ""
    line: int | None = None
    path: str = ""
    message: str
    hint: str = ""

    @property
    def text(self) -> str:
        """`file:line: path: message (hint)`, as editors and people read it."""
        place = f"{self.file}:{self.line}" if self.file and self.line else self.file
        parts = [part for part in (place, self.path, self.message) if part]
        return ": ".join(parts) + (f" ({self.hint})" if self.hint else "")


class ConfigurationInvalid(Permanent):
    """The configuration is not valid."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        """Keep every finding; the message holds one a line."""
        self.findings = tuple(findings)
        super().__init__("\n".join(finding.text for finding in self.findings))
