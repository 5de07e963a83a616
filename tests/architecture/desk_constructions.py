"""Reads the source for statements on desk tables that do not name their desk, without running any (design 5: shard by desk).

Two kinds of statement are found: words of SQL in strings, and what SQLAlchemy's constructors make. Of the latter the whole chain is read,
`select(...).where(...)`, together with what the names in it were assigned in the function or module, and what the module's own functions
in it return. The `desk_id` of each table in it must be set equal to a value, or to that of a table for which it is; a query that is only
begun somewhere must say so wherever it is used. What cannot be told from the source is found too, never passed over.
"""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from sqlalchemy import FromClause

from store.schema import metadata
from tests.architecture.expressions import (
    ADDED,
    HOLE,
    Scope,
    assigned_in,
    beside,
    bound_by,
    head_of,
    is_empty,
    links_of,
    mentions,
    words_in,
)
from tests.desk_statements import DEFINITION, without_desk

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("itsm", "store", "rules", "casework", "intake", "notifier", "webportal", "triaged")
MAKERS = {"select", "insert", "update", "delete", "exists", "BulkInsert"}
RUNS = {"execute", "exec_driver_sql"}
INSERTS = {"insert", "BulkInsert"}
DESK = "desk_id"
IS_SQL = re.compile(r"\s*(select|insert\s+into|update|delete\s+from|with)\s+\S", re.IGNORECASE)
HOLE_FOR_A_TABLE = re.compile(r"\b(?:from|join|into|update)\s+\{\}", re.IGNORECASE)

VALUE = "="  # beside names of tables: a desk that is given
CORRELATED = {"exists", "scalar_subquery", "correlate"}


class Finding(NamedTuple):
    """A statement of a function that uses `table` without its desk."""

    file: str
    function: str
    table: str
    line: int

    @property
    def key(self) -> str:
        """What an exemption calls it: lines move, names seldom do."""
        return f"{self.file}::{self.function}::{self.table}"


class Uses(NamedTuple):
    """The tables an expression uses, and what the desk of each is set equal to: that of another table, or a VALUE."""

    tables: frozenset[str] = frozenset()
    links: frozenset[tuple[str, str]] = frozenset()

    def and_also(self, other: "Uses") -> "Uses":
        """Both together."""
        return Uses(self.tables | other.tables, self.links | other.links)

    def loose(self) -> frozenset[str]:
        """Tables whose desk is set equal to nothing."""
        return self.tables - {table for table, _ in self.links}

    def adrift(self) -> frozenset[str]:
        """Tables whose desk no chain of equal desks leads to a value."""
        held = {VALUE}
        while more := {table for table, other in self.links if other in held} - held:
            held |= more
        return self.tables - held


def files() -> list[Path]:
    """The product's modules; migrations run on a whole database and have no desk."""
    found = [each for package in PACKAGES for each in sorted((ROOT / package).rglob("*.py"))]
    return [each for each in found if "migrations" not in each.parts]


