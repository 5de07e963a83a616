"""Expressions of Python as a reader of the source needs them: chains of calls, and what names are assigned."""

import ast
from collections.abc import Iterator

HOLE = "{}"  # what is put into a string, and not to be seen in the source
ADDED = "+"  # behind a name: what is appended to it later, beside what it was assigned

Scope = dict[str, list[ast.expr]]


def words_in(node: ast.AST) -> str | None:
    """The text of a string, a hole for each thing that is put into it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(each.value) if isinstance(each, ast.Constant) else HOLE for each in node.values)
    return None


def head_of(node: ast.AST) -> ast.AST:
    """What a chain begins with: of `select(...).where(...)` the call of `select`, of `query.limit(1)` the name."""
    while (inside := _receiver(node)) is not None:
        node = inside
    return node


def _receiver(node: ast.AST) -> ast.AST | None:
    match node:
        case ast.Attribute(value=value):
            return value
        case ast.Call(func=ast.Attribute() as function):
            return function
        case _:
            return None


def links_of(node: ast.AST) -> Iterator[ast.AST]:
    """A chain from its last link to its head."""
    link: ast.AST | None = node
    while link is not None:
        yield link
        link = _receiver(link)


def beside(link: ast.AST) -> Iterator[ast.expr]:
    """The expressions in a link that are not the link before it."""
    before = _receiver(link)
    waiting = [each for each in ast.iter_child_nodes(link) if each is not before]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.expr):
            yield node
        else:
            waiting += ast.iter_child_nodes(node)  # a keyword, a loop of a comprehension


def mentions(value: ast.expr, name: str) -> bool:
    return any(isinstance(each, ast.Name) and each.id == name for each in ast.walk(value))


def is_empty(value: ast.expr) -> bool:
    return isinstance(value, ast.List) and not value.elts


def bound_by(argument: ast.arg) -> list[ast.expr]:
    """A parameter may be a table, unless it is said to be a column."""
    kind = ast.unparse(argument.annotation) if argument.annotation else ""
    return [ast.Constant(argument.arg)] if kind.startswith("Column") else []


def assigned_in(body: list[ast.stmt]) -> Scope:
    """What each name is assigned in these statements, those of inner functions left out; a loop's name is bound to nothing."""
    found: Scope = {}
    waiting: list[ast.AST] = [*body]
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    _bind(target, value, found)
            case ast.AnnAssign(target=ast.Name(id=name), value=value) if value is not None:
                found.setdefault(name, []).append(value)
            case ast.AugAssign(target=ast.Name(id=name), value=value):
                found.setdefault(name + ADDED, []).append(value)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="append" | "extend"), args=[value]):
                found.setdefault(name + ADDED, []).append(value)
            case ast.For(target=target):
                found |= {each.id: [] for each in ast.walk(target) if isinstance(each, ast.Name)}
        waiting += ast.iter_child_nodes(node)
    return found


def _bind(target: ast.expr, value: ast.expr, found: Scope) -> None:
    match target, value:
        case ast.Name(id=name), _:
            found.setdefault(name, []).append(value)
        case ast.Tuple(elts=names), ast.Tuple(elts=values) if len(names) == len(values):
            for each, given in zip(names, values, strict=True):
                _bind(each, given, found)
        case ast.Tuple(elts=names), _:
            for each in names:
                _bind(each, value, found)
