"""Who did not get what was sent: RFC 3464 first, then the wording of mail systems, then what was returned. Never raises."""

import logging
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from email import message_from_bytes
from email.policy import compat32
from itertools import islice

import msgspec
from flufl.bounce import all_failures

from intake.mail.addresses import addr_spec, addresses
from intake.mail.charset import clean, decode
from intake.mail.header import text_of
from intake.mail.reason import action_of, permanent_of, reason_of, status_in
from intake.mail.walk import Leaf
from itsm.address import MAX_ADDRESS_CHARACTERS
from itsm.signal import ReportedRecipient

MAX_RECIPIENTS = 200
MAX_SCANNED_BYTES = 65_536
MAX_SCANNED_LINES = 1_000
MAX_SAID_LINES = 300
MAX_ABOUT_CHARACTERS = 8_000
MAX_SCANNED_LINE = 500
MAX_SCANNED_NESTING = 40
MAX_STATUS_BYTES = 1024 * 1024
MAX_DIAGNOSTIC_CHARACTERS = 1_000
LINES_ABOUT = 6
MAX_ODD_ADDRESSES = 20  # recipients that are no plain address: looked for in each line
STATUS_TYPES = frozenset({"message/delivery-status", "message/global-delivery-status"})
RETURNED_TYPES = frozenset({"message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers"})
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\-]{1,64}@[A-Za-z0-9.\-]{1,255}")
_AT_LINE_START = re.compile(r"(?:[<\"(>*\-]|\d{3}\s|\s|to:|rcpt|recipient|address){0,8}" + _ADDRESS.pattern, re.IGNORECASE)
_RETURNED_FIELD = re.compile(
    r"(?:received|return-path|message-id|mime-version|delivered-to|dkim-signature|x-[a-z\-]{2,40}):", re.IGNORECASE
)
_RETURNED_RULE = re.compile(
    r"(?i)[-\s>*=]{0,80}(?:(?:the )?original message|below (?:this line )?is a copy|this is a copy|returned (?:message|mail)|unsent message|included is a copy"
    r"|the following is a copy|message headers? follow|the first \d+ lines|begin(?:ning)? of|copy of (?:your|the) message|your original message)"
)
_NOBODY = re.compile(r"(?i)(?:postmaster|mailer-daemon|abuse|support|helpdesk)@")
_UNDELIVERED = re.compile(
    r"(?i)(?:not|n't|un(?:able to)?|fail(?:ed)?(?: to)?|error(?:s)?|problem|trouble) ?(?:yet )?(?:be |been |being )?(?:deliver)|deliver\w* (?:was |has |to .{1,80} )?(?:fail|error|problem"
    r"|delay|abort|impossible)|permanent (?:fatal )?(?:error|failure)|user unknown|mail system|returned (?:to|mail)|undeliverable|nicht zugestellt|zustellung"
)
logging.getLogger("flufl.bounce").disabled = True  # its detectors log a traceback for each mail that trips them


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """The recipients found, and whether a standard report or a wording of a mail system names them, not merely a guess."""

    recipients: tuple[ReportedRecipient, ...] = ()
    certain: bool = False


def failed_recipients(raw: bytes, leaves: Sequence[Leaf], text: str, *, x_failed: str | None, own: Sequence[str]) -> Failed:
    """Whom a report names. `own` are addresses that are not meant: its sender and whom it was sent to."""
    said = _said(text)
    found = tuple(islice(_by_standard(leaves), MAX_RECIPIENTS))
    if found:
        names = [each.address for each in found]
        about = _about_each(said, names)
        return Failed(recipients=tuple(_completed(each, about) for each in found), certain=True)
    named = [each.strip() for each in x_failed.split(",")] if x_failed else []
    named = _distinct([*named, *_by_wording(raw)])
    certain = bool(named)
    if not named:
        mine = {each.lower() for each in own}
        everything = " ".join(said)
        certain = _UNDELIVERED.search(everything) is not None
        named = (
            _distinct(_by_line(said), mine)
            or _distinct(_ADDRESS.findall(everything), mine)[:1]
            or _distinct(_returned_to(leaves, text), mine)
        )
    about = _about_each(said, named)
    recipients = tuple(_completed(ReportedRecipient(address=each), about) for each in named)
    return Failed(recipients=recipients, certain=certain and bool(recipients))


