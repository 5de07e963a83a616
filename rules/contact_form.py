"""Mails that a contact form sends for somebody: the person is in Reply-To, and the form is in From."""

import msgspec

from itsm.address import canonical
from itsm.signal import UserMessage


def from_the_person(message: UserMessage, forms: tuple[str, ...]) -> UserMessage:
    """The mail as its writer's, where its From is a configured form and Reply-To names one address; any other as it is.

    Whoever fills in a form may write any address there, so what the mail server found out about the form's own is dropped: the mail
    has the trust of a stranger (level 0).
    """
    if message.sender is None or len(message.reply_to) != 1:
        return message
    form, person = canonical(message.sender.address), message.reply_to[0]
    if form not in {canonical(each) for each in forms} or canonical(person.address) == form:
        return message
    told = f"a contact form sent it ({form}); its Reply-To is taken for the sender"
    return msgspec.structs.replace(message, sender=person, authentication=(), signed_by="", defects=(*message.defects, told))
