"""A mail as a person reads it: who, to whom, about what, and the words."""

from intake.mail.parse import parse_mail
from itsm.address import Address
from itsm.signal import DeliveryReport


def readable(raw: bytes) -> str:
    """From, To, Subject and the text of a mail, read by our own parser."""
    parsed = parse_mail(raw)
    message = parsed.message if isinstance(parsed, DeliveryReport) else parsed
    head = [
        f"From:    {_person(message.sender)}" if message.sender else "From:    nobody",
        f"To:      {', '.join(_person(each) for each in message.to)}",
        f"Subject: {message.subject}",
    ]
    return "\n".join([*head, "", message.text.strip()])


def _person(address: Address) -> str:
    return f"{address.name} <{address.address}>" if address.name else address.address
