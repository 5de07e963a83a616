"""Complaints (RFC 5965, and what came before it): their type, whose mailbox it was, and which mail it was about."""

from collections.abc import Sequence

from intake.mail.addresses import addr_spec, addresses
from intake.mail.bounce import MAX_STATUS_BYTES, RETURNED_TYPES, blocks
from intake.mail.charset import clean
from intake.mail.header import Header
from intake.mail.identifiers import message_identifier
from intake.mail.walk import MAX_HEADER_BYTES, Leaf, walk
from itsm.signal import FeedbackReport

FEEDBACK_TYPE = "message/feedback-report"
MAX_RECIPIENTS = 50
MAX_TYPE_CHARACTERS = 60
_RECIPIENT_FIELDS = ("original-rcpt-to", "removal-recipient", "redacted-address")


def feedback_of(leaves: Sequence[Leaf]) -> FeedbackReport:
    """The report in the parts of a complaint; one without the standard's part is taken for `abuse`, as its wording says."""
    report = next((each for each in leaves if each.content_type == FEEDBACK_TYPE), None)
    said = [block for block in blocks(report.octets()[0][:MAX_STATUS_BYTES]) if block] if report else []
    fields = said[0] if said else {}
    returned = next((each for each in leaves if each.content_type in RETURNED_TYPES), None)
    header = walk(returned.octets()[0][:MAX_HEADER_BYTES]).header if returned else Header(())
    named = [addr_spec(fields[name].rpartition(";")[2].strip()) for name in _RECIPIENT_FIELDS if name in fields]
    written = [each for each in named if each] or [each.address for each in addresses(header.raw("to"))]
    return FeedbackReport(
        feedback_type=clean(fields.get("feedback-type", "abuse")).strip().lower()[:MAX_TYPE_CHARACTERS] or "abuse",
        recipients=tuple(dict.fromkeys(clean(each) for each in written[:MAX_RECIPIENTS])),
        original_message_id=message_identifier(header.raw("message-id")),
    )