def findings_of(file: Path) -> list[Finding]:
    """What is found in one module of ours."""
    name = file.relative_to(ROOT).as_posix()
    tree = ast.parse(file.read_text())
    constructs = any(isinstance(node, ast.Name) and node.id in MAKERS for node in ast.walk(tree))
    module = importlib.import_module(name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")) if constructs else ModuleType("")
    return findings_in(tree, name, module)


def findings_in(tree: ast.Module, name: str, module: ModuleType) -> list[Finding]:
    """What is found in a tree whose global names mean what they mean in `module`."""
    return _Reader(tree, name, module).read()


class _Reader:
    def __init__(self, tree: ast.Module, name: str, module: ModuleType) -> None:
        self._tree, self._file, self._module = tree, name, module
        self._parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        self._functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        self._globals = assigned_in(tree.body)

    def read(self) -> list[Finding]:
        return sorted({*self._of_strings(), *self._of_constructions()})

    # ---------------------------------------------------------------- words of SQL

    def _of_strings(self) -> Iterator[Finding]:
        for node in ast.walk(self._tree):
            words = words_in(node)
            if words is None or isinstance(self._parents.get(node), ast.JoinedStr | ast.Expr):  # a piece, or a docstring
                continue
            if not IS_SQL.match(words) or DEFINITION.match(words):
                continue
            for table in without_desk(words):
                yield self._finding(node, table)
            if HOLE_FOR_A_TABLE.search(words) and DESK not in words:
                yield self._finding(node, HOLE)

    # ---------------------------------------------------------------- constructions

    def _of_constructions(self) -> Iterator[Finding]:
        for node in ast.walk(self._tree):
            if not isinstance(node, ast.Call) or (maker := self._maker(node)) is None or (maker == "exists" and node.args):
                continue  # `exists(select(...))` is looked at where its `select` is
            chain, scope = self._chain(node), self._scope(node)
            uses = self._uses(chain, scope)
            if maker in INSERTS:
                uses = uses.and_also(self._inserted(node, chain, scope))
            if not uses.tables and not self._has_no_desk(chain):
                yield self._finding(node, HOLE)
            missing = uses.loose() if self._is_correlated(maker, chain) else uses.adrift() - self._named_in_each_use(chain, scope)
            for table in missing:
                yield self._finding(node, table)

    def _is_correlated(self, maker: str, chain: ast.expr) -> bool:
        """Whether it is part of another statement, whose desk it may compare with its own."""
        chains, above = [chain, *(self._chain(each) for each in self._loads(chain))], self._parents.get(chain)
        if maker == "exists" or (isinstance(above, ast.Call) and self._maker(above) == "exists"):
            return True
        return any(isinstance(each, ast.Attribute) and each.attr in CORRELATED for one in chains for each in links_of(one))

    def _has_no_desk(self, chain: ast.expr) -> bool:
        """Whether it speaks of a table that is not of a desk: the version of the schema, SQLite's index of words."""
        tables = [
            found for each in ast.walk(chain) if isinstance(each, ast.Name) and isinstance(found := self._global(each.id), FromClause)
        ]
        return bool(tables) and not any(getattr(each, "name", "") in metadata.tables for each in tables)

    def _named_in_each_use(self, chain: ast.expr, scope: Scope) -> frozenset[str]:
        """A query that is only begun here is taken for what becomes of it, if that names the desk wherever the query is used."""
        used = [self._uses(self._chain(each), scope) for each in self._loads(chain)]
        return frozenset.intersection(*(each.tables - each.adrift() for each in used)) if used else frozenset()

    def _loads(self, chain: ast.expr) -> list[ast.Name]:
        """Where what is assigned here is used, by its name."""
        match self._parents.get(chain):
            case ast.Assign(targets=[ast.Name(id=name)]):
                around = next(each for each in self._above(chain) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.Module))
                names = [each for each in ast.walk(around) if isinstance(each, ast.Name) and each.id == name]
                return [each for each in names if isinstance(each.ctx, ast.Load)]
            case _:
                return []

    def _above(self, node: ast.AST) -> Iterator[ast.AST]:
        while (above := self._parents.get(node)) is not None:
            node = above
            yield node

    def _maker(self, call: ast.Call) -> str | None:
        """The constructor that a call calls: `select(...)`, or `table.select()`."""
        match call.func:
            case ast.Name(id=name) if name in MAKERS and not self._is_ours(call, name):
                return name
            case ast.Attribute(value=ast.Name(id=table), attr=name) if name in MAKERS and isinstance(self._global(table), FromClause):
                return name
            case _:
                return None

    def _is_ours(self, call: ast.Call, name: str) -> bool:
        """Whether a function of ours is called like a constructor."""
        if name in self._functions or name in self._scope(call):
            return True
        found = self._global(name)
        return name != "BulkInsert" and found is not None and not str(getattr(found, "__module__", "")).startswith("sqlalchemy")

    def _chain(self, call: ast.expr) -> ast.expr:
        """The whole of `select(...).where(...).limit(...)`, and of the call that runs it, for an insert's rows stand there."""
        node = call
        while isinstance(above := self._parents.get(node), ast.Attribute | ast.Call) and (
            isinstance(above, ast.Attribute) or above.func is node
        ):
            node = above
        return node

    def _inserted(self, call: ast.Call, chain: ast.expr, scope: Scope) -> Uses:
        """An insert names its desk by a keyword, a key or a column that is called so."""
        target = call.args[0] if call.args else call.func.value if isinstance(call.func, ast.Attribute) else None
        above = self._parents.get(chain)
        rows = above.args if isinstance(above, ast.Call) else []
        if target is not None and any(self._says_desk(each, scope, frozenset()) for each in (chain, *rows)):
            return Uses(links=frozenset((table, VALUE) for table in self._uses(target, scope).tables))
        return Uses()

    def _says_desk(self, node: ast.expr, scope: Scope, seen: frozenset[str]) -> bool:
        for each in ast.walk(node):
            if isinstance(each, ast.Constant) and each.value == DESK:
                return True
            if isinstance(each, ast.keyword) and each.arg == DESK:
                return True
            if isinstance(each, ast.Name) and each.id not in scope and _is_list_with_desk(self._global(each.id)):
                return True
            if isinstance(each, ast.Name) and each.id not in seen:
                rows = [value for value in (*self._values(each.id, scope), *scope.get(each.id + ADDED, ())) if not is_empty(value)]
                if rows and all(self._says_desk(value, scope, seen | {each.id}) for value in rows):
                    return True
        return False

    def _scope(self, node: ast.AST) -> Scope:
        """What names were assigned, in the functions around and in the module; parameters and names of loops are bound to nothing."""
        found: Scope = {}
        while (node := self._parents.get(node, self._tree)) is not self._tree:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                arguments = [*node.args.args, *node.args.kwonlyargs, *node.args.posonlyargs]
                found = assigned_in(node.body) | {each.arg: bound_by(each) for each in arguments} | found
            elif isinstance(node, ast.Lambda):
                found = {each.arg: [] for each in node.args.args} | found
            elif isinstance(node, ast.GeneratorExp | ast.ListComp | ast.SetComp | ast.DictComp):
                found = {each.id: [] for loop in node.generators for each in ast.walk(loop.target) if isinstance(each, ast.Name)} | found
        return self._globals | found

    def _values(self, name: str, scope: Scope) -> list[ast.expr]:
        """What a name stands for: its assignments, or what a function of the module returns."""
        if name in scope:
            return scope[name]
        function = self._functions.get(name)
        return [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value] if function else []

    # ---------------------------------------------------------------- tables

    def _uses(self, node: ast.expr, scope: Scope, seen: frozenset[str] = frozenset(), *, inner: bool = False) -> Uses:
        """What a chain uses; `inner` is what stands inside of one, and a statement in there is looked at by itself."""
        head = head_of(node)
        found = Uses()
        if inner and isinstance(head, ast.Call) and self._maker(head) is not None:
            return found
        for link in links_of(node):
            if link is head and isinstance(link, ast.Name):
                found = found.and_also(self._name(link, scope, seen, inner=inner))
                continue
            if isinstance(link, ast.Attribute) and link.attr == DESK and (table := self._table_of(link.value, scope)):
                found = found.and_also(self._desk_of(link, table, scope))
            for child in beside(link):
                found = found.and_also(self._uses(child, scope, seen, inner=True))
        return found

    def _desk_of(self, node: ast.Attribute, table: str, scope: Scope) -> Uses:
        """What the desk of a table is set equal to here; selected or ordered by, it is set equal to nothing."""
        used, above = Uses(frozenset({table})), self._parents.get(node)
        if isinstance(above, ast.Compare) and len(above.ops) == 1 and isinstance(above.ops[0], ast.Eq):
            other = above.comparators[0] if above.left is node else above.left
            is_desk = isinstance(other, ast.Attribute) and other.attr == DESK
            partner = self._table_of(other.value, scope) if is_desk and isinstance(other, ast.Attribute) else None
            return used.and_also(Uses(links=frozenset({(table, partner or VALUE)} | ({(partner, table)} if partner else set()))))
        among = isinstance(above, ast.Attribute) and above.attr == "in_"
        in_key = isinstance(above, ast.Call) and isinstance(above.func, ast.Name) and above.func.id == "tuple_"
        return used.and_also(Uses(links=frozenset({(table, VALUE)}))) if among or in_key else used

    def _name(self, node: ast.Name, scope: Scope, seen: frozenset[str], *, inner: bool) -> Uses:
        """What a name brings with it: each of its values must name a desk; `query = query.limit(1)` goes on with what it was."""
        if table := self._table(node, scope):
            return Uses(tables=frozenset({table}))
        if node.id in seen:
            return Uses()
        local = scope if node.id in scope else self._returned_scope(node.id, scope)
        values = [each for each in self._values(node.id, scope) if not self._is_data(each)]
        every = [(self._uses(each, local, seen | {node.id}, inner=inner), mentions(each, node.id)) for each in values]
        tables = frozenset().union(*(each.tables for each, _ in every))
        first = [each.links for each, goes_on in every if not goes_on]
        return Uses(tables, frozenset.intersection(*first) if first else frozenset())

    def _is_data(self, value: ast.expr) -> bool:
        """Whether a value was read from the database: then it is part of no statement."""
        calls = [each.func.id for each in ast.walk(value) if isinstance(each, ast.Call) and isinstance(each.func, ast.Name)]
        called = [self._functions[name] for name in calls if name in self._functions]
        return any(isinstance(each, ast.Attribute) and each.attr in RUNS for root in (value, *called) for each in ast.walk(root))

    def _returned_scope(self, name: str, scope: Scope) -> Scope:
        function = self._functions.get(name)
        if function is None:
            return scope
        return self._scope(function.body[0])

    def _table_of(self, node: ast.expr, scope: Scope) -> str | None:
        """The table of `inbox.c`, or of a name for the columns of one."""
        if isinstance(node, ast.Attribute) and node.attr in ("c", "columns"):
            return self._table(node.value, scope)
        return self._table(node, scope)

    def _table(self, node: ast.expr, scope: Scope) -> str | None:
        """The name of a table: ours by its import, one behind a name of this function, or an unknown one that is used like a table."""
        if not isinstance(node, ast.Name):
            return None
        found = self._global(node.id)
        if node.id in scope and not (isinstance(found, FromClause) and scope[node.id] is self._globals.get(node.id)):
            return self._local_table(node, scope)
        return node.id if isinstance(found, FromClause) and DESK in found.c else None

    def _local_table(self, node: ast.Name, scope: Scope) -> str | None:
        values = scope[node.id]
        for value in values:
            if isinstance(value, ast.Attribute) and value.attr == "c":
                return self._table(value.value, {name: given for name, given in scope.items() if name != node.id})
            if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr == "alias":
                return node.id
        if values:
            return None
        above = self._parents.get(node)
        columns = isinstance(above, ast.Attribute) and above.attr in ("c", "columns")
        first = isinstance(above, ast.Call) and node in above.args and self._maker(above) is not None
        return node.id if columns or first else None

    def _global(self, name: str) -> object:
        return getattr(self._module, name, None)

    def _finding(self, node: ast.AST, table: str) -> Finding:
        function, above = "", self._parents.get(node)
        while above is not None:
            if isinstance(above, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                function = f"{above.name}.{function}" if function else above.name
            above = self._parents.get(above)
        return Finding(self._file, function or "<module>", table, getattr(node, "lineno", 0))


def _is_list_with_desk(value: object) -> bool:
    """Whether it is a list of names of columns, of another module."""
    return isinstance(value, tuple | list) and DESK in value
