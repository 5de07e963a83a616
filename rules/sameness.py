"""Whether a mail was here before (design 4, sameness)."""

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from itsm.signal import UserMessage
from rules.snapshot import SeenBefore

FALLBACK_WINDOW = timedelta(minutes=30)


class Sameness(StrEnum):
    """How a mail relates to one that was here before."""

    NEW = "new"
    SAME = "same"  # same Message-ID, same content
    SECOND_FORM = "second_form"  # same Message-ID and participants, another hash: a list footer, a rewritten part
    SAME_BY_CONTENT = "same_by_content"  # no Message-ID; same From, Subject, Date and content within 30 minutes
    REUSED_ID = "reused_id"  # same Message-ID, other content and other people: its own ticket, link suggested


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """The relation and the earlier mail it is about."""

    sameness: Sameness
    earlier: SeenBefore | None = None

    @property
    def duplicate(self) -> bool:
        """Whether the mail makes no effect of its own."""
        return self.sameness in (Sameness.SAME, Sameness.SECOND_FORM, Sameness.SAME_BY_CONTENT)


def same(message: UserMessage, participants_sha256: bytes, seen: tuple[SeenBefore, ...], received_at: datetime) -> Judgement:
    """Compare a mail with those seen under its key, oldest first."""
    if message.message_id is None:
        for earlier in seen:
            if abs(received_at - earlier.received_at) <= FALLBACK_WINDOW:
                return Judgement(sameness=Sameness.SAME_BY_CONTENT, earlier=earlier)
        return Judgement(sameness=Sameness.NEW)
    for earlier in seen:
        if earlier.content_sha256 == message.content_sha256:
            return Judgement(sameness=Sameness.SAME, earlier=earlier)
    for earlier in seen:
        if earlier.participants_sha256 == participants_sha256:
            return Judgement(sameness=Sameness.SECOND_FORM, earlier=earlier)
    if seen:
        return Judgement(sameness=Sameness.REUSED_ID, earlier=seen[0])
    return Judgement(sameness=Sameness.NEW)
