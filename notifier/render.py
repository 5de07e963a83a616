"""A notification becomes bytes: the event's text, HTML out of the same blocks, and a plain notice when a template fails (F67)."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from itsm.language import lookup
from itsm.notification import NULL_REVERSE_PATH, Event, Notification
from itsm.token import VERP_PREFIX
from notifier import blocks
from notifier.blocks import Block, Kind, fence
from notifier.compose import Draft, File, compose
from notifier.events import may_repeat, stated
from notifier.sandbox import SHELL, SHIPPED, NotATemplate, has_text, render_text, shell_environment

SUBJECT_MARK = "Subject: "
USUAL_LANGUAGE = "en"  # of texts that stand in no folder of a language
ACCENTS: dict[Event, str] = {
    Event.ACKNOWLEDGED: "#2563eb",
    Event.REPLY: "#2563eb",
    Event.UPDATED: "#2563eb",
    Event.RESOLVED: "#15803d",
    Event.REOPENED: "#b45309",
    Event.TEAM_NEW: "#6d28d9",
    Event.TEAM_REPLY: "#6d28d9",
    Event.TEAM_ALERT_OPENED: "#c81e1e",
    Event.TEAM_ALERT_RESOLVED: "#15803d",
    Event.COMMAND_RESULT: "#6d28d9",
    Event.STATUS: "#2563eb",
    Event.MERGED: "#2563eb",
}


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who writes: the desk's name and address, and the domain of reverse-paths."""

    name: str
    address: str
    domain: str


class RenderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One notification with everything its bytes depend on.

    `reply_token` goes into the reply address, "" for none. `templates` is a directory of own texts, "" for none, and `language` the reader's, "" when nobody knows; `plain` leaves every template out, after one brought a child down.
    """

    notification: Notification
    identity: Identity
    verp: str
    loop_mark: str
    date: datetime
    reply_token: str = ""
    files: tuple[File, ...] = ()
    templates: str = ""
    language: str = ""
    plain: bool = False


class Rendered(msgspec.Struct, frozen=True, kw_only=True, tag="rendered"):
    """The reverse-path ("" is the null one) and the bytes; `fallback` says why a simpler text had to be used, if so."""

    reverse_path: str
    message: bytes
    fallback: str | None = None


class Unrenderable(msgspec.Struct, frozen=True, kw_only=True, tag="unrenderable"):
    """No mail can be made of it, now or later: its address is none."""

    reason: str


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """What a mail says, before it is one, and in which language."""

    subject: str
    blocks: tuple[Block, ...]
    fallback: str | None = None
    language: str = USUAL_LANGUAGE


def render(request: RenderRequest) -> Rendered:
    """Render and compose; pure but for reading templates. Raises NoMailbox when an address is none, and nothing else."""
    told, identity = request.notification, request.identity
    facts = stated(told, {"desk_name": identity.name, "desk_address": identity.address})
    words = (
        notice(facts, "rendering crashed or took too long")
        if request.plain
        else words_of(told.event, facts, request.templates, request.language)
    )
    draft = Draft(
        event=told.event,
        subject=words.subject,
        text=blocks.plain(words.blocks),
        html=html_of(told.event, words, facts),
        desk_name=identity.name,
        desk_address=identity.address,
        recipient=told.recipient,
        recipient_name=told.recipient_name if may_repeat(told) else "",
        message_id=told.message_id,
        in_reply_to=told.in_reply_to,
        references=told.references,
        loop_mark=request.loop_mark,
        date=request.date,
        reply_address=reply_address(identity.address, request.reply_token) if request.reply_token else "",
        files=request.files,
        language=words.language,
    )
    path = "" if told.event in NULL_REVERSE_PATH else f"{VERP_PREFIX}{request.verp}@{identity.domain}"
    return Rendered(reverse_path=path, message=compose(draft), fallback=words.fallback)


def reply_address(desk_address: str, token: str) -> str:
    """The desk's address with a reply token behind a plus sign (RFC 5233)."""
    local, _, domain = desk_address.rpartition("@")
    return f"{local}+{token}@{domain}"


def words_of(event: Event, facts: dict[str, str], templates: str = "", language: str = "") -> Words:
    """The event's text: the desk's own in the reader's language, else its own, else the one we ship, else a plain notice; never none."""
    because = None
    for directory, spoken in _folders(templates, language):
        if not has_text(directory, event):
            continue
        try:
            return msgspec.structs.replace(_read(event, render_text(directory, event, facts), because), language=spoken)
        except NotATemplate as error:
            because = because or str(error)
    return notice(facts, because or f"there is no {event.value}.txt")


def _folders(templates: str, language: str) -> Iterator[tuple[str, str]]:
    """Where a text may stand, best first, each with the language it is in."""
    if templates:
        yield from ((str(Path(templates, tag)), tag) for tag in lookup(language))
        yield templates, USUAL_LANGUAGE
    yield str(SHIPPED), USUAL_LANGUAGE


def notice(facts: dict[str, str], because: str) -> Words:
    """The plain notice that needs no template; it says what it can without repeating anything that may not be repeated."""
    text = f"There is news on {facts['number']}.{fence(Kind.QUOTED, facts.get('words', ''))}\n\n{facts['desk_name']}"
    return Words(subject=f"[{facts['number']}] {facts['desk_name']}", blocks=blocks.read(text), fallback=because)


def _read(event: Event, text: str, because: str | None) -> Words:
    first, _, body = text.partition("\n")
    found = blocks.read(body)
    if not first.startswith(SUBJECT_MARK) or not first.removeprefix(SUBJECT_MARK).strip():
        raise NotATemplate(f"{event.value}.txt must begin with a line `{SUBJECT_MARK}...`")
    if not any(not block.footer for block in found):
        raise NotATemplate(f"{event.value}.txt has no text below its subject")
    return Words(subject=first.removeprefix(SUBJECT_MARK).strip(), blocks=found, fallback=because)


def html_of(event: Event, words: Words, facts: dict[str, str]) -> str:
    """The blocks in the one shell, which escapes whatever is not markup of ours."""
    shell = shell_environment().get_template(SHELL)
    return shell.render(
        language=words.language,
        title=words.subject,
        number=facts["number"],
        desk_name=facts["desk_name"],
        accent=ACCENTS[event],
        body=[_shown(block) for block in words.blocks if not block.footer],
        footer=[_shown(block) for block in words.blocks if block.footer],
    )


def _shown(block: Block) -> dict[str, object]:
    """A block as the shell takes it: its kind and its lines, paragraphs or rows, as escaped markup."""
    match block.kind:
        case Kind.TABLE:
            content: object = [(name, blocks.linked(value)) for name, value in blocks.rows_of(block.text)]
        case Kind.LIST:
            content = [blocks.linked(line) for line in block.text.split("\n")]
        case Kind.VERBATIM:
            content = blocks.linked(block.text)
        case _:
            content = blocks.paragraphs(block.text)
    return {"kind": block.kind.name.lower(), "content": content}
