"""What a template wrote, as blocks: the same blocks become the plain text and the HTML of a mail.

A template is plain text. An empty line ends a paragraph; a paragraph of `- ` lines is a list, one of `Name:  value` lines (two
blanks or more) a table, one that begins with `# ` the heading; a line `-- ` begins the footer. Facts of many lines are
fenced by control characters that no fact can hold (`quoted`, `said`, `verbatim`), so nothing in them is ever read as layout.
"""

import re
import textwrap
from enum import StrEnum

import msgspec
from markupsafe import Markup, escape

TEXT_COLUMNS = 76
MAX_LINK_CHARACTERS = 2_000
BEGIN, END = "\x02", "\x03"  # never in a fact (notifier.events), never in a template (notifier.sandbox)
FOOTER_MARK = "-- "  # RFC 3676 4.3


class Kind(StrEnum):
    """How a block looks; the first three hold the words of a fact."""

    QUOTED = "q"
    SAID = "s"
    VERBATIM = "v"
    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST = "list"
    TABLE = "table"


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a mail; `footer` is true below the footer's mark."""

    kind: Kind
    text: str
    footer: bool = False


_FENCED = re.compile(f"{BEGIN}([qsv])([^{END}]*){END}")
_ROW = re.compile(r"([^\s:][^:\n]{0,30}):[ ]{2,}(\S[^\n]*)")
_URL = re.compile(rf"https?://[^\s<>\"'`\\^{{}}|]{{1,{MAX_LINK_CHARACTERS}}}", re.IGNORECASE)
_SENTENCE_END = ".,;:!?)]}"


def fence(kind: Kind, text: str) -> str:
    """The words of a fact as one block of a template's output; nothing when there are none."""
    return f"\n\n{BEGIN}{kind.value}{text}{END}\n\n" if text.strip() else ""


def read(text: str) -> tuple[Block, ...]:
    """The blocks of a template's output."""
    blocks: list[Block] = []
    footer = False
    pieces = _FENCED.split(text)
    for at in range(0, len(pieces), 3):
        for paragraph in re.split(r"\n(?:[ \t]*\n)+", pieces[at].strip("\n")):
            first, _, rest = paragraph.partition("\n")
            below = first.rstrip() == FOOTER_MARK.rstrip()
            footer = footer or below
            if words := (rest if below else paragraph).strip():
                blocks.append(_own(words, footer))
        if at + 2 < len(pieces):
            blocks.append(Block(kind=Kind(pieces[at + 1]), text=pieces[at + 2], footer=footer))
    return tuple(blocks)


def _own(paragraph: str, footer: bool) -> Block:
    """A paragraph of the template's own words."""
    lines = [line.strip() for line in paragraph.split("\n")]
    if lines[0].startswith("# "):
        return Block(kind=Kind.HEADING, text=" ".join(lines)[2:], footer=footer)
    if all(line.startswith("- ") for line in lines):
        return Block(kind=Kind.LIST, text="\n".join(line[2:] for line in lines), footer=footer)
    if all(_ROW.fullmatch(line) for line in lines):
        return Block(kind=Kind.TABLE, text="\n".join(lines), footer=footer)
    return Block(kind=Kind.PARAGRAPH, text=" ".join(lines), footer=footer)


def rows_of(table: str) -> list[tuple[str, str]]:
    """Name and value of each line of a table block."""
    return [(match[1], match[2]) for match in map(_ROW.fullmatch, table.split("\n")) if match]


def plain(blocks: tuple[Block, ...]) -> str:
    """The text part. Words of people keep their lines; our own are filled to 76 columns."""
    body = "\n\n".join(_plain(block) for block in blocks if not block.footer)
    footer = "\n\n".join(_plain(block) for block in blocks if block.footer)
    return f"{body}\n\n{FOOTER_MARK}\n{footer}\n" if footer else f"{body}\n"


def _plain(block: Block) -> str:
    lines = block.text.split("\n")
    match block.kind:
        case Kind.QUOTED:
            return "\n".join(f"> {line}".rstrip() for line in lines)
        case Kind.VERBATIM:
            return "\n".join(f"    {line}".rstrip() for line in lines)
        case Kind.SAID:
            return block.text
        case Kind.LIST:
            return "\n".join(_filled(line, first="- ", rest="  ") for line in lines)
        case Kind.TABLE:
            rows = rows_of(block.text)
            width = max(len(name) for name, _ in rows) + 3
            return "\n".join(f"{name + ':':<{width}}{value}" for name, value in rows)
        case _:
            return _filled(block.text)


def _filled(text: str, first: str = "", rest: str = "") -> str:
    return textwrap.fill(text, TEXT_COLUMNS, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False)


def linked(text: str) -> Markup:
    """Escaped text whose http and https addresses are links that show where they lead."""
    pieces: list[Markup] = []
    at = 0
    for match in _URL.finditer(text):
        url = match[0].rstrip(_SENTENCE_END)
        if "(" in url and match[0][len(url) : len(url) + 1] == ")":
            url += ")"
        pieces.append(escape(text[at : match.start()]))
        pieces.append(Markup('<a href="{0}" style="color:#0b57d0" rel="noopener noreferrer">{0}</a>').format(url))
        at = match.start() + len(url)
    return Markup("").join([*pieces, escape(text[at:])])


def paragraphs(text: str) -> list[Markup]:
    """The words of people as paragraphs: empty lines part them, other line ends stay."""
    return [
        Markup("<br>\n").join(linked(line) for line in paragraph.split("\n"))
        for paragraph in re.split(r"\n(?:[ \t]*\n)+", text.strip("\n"))
        if paragraph.strip()
    ]
