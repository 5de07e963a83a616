"""Commands at the top of a mail, `#take` or `#pending customer`: read, and turned into the acts every channel knows (itsm 4)."""

import re
import unicodedata

import msgspec

from itsm.act import Act, Actor, ActorKind, Verb
from itsm.service import Desk

MAX_COMMANDS = 20
TELLS = frozenset({Verb.RESOLVE, Verb.REOPEN})  # their words go to the requester
MAX_LINE_CHARACTERS = 500
_COMMAND = re.compile(r"\s{0,8}#(\s?)([A-Za-z]{1,20})\b:?[ \t]*(.*)")
_BECAUSE = re.compile(r"(?:^|[\s,:])because\b[:\s]*", re.IGNORECASE)
_HOURS = re.compile(r"(\d{1,4})\s*([hd]?)\w*")


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """A command: how it is written, what it does, which act it is and which argument of it the rest of the line is.

    `needed` tells that the argument may not be missing; `many` that it may be more than one word; `requester` who may use it.
    """

    usage: str
    meaning: str
    verb: Verb | None = None
    argument: str = ""
    needed: bool = False
    many: bool = False
    requester: bool = False


WORDS: dict[str, Word] = {
    "take": Word(usage="#take", meaning="Assigns the ticket to you and takes it into work."),
    "assign": Word(usage="#assign ben", meaning="Assigns it to an agent or a team, by its key.", argument="to", needed=True),
    "prio": Word(usage="#prio P2 because ...", meaning="Sets the priority, P1 to P5.", verb=Verb.PRIORITISE, argument="priority", needed=True),
    "start": Word(usage="#start", meaning="Takes it into work.", verb=Verb.START),
    "pending": Word(
        usage="#pending customer", meaning="Waits for customer, vendor, change or scheduled.", verb=Verb.PEND, argument="reason", needed=True
    ),
    "resume": Word(usage="#resume", meaning="Ends the wait.", verb=Verb.RESUME),
    "resolve": Word(usage="#resolve fixed", meaning="Resolves it, with a code if you like.", verb=Verb.RESOLVE, argument="code", requester=True),
    "solved": Word(usage="#solved", meaning="The same as #resolve.", verb=Verb.RESOLVE, requester=True),
    "reopen": Word(usage="#reopen", meaning="Takes a resolved ticket up again.", verb=Verb.REOPEN, requester=True),
    "close": Word(usage="#close", meaning="Closes a resolved ticket.", verb=Verb.CLOSE, requester=True),
    "cancel": Word(usage="#cancel", meaning="Ends it without a solution.", verb=Verb.CANCEL, requester=True),
    "note": Word(usage="#note ...", meaning="Keeps all words of the mail on the desk; the requester gets nothing.", argument="text", many=True),
    "service": Word(usage="#service mail", meaning="Names the service, by its key.", verb=Verb.CLASSIFY, argument="service", needed=True),
    "type": Word(usage="#type incident", meaning="Makes it an incident or a service_request.", verb=Verb.CLASSIFY, argument="type", needed=True),
    "tag": Word(usage="#tag vpn remote", meaning="Sets its tags.", verb=Verb.CLASSIFY, argument="tags", needed=True, many=True),
    "link": Word(usage="#link INC-7", meaning="Links it with another ticket.", verb=Verb.LINK, argument="to", needed=True),
    "merge": Word(
        usage="#merge INC-7", meaning="Merges this ticket into that one; its answers go there.", verb=Verb.MERGE, argument="into", needed=True
    ),
    "unmerge": Word(usage="#unmerge", meaning="Undoes a merge within 30 days.", verb=Verb.UNMERGE),
    "split": Word(usage="#split", meaning="Makes an own ticket of the newest mail on it, or of the entry named.", verb=Verb.SPLIT, argument="entry"),
    "accept": Word(usage="#accept", meaning="Takes in the newest held mail, or the entry named.", verb=Verb.ACCEPT, argument="entry"),
    "drop": Word(usage="#drop", meaning="Puts the newest held mail aside, or the entry named.", verb=Verb.DROP, argument="entry"),
    "watch": Word(
        usage="#watch bo@example.org", meaning="Sends that person what the requester gets.",
        verb=Verb.WATCH, argument="address", needed=True, requester=True,
    ),
    "unwatch": Word(
        usage="#unwatch bo@example.org", meaning="Ends that.", verb=Verb.UNWATCH, argument="address", needed=True, requester=True
    ),
    "mute": Word(usage="#mute 8h", meaning="No notices of this ticket to you, for hours (h) or days (d).", verb=Verb.MUTE, argument="hours", needed=True),
    "status": Word(usage="#status", meaning="Answers with the state of the ticket.", requester=True),
}  # fmt: skip


class CommandLine(msgspec.Struct, frozen=True, kw_only=True):
    """One command as it was written: its word in lower case, and what stood behind it."""

    word: str
    rest: str = ""


class Commands(msgspec.Struct, frozen=True, kw_only=True):
    """The commands at the top, the words below them, and a command that stood further down ("" when none did)."""

    lines: tuple[CommandLine, ...] = ()
    words: str = ""
    misplaced: str = ""


class Unreadable(msgspec.Struct, frozen=True, kw_only=True):
    """Why the commands of a mail cannot be done; then none of them is, and its words go nowhere."""

    reason: str


