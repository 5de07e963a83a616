"""The words of an invitation (RFC 5545), for a mail that says nothing else."""

from intake.mail.charset import clean, decode

MAX_BYTES = 65_536
MAX_LINES = 2_000
FIELDS = ("SUMMARY", "DTSTART", "DTEND", "LOCATION", "ORGANIZER", "DESCRIPTION")
_NAMES = {"SUMMARY": "", "DTSTART": "Start: ", "DTEND": "End: ", "LOCATION": "Place: ", "ORGANIZER": "Organizer: ", "DESCRIPTION": ""}


def words_of_event(octets: bytes) -> str:
    """Summary, times, place, organizer and description of the first event, as written; "" when there is none."""
    text = clean(decode(octets[:MAX_BYTES], "utf-8", guess=False)[0])
    unfolded = text.replace("\r\n", "\n").replace("\n ", "").replace("\n\t", "")  # RFC 5545 3.1
    found: dict[str, str] = {}
    inside = False
    for line in unfolded.split("\n")[:MAX_LINES]:
        head, _, value = line.partition(":")
        name = head.partition(";")[0].strip().upper()
        if name == "BEGIN":
            inside = value.strip().upper() == "VEVENT"
        elif name == "END" and inside:
            break
        elif inside and name in FIELDS and value.strip():
            found.setdefault(name, _unescaped(value.strip()))
    return "\n".join(_NAMES[name] + found[name] for name in FIELDS if name in found)


def _unescaped(value: str) -> str:
    """RFC 5545 3.3.11."""
    return value.replace("\\n", "\n").replace("\\N", "\n").replace("\\,", ",").replace("\\;", ";").replace("\\\\", "\\")
