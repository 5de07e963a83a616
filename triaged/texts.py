"""The texts of mails that the desk wrote itself, for `triaged check` and `triaged doctor`."""

from collections.abc import Iterator

from notifier.own_texts import unusable
from triaged.configuration import Configuration
from triaged.findings import Finding


def failing_texts(configuration: Configuration) -> Iterator[Finding]:
    """What is wrong with them; the daemon starts all the same and sends our text in the place of such a one."""
    for file, because in unusable(configuration.notifier.templates):
        yield Finding(file=str(file), path="notifier.templates", message=because)