def read(text: str) -> Commands:
    """Take the commands off the top of a mail's new words. Total; linear in the text.

    `#word` is a command whatever the word, so that a slip of the pen is told and not sent; `# word` only where we know the word,
    because it may be a heading. A number after the `#` is no command.
    """
    lines = text.split("\n")
    found: list[CommandLine] = []
    at = 0
    while at < len(lines):
        line = lines[at].strip()
        command = _command(line)
        if line and command is None:
            break
        if command is not None:
            found.append(command)
        at += 1
    below = "\n".join(lines[at:]).strip()
    misplaced = next((line.strip() for line in lines[at:] if (seen := _command(line)) is not None and seen.word in WORDS), "")
    return Commands(lines=tuple(found), words=below, misplaced=misplaced[:MAX_LINE_CHARACTERS])


def _command(line: str) -> CommandLine | None:
    """The command in a line, or None; a full-width number sign counts."""
    found = _COMMAND.fullmatch(unicodedata.normalize("NFKC", line[:MAX_LINE_CHARACTERS]).rstrip())
    if found is None:
        return None
    word = found[2].lower()
    return None if found[1] and word not in WORDS else CommandLine(word=word, rest=found[3].strip())


def acts_of(commands: Commands, ticket_number: int, actor: Actor, desk: Desk) -> tuple[Act, ...] | Unreadable:
    """The acts the commands and the words below them ask for, in order; `status` is none.

    The words go with `resolve` where there is one, else they are a note where `note` is among the commands, else a reply.
    """
    wrong = _wrong(commands)
    if wrong:
        return Unreadable(reason=wrong)
    acts: list[Act] = []
    for line in commands.lines:
        made = _acts(line, Act(verb=Verb.NOTE, ticket_number=ticket_number, actor=actor), desk)
        if isinstance(made, Unreadable):
            return made
        acts += made
    return _with_words(commands, acts, Act(verb=Verb.REPLY, ticket_number=ticket_number, actor=actor, text=commands.words))


def _wrong(commands: Commands) -> str:
    """What cannot be read, "" when everything can."""
    unknown = next((line.word for line in commands.lines if line.word not in WORDS), "")
    if unknown:
        return f"there is no command #{unknown}"
    if commands.misplaced:
        return f"commands stand at the top, above all words: {commands.misplaced}"
    return f"more than {MAX_COMMANDS} commands" if len(commands.lines) > MAX_COMMANDS else ""


def _with_words(commands: Commands, acts: list[Act], reply: Act) -> tuple[Act, ...]:
    """The acts with the words of the mail on the one they belong to."""
    if any(line.word == "note" for line in commands.lines):
        said = [line.rest for line in commands.lines if line.word == "note"] + [commands.words]
        note = "\n".join(each for each in said if each)
        return (*acts, msgspec.structs.replace(reply, verb=Verb.NOTE, text=note))
    if not commands.words:
        return tuple(acts)
    if any(act.verb is Verb.RESOLVE for act in acts):
        return tuple(msgspec.structs.replace(act, text=commands.words) if act.verb is Verb.RESOLVE else act for act in acts)
    return (reply, *acts)  # first: what closes the ticket may come after it


def _acts(line: CommandLine, blank: Act, desk: Desk) -> list[Act] | Unreadable:
    """The acts of one command."""
    word = WORDS[line.word]
    rest, because = _reason(line.rest) if not word.many else (line.rest, "")
    if word.needed and not rest:
        return Unreadable(reason=f"#{line.word} needs something behind it, for example {word.usage}")
    if rest and not word.argument:
        return Unreadable(reason=f"#{line.word} takes nothing behind it, not {rest!r}")
    if not word.many and len(rest.split()) > 1:
        return Unreadable(reason=f"#{line.word} takes one word, not {rest!r}")
    if because and word.verb in TELLS:
        return Unreadable(
            reason=f"what stands behind because stays on the desk, and #{line.word} tells the requester: write it below, or as #note"
        )
    if line.word == "take":
        return _take(blank)
    if line.word == "assign":
        return [_assign(rest.lstrip("@"), blank, because, desk)]
    if word.verb is None:
        return []
    given = {word.argument: _value(line.word, rest)} if rest else {}
    return [msgspec.structs.replace(blank, verb=word.verb, arguments=given, text=because)]


def _reason(rest: str) -> tuple[str, str]:
    """What stands before `because`, and what after it; `code:` before a code is left out."""
    found = _BECAUSE.search(rest)
    before, because = (rest[: found.start()], rest[found.end() :]) if found else (rest, "")
    return re.sub(r"^code:\s*", "", before.strip(), flags=re.IGNORECASE), because.strip()


def _take(blank: Act) -> list[Act]:
    mine = msgspec.structs.replace(blank, verb=Verb.ASSIGN, arguments={"assignee": blank.actor.name})
    return [mine, msgspec.structs.replace(blank, verb=Verb.START)]


def _assign(to: str, blank: Act, because: str, desk: Desk) -> Act:
    """A team where one has that key, else an agent: lifecycle and rules say when there is neither."""
    name = "team" if any(team.key == to for team in desk.teams) else "assignee"
    return msgspec.structs.replace(blank, verb=Verb.ASSIGN, arguments={name: to}, text=because)


def _value(word: str, rest: str) -> str:
    """The argument as the act takes it: `P2` is 2, `2d` is 48 hours."""
    if word == "prio":
        return rest.upper().removeprefix("P")
    hours = _HOURS.fullmatch(rest.lower()) if word == "mute" else None
    return str(int(hours[1]) * (24 if hours[2] == "d" else 1)) if hours else rest


def allowed(commands: Commands, kind: ActorKind) -> bool:
    """Whether every command is one this kind of actor may write at all."""
    return all(line.word in WORDS and (kind is ActorKind.AGENT or WORDS[line.word].requester) for line in commands.lines)


def words_for(verbs: tuple[Verb, ...]) -> tuple[str, ...]:
    """How these acts are written in a mail."""
    return tuple(word.usage for word in WORDS.values() if word.verb in verbs)
