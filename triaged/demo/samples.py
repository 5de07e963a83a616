"""What the demonstration sends, in order, and what must become of each."""

from collections.abc import Mapping
from importlib import resources

import msgspec

from itsm.envelope import Outcome

DESK = "help@localhost"
ACKNOWLEDGEMENT_MARK, STARTED_MARK, ENDED_MARK = "@@ACKNOWLEDGEMENT@@", "@@STARTED@@", "@@ENDED@@"


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to send. `sender` is the reverse-path of a mail, None for an alert."""

    file: str
    told: str
    sender: str | None
    expected: Outcome
    note: str = ""


MAILS = (
    Sample(file="report.eml", told="Ana reports that the VPN drops", sender="ana@example.org", expected=Outcome.CREATED),
    Sample(
        file="report.eml",
        told="her mail server delivers it twice",
        sender="ana@example.org",
        expected=Outcome.DUPLICATE,
        note="one mail, one effect",
    ),
    Sample(
        file="reply.eml",
        told="Ana answers our acknowledgement",
        sender="ana@example.org",
        expected=Outcome.APPENDED,
        note="found by its thread",
    ),
    Sample(
        file="out-of-office.eml",
        told="her out-of-office answers it too",
        sender="",
        expected=Outcome.APPENDED,
        note="kept, never answered: no loop",
    ),
    Sample(file="german.eml", told="Jörg writes in Latin-1, with a photo", sender="joerg@example.org", expected=Outcome.CREATED),
    Sample(file="request.eml", told="Mei asks for access", sender="mei@example.org", expected=Outcome.CREATED, note="a service request"),
    Sample(
        file="broken.eml",
        told="Priya's mail is broken MIME",
        sender="priya@example.org",
        expected=Outcome.CREATED,
        note="kept, with its defects",
    ),
)
ALERTS = (
    Sample(file="firing.json", told="Alertmanager: a disk will fill", sender=None, expected=Outcome.CREATED),
    Sample(file="firing.json", told="the same again", sender=None, expected=Outcome.DUPLICATE, note="a thousand copies, one incident"),
    Sample(file="resolved.json", told="it is resolved", sender=None, expected=Outcome.APPENDED),
    Sample(file="firing.json", told="a late copy, out of order", sender=None, expected=Outcome.DUPLICATE, note="does not open it again"),
)


def content(sample: Sample, marks: Mapping[str, str]) -> bytes:
    """The bytes of a sample with its marks filled in."""
    folder = "mails" if sample.sender is not None else "alerts"
    raw = resources.files("triaged.demo").joinpath(folder, sample.file).read_bytes()
    for mark, text in marks.items():
        raw = raw.replace(mark.encode(), text.encode())
    return raw