def _distinct(written: Iterable[str], own: Collection[str] = ()) -> list[str]:
    """Addresses that are some, each once, without our own; those of postmasters only when there is no other."""
    found: dict[str, str] = {}
    for each in written:
        address = addr_spec(each.strip().rstrip("."))
        if address and address.lower() not in own:
            found.setdefault(address.lower(), clean(address))
    people = [each for each in found.values() if not _NOBODY.match(each)]
    return (people or list(found.values()))[:MAX_RECIPIENTS]


def _by_standard(leaves: Sequence[Leaf]) -> Iterator[ReportedRecipient]:
    """The per-recipient fields (RFC 3464 2.3), also where a broken report has them in a text."""
    for leaf in leaves:
        is_report = leaf.content_type in STATUS_TYPES
        if not is_report and not leaf.content_type.startswith("text/"):
            continue
        octets = leaf.octets()[0][:MAX_STATUS_BYTES]
        if is_report or b"final-recipient:" in octets[:MAX_SCANNED_BYTES].lower():
            seen: set[str] = set()
            for block in blocks(octets):
                recipient = _recipient(block)
                if recipient and recipient.address.lower() not in seen:
                    seen.add(recipient.address.lower())
                    yield recipient


def blocks(octets: bytes) -> Iterator[dict[str, str]]:
    """Groups of fields, unfolded, first value first."""
    text = decode(octets, None, guess=False)[0].replace("\r\n", "\n").replace("\n ", " ").replace("\n\t", " ")
    block: dict[str, str] = {}
    for line in text.split("\n"):
        name, colon, value = line.partition(":")
        if not line.strip():
            yield block
            block = {}
        elif colon:
            block.setdefault(name.strip().lower(), value.strip())
    yield block


def _recipient(block: dict[str, str]) -> ReportedRecipient | None:
    final, original = (
        _typed(block.get("final-recipient")),
        _typed(block.get("original-recipient")) or _typed(block.get("x-actual-recipient")),
    )
    written = final if "@" in final or not original else original
    if not written:
        return None
    return ReportedRecipient(
        address=written[:MAX_ADDRESS_CHARACTERS],
        action=action_of(block.get("action", "")),
        status=status_in(block.get("status", "")),
        diagnostic=clean(text_of(block.get("diagnostic-code", "")[: 4 * MAX_DIAGNOSTIC_CHARACTERS], guess=False))[
            :MAX_DIAGNOSTIC_CHARACTERS
        ]
        or None,
    )


def _typed(value: str | None) -> str:
    """The address after `rfc822;` (RFC 3464 2.1.2)."""
    written = clean((value or "").rpartition(";")[2].strip())
    return written.strip("<> ") if "<" not in written[1:] else written.partition("<")[2].partition(">")[0]


def _by_wording(raw: bytes) -> list[str]:
    """flufl.bounce knows the wordings of many mail systems. It gets the beginning only, because its work grows with the lines."""
    cut = b"\n".join(line[:MAX_SCANNED_LINE] for line in raw[:MAX_SCANNED_BYTES].splitlines()[:MAX_SCANNED_LINES])
    folded = cut.lower()
    if folded.count(b"multipart/") + folded.count(b"message/") > MAX_SCANNED_NESTING or cut.count(b";") > MAX_SCANNED_LINES:
        return []
    message = message_from_bytes(cut, policy=compat32)
    if "@" not in str(message.get("from", "")):
        del message["from"]
        message["From"] = "mailer-daemon@localhost.invalid"  # one of its detectors trips over a mail without From
    try:
        temporary, permanent = all_failures(message)
    except (AttributeError, IndexError, KeyError, LookupError, TypeError, ValueError, AssertionError):
        return []
    return sorted(each.decode("utf-8", "replace") for each in {*temporary, *permanent})


