"""What is asked of the API, as types: the parameters of lists, the bodies of acts, and one request as its endpoint sees it."""

from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta

from casework.context import Casework
from itsm.act import Verb
from itsm.errors import MalformedInput, Permanent
from itsm.identifier import inbox_text, parse_inbox
from itsm.notification import DeliveryState
from itsm.permission import Action, Owned, Principal, Verdict, may
from itsm.ticket import Ticket, TicketType, parse_number

Query = TypeVar("Query", bound=msgspec.Struct)
Body = TypeVar("Body")
MAX_LIMIT = 200
NUL_ESCAPED = b"\\u"  # JSON writes a NUL and half a surrogate pair as an escape, if at all
NO_TEXT = "a text holds a NUL character or half a surrogate pair, which no text may hold"
TicketStatus = Literal["open", "new", "in_progress", "pending", "resolved", "closed", "cancelled"]
EnvelopeState = Literal["pending", "done", "quarantined"]
Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT, description="Rows of a page, at most.")]
CursorText = Annotated[str, Meta(max_length=32, description="Where the page before ended.")]
Word = Annotated[str, Meta(max_length=500)]


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A query or a body; what it does not know it refuses."""


class Nothing(Asked, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """No parameters, or no body."""


class Paged(Asked, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters that every list takes."""

    cursor: CursorText | None = None
    limit: Limit | None = None


class TicketQuery(Paged, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which tickets."""

    q: (
        Annotated[str, Meta(max_length=500, description="Only with an entry that has all these words; `word*` finds what begins so.")]
        | None
    ) = None
    type: Annotated[TicketType, Meta(description="Only this type.")] | None = None
    status: Annotated[TicketStatus, Meta(description="Only this state; `open` is new, in progress and pending.")] | None = None
    requester: Annotated[str, Meta(max_length=320, description="Only of this person, by address.")] | None = None


class MessageQuery(Asked, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The envelope of a mail."""

    reverse_path: Annotated[str, Meta(max_length=320, description="Reverse-path of its envelope; empty for a bounce.")] | None = None


class InboxQuery(Paged, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which envelopes."""

    message_id: Annotated[str, Meta(max_length=5_000, description="Only mails with this Message-ID.")] | None = None
    state: Annotated[EnvelopeState, Meta(description="Only in this state, where no Message-ID is given.")] = "quarantined"


class AlertQuery(Paged, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which open alerts."""

    source: Annotated[Word, Meta(description="Only of this source.")] | None = None


class OutboxQuery(Paged, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which notifications."""

    state: Annotated[DeliveryState, Meta(description="Only in this state.")] | None = None


class ActBody(Asked, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One act on a ticket. `arguments` by name, as `triaged ticket act --set` takes them."""

    verb: Verb
    text: str = ""
    arguments: dict[str, str] = {}
    expected_version: Annotated[int, Meta(description="Refuse when the ticket is not at this version.")] | None = None


class EnterBody(Asked, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A ticket entered for somebody who called or came by."""

    subject: str
    text: str = ""
    requester: Annotated[str, Meta(description="Mail address of the requester, who is told the number.")] = ""
    requester_name: str = ""
    type: str = ""
    team: str = ""
    service: str = ""
    impact: Annotated[int, Meta(description="1 (highest) to 3; 0 for the usual.")] = 0
    urgency: Annotated[int, Meta(description="1 (highest) to 3; 0 for the usual.")] = 0
    acknowledge: bool = True


class DropBody(Asked, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a row is ended; it is kept."""

    reason: Annotated[str, Meta(min_length=1, max_length=300)]


class Ask(msgspec.Struct, Generic[Query, Body], frozen=True, kw_only=True):
    """One request: who asks, the words of the path, what was asked. `raw` is the body where it is bytes."""

    principal: Principal
    action: Action
    path: dict[str, str]
    query: Query
    body: Body
    raw: bytes
    page_limit: int
    casework: Casework

    def sees(self, thing: Owned | Ticket) -> bool:
        """Whether this may be done to the thing; if not it is as if it were not there."""
        return may(self.principal, self.action, thing) is Verdict.YES

    def ticket_number(self) -> int:
        """The number in the path; raises Permanent (404) for what can be none."""
        number = parse_number(self.path["number"])
        if number is None:
            raise Permanent(f"{self.path['number']!r} is no ticket number; they look like INC-1042", status=404)
        return number

    def inbox_id(self) -> int:
        """The envelope in the path; raises Permanent (404) for what can be none."""
        found = parse_inbox(self.path["id"])
        if found is None:
            raise Permanent(f"{self.path['id']!r} is no inbox id; they look like {inbox_text(1)}", status=404)
        return found

    def outbox_id(self) -> int:
        """The notification in the path; raises Permanent (404) for what can be none."""
        written = self.path["id"]
        if not (written.isascii() and written.isdigit() and len(written) <= 18):
            raise Permanent(f"{written!r} is no id of a notification; they are numbers", status=404)
        return int(written)


AnyAsk = Ask[Any, Any]


def decoded_query(given: dict[str, str], type_: type[Query]) -> Query:
    """The parameters as their type; raises MalformedInput (400) that names the one that is wrong."""
    try:
        found = msgspec.convert(given, type_, strict=False)
        words = {
            name: each for name, each in given.items() if getattr(found, name, each) is None
        }  # `null`, read as nothing: here it is a word
        if words:
            plain = msgspec.convert(words, type_)
            found = msgspec.structs.replace(found, **{name: getattr(plain, name) for name in words})
    except msgspec.ValidationError as error:
        known = ", ".join(getattr(type_, "__struct_fields__", ())) or "none"
        raise MalformedInput(f"the parameters are not right: {error}; known: {known}") from error
    if not all(map(_is_text, given.values())):
        raise MalformedInput(f"the parameters are not right: {NO_TEXT}")
    return found


def decoded_body(raw: bytes, type_: type[Body], hint: str) -> Body:
    """The JSON body as its type; raises MalformedInput (422) with a hint."""
    try:
        found = msgspec.json.decode(raw or b"{}", type=type_)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedInput(f"the body is not what this takes: {error}; {hint}", status=422) from error
    if NUL_ESCAPED in raw and not _holds_text(msgspec.to_builtins(found)):
        raise MalformedInput(f"the body is not what this takes: {NO_TEXT}", status=422)
    return found


def _holds_text(value: Any) -> bool:
    """Whether every text of a body, two levels deep as bodies are, may stand in the store."""
    if isinstance(value, dict):
        return all(_holds_text(each) for pair in value.items() for each in pair)
    return not isinstance(value, str) or _is_text(value)


def _is_text(text: str) -> bool:
    """Text of ours holds no NUL and no surrogates (design 5): a database takes neither."""
    return "\0" not in text and not any("\ud800" <= each <= "\udfff" for each in text)
