"""Jinja2, cut down to what a mail needs: state a fact, ask whether there is one. Everything else is refused when it is loaded.

The list of allowed parts of the language leaves nothing that loops, calls, multiplies or reaches into an object, so the
cost of a template is linear in its length (reliability A41, A42, A43); the sandbox below it is the second wall.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment as AnyEnvironment
from jinja2 import FileSystemLoader, StrictUndefined, TemplateError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from itsm.errors import MalformedInput
from itsm.notification import Event
from notifier.blocks import BEGIN, END, Kind, fence
from notifier.events import FACT_NAMES

SHIPPED = Path(__file__).parent / "templates"
SHELL = "shell.html"
MAX_TEMPLATE_CHARACTERS = 64 * 1024
MAX_OUTPUT_CHARACTERS = 256 * 1024
MAX_FOLDERS = 64  # whose texts are kept: one for each language in use
FILTERS: dict[str, Callable[[str], str]] = {
    "quoted": lambda text: fence(Kind.QUOTED, text),
    "said": lambda text: fence(Kind.SAID, text),
    "verbatim": lambda text: fence(Kind.VERBATIM, text),
    "capitalised": lambda text: text[:1].upper() + text[1:],
}
LAYOUT = {"trim_blocks": True, "lstrip_blocks": True}
LANGUAGE = "facts, if and the filters " + ", ".join(sorted(FILTERS))
ALLOWED_NODES = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Const,
    nodes.If,
    nodes.CondExpr,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Filter,
)


class NotATemplate(MalformedInput):
    """The template cannot be used."""


class Environment(ImmutableSandboxedEnvironment):
    """The second wall: no attribute, no call and no operator, should the first be passed."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def is_safe_attribute(self, obj: object, attr: str, value: object) -> bool:
        """No attribute is needed: every fact is a text."""
        return False

    def is_safe_callable(self, obj: object) -> bool:
        """Nothing is there to be called."""
        return False

    def call_binop(self, context: object, operator: str, left: object, right: object) -> object:
        """Refuse arithmetic: `'x' * 10**9` would build a gigabyte."""
        raise TemplateError(f"the operator {operator} is not part of mail templates")


class EventLoader(FileSystemLoader):
    """Loads the text of an event, and only when it keeps to the language and the facts of that event."""

    def get_source(self, environment: AnyEnvironment, template: str) -> tuple[str, str, Callable[[], bool]]:
        """The source with its file and a test whether it is up to date; raises NotATemplate that says why not."""
        try:
            source, file, up_to_date = super().get_source(environment, template)
        except (OSError, UnicodeDecodeError) as error:
            raise NotATemplate(f"{template} cannot be read: {error}") from error
        _check(environment, source, file, FACT_NAMES[Event(template.removesuffix(".txt"))])
        return source, file, up_to_date


def _check(environment: AnyEnvironment, source: str, file: str, facts: tuple[str, ...]) -> None:
    if len(source) > MAX_TEMPLATE_CHARACTERS:
        raise NotATemplate(f"{file} is longer than {MAX_TEMPLATE_CHARACTERS} characters")
    if BEGIN in source or END in source:
        raise NotATemplate(f"{file} holds control characters")
    try:
        found = list(environment.parse(source, file).find_all(nodes.Node))
    except (TemplateError, RecursionError) as error:
        raise NotATemplate(f"{file}: {error}") from error
    for node in found:
        where = f"{file}, line {node.lineno}"
        if not isinstance(node, ALLOWED_NODES):
            raise NotATemplate(f"{where}: {type(node).__name__} is not part of mail templates, which know {LANGUAGE}")
        if isinstance(node, nodes.Filter) and node.name not in FILTERS:
            raise NotATemplate(f"{where}: there is no filter {node.name}; mail templates know {LANGUAGE}")
        if isinstance(node, nodes.Name) and node.name not in facts:
            raise NotATemplate(f"{where}: there is no fact {node.name} for this event; there are {', '.join(facts)}")


@lru_cache(maxsize=MAX_FOLDERS)
def text_environment(directory: str) -> Environment:
    """The event texts of one directory; templates are read again when their files change."""
    environment = Environment(loader=EventLoader(directory), undefined=StrictUndefined, autoescape=False, **LAYOUT)
    environment.globals.clear()
    environment.filters.clear()
    environment.tests.clear()
    environment.filters.update(FILTERS)
    return environment


@lru_cache(maxsize=1)
def shell_environment() -> ImmutableSandboxedEnvironment:
    """The one HTML shell, which is ours and escapes everything."""
    return ImmutableSandboxedEnvironment(loader=FileSystemLoader(SHIPPED), undefined=StrictUndefined, autoescape=True, **LAYOUT)


def has_text(directory: str, event: Event) -> bool:
    """Whether the directory has a text of its own for the event."""
    return (Path(directory) / f"{event.value}.txt").is_file()


def render_text(directory: str, event: Event, facts: dict[str, str]) -> str:
    """The event's template with these facts; raises NotATemplate when it is missing, not allowed, fails, or writes too much."""
    pieces: list[str] = []
    size = 0
    try:
        for piece in text_environment(directory).get_template(f"{event.value}.txt").generate(facts):
            size += len(piece)
            if size > MAX_OUTPUT_CHARACTERS:
                raise NotATemplate(f"{event.value}.txt writes more than {MAX_OUTPUT_CHARACTERS} characters")
            pieces.append(piece)
    except (TemplateError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise NotATemplate(f"{event.value}.txt: {error}") from error
    return "".join(pieces)