def _said(text: str) -> list[str]:
    """The lines in which the mail system speaks, without the mail it returns."""
    out: list[str] = []
    for whole in text[:MAX_SCANNED_BYTES].split("\n"):
        line = whole[:MAX_SCANNED_LINE]
        if out and (_RETURNED_FIELD.match(line) or _RETURNED_RULE.match(line)):
            break
        if line.strip():
            out.append(line)
        if len(out) == MAX_SAID_LINES:
            break
    return out


def _by_line(said: Sequence[str]) -> Iterator[str]:
    """Addresses that begin a line, and what was said after RCPT TO: so do most mail systems list whom they failed."""
    for line in said:
        found = _AT_LINE_START.match(line.strip())
        if found:
            yield from _ADDRESS.findall(found[0])


def _returned_to(leaves: Sequence[Leaf], text: str) -> Iterator[str]:
    """The To field of the mail that came back, in a part of its own or at the end of the text."""
    scanned = "\n".join(
        decode(leaf.octets()[0][:MAX_SCANNED_BYTES], None, guess=False)[0] for leaf in leaves if leaf.content_type in RETURNED_TYPES
    )
    for line in f"{scanned}\n{text[:MAX_SCANNED_BYTES]}".split("\n"):
        if line[:3].lower() == "to:":
            yield from (each.address for each in addresses(line[3:]))


def _completed(recipient: ReportedRecipient, about_each: dict[str, str]) -> ReportedRecipient:
    """Status, permanence and reason from what the report says, the recipient's own diagnostic first."""
    about = about_each[recipient.address.lower()]
    diagnostic = recipient.diagnostic or ""
    status = recipient.status
    if status is None or status.endswith(".0.0"):
        better = status_in(diagnostic) or status_in(about)
        status = better if better and (status is None or better[0] == status[0]) else status
    action = recipient.action or action_of(about) or "failed"
    return ReportedRecipient(
        address=recipient.address,
        action=action,
        status=status,
        diagnostic=recipient.diagnostic or (" ".join(about.split())[: MAX_DIAGNOSTIC_CHARACTERS // 2] or None),
        permanent=permanent_of(action, status, diagnostic or about),
        reason=reason_of(diagnostic, status, about),
    )


def _about_each(said: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """What is said about each recipient: some lines from one with the address to one with another; all, when no line has it.

    One way through the lines, however many recipients there are: a report may name hundreds in as many lines.
    """
    wanted = {each.lower() for each in names}
    odd = [each for each in wanted if not _ADDRESS.fullmatch(each)][:MAX_ODD_ADDRESSES]
    lines: dict[str, list[str]] = {each: [] for each in wanted}
    left = dict[str, int]()
    for line in said if len(wanted) > 1 else ():
        folded = line.lower()
        named = wanted.intersection(_addresses_in(folded)).union(each for each in odd if each in folded)
        left = dict.fromkeys(named, LINES_ABOUT) if named else {each: more - 1 for each, more in left.items() if more > 1}
        for each in left:
            lines[each].append(line)
    everything = "\n".join(said)[:MAX_ABOUT_CHARACTERS]
    return {each: "\n".join(found)[:MAX_ABOUT_CHARACTERS] if found else everything for each, found in lines.items()}


def _addresses_in(line: str) -> Iterator[str]:
    """The addresses of a line, also without the signs around them that may belong to one: quotes, stops, `user=`."""
    for found in _ADDRESS.findall(line):
        bare = found.strip("\"'`*.-")
        yield from (found, bare, bare.rpartition("=")[2])
