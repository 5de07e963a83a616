"""Mutants of a module: one operator, constant or condition of its syntax tree changed at a time.

Left alone: docstrings, annotations, texts for people (those with a blank in them, unless they are words of a list that the
code looks things up in), keys of f-strings and the module's imports. Nothing is drawn by chance.
"""

import ast
import copy
from collections.abc import Iterator

import msgspec

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
NAMES = {
    "any": "all", "all": "any", "min": "max", "max": "min", "startswith": "endswith", "endswith": "startswith", "lstrip": "rstrip",
    "rstrip": "lstrip", "partition": "rpartition", "rpartition": "partition", "search": "match",
}  # fmt: skip


class Mutant(msgspec.Struct, frozen=True, kw_only=True):
    """One change: where it stands, what was there and what is there instead, and the place among the changes of its module."""

    place: int
    line: int
    before: str
    after: str


class _Changer(ast.NodeTransformer):
    """Counts the changes that can be made in a tree, and makes the one at `wanted`."""

    def __init__(self, wanted: int = -1) -> None:
        self.wanted, self.found = wanted, list[Mutant]()

    def offered(self, node: ast.AST, *changed: ast.AST) -> ast.AST:
        """The node, or the wanted one of those it could be instead."""
        chosen = node
        for each in changed:
            place = len(self.found)
            ast.copy_location(each, node)
            self.found.append(Mutant(place=place, line=node.lineno, before=ast.unparse(node), after=ast.unparse(each)))  # type: ignore[attr-defined]  # every node here has one
            chosen = each if place == self.wanted else chosen
        return chosen

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Visit what is inside, but neither docstrings nor annotations."""
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "type_params") or (
                name == "keywords" and isinstance(node, ast.ClassDef)
            ):
                continue
            if isinstance(value, list):
                value[:] = [self.visit(each) if isinstance(each, ast.AST) and not _is_docstring(each) else each for each in value]
            elif isinstance(value, ast.AST):
                setattr(node, name, self.visit(value))
        return node

    def visit_Import(self, node: ast.Import) -> ast.AST:
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        """Texts are for people; what is put into them is not."""
        node.values = [self.visit(each) if isinstance(each, ast.FormattedValue) else each for each in node.values]
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        instead = []
        for at, operator in enumerate(node.ops):
            for other in COMPARISONS.get(type(operator), ()):
                changed = copy.deepcopy(node)
                changed.ops[at] = other()
                instead.append(changed)
        return self.offered(self.generic_visit(node), *instead)

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        changed = copy.deepcopy(node)
        changed.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        without = []
        for at in range(len(node.values)):
            rest = [copy.deepcopy(each) for place, each in enumerate(node.values) if place != at]
            without.append(rest[0] if len(rest) == 1 else ast.BoolOp(op=node.op, values=rest))
        return self.offered(self.generic_visit(node), changed, *without)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        instead = [copy.deepcopy(node.operand)] if isinstance(node.op, ast.Not | ast.USub) else []
        return self.offered(self.generic_visit(node), *instead)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        other = ARITHMETIC.get(type(node.op))
        if other is None:
            return self.generic_visit(node)
        changed = copy.deepcopy(node)
        changed.op = other()
        return self.offered(self.generic_visit(node), changed)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        return self.offered(self.generic_visit(node), ast.Pass())

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        """A call for its effect: without it."""
        return self.offered(self.generic_visit(node), *([ast.Pass()] if isinstance(node.value, ast.Call) else []))

    def visit_Delete(self, node: ast.Delete) -> ast.AST:
        return self.offered(node, ast.Pass())

    def visit_Break(self, node: ast.Break) -> ast.AST:
        return self.offered(node, ast.Continue())

    def visit_Continue(self, node: ast.Continue) -> ast.AST:
        return self.offered(node, ast.Break())

    def visit_If(self, node: ast.If) -> ast.AST:
        return self._conditional(node)

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        return self._conditional(node)

    def visit_While(self, node: ast.While) -> ast.AST:
        return self._conditional(node)

    def _conditional(self, node: ast.If | ast.IfExp | ast.While) -> ast.AST:
        """A condition that is a name or a call is turned round; comparisons and `not` change by themselves."""
        if isinstance(node.test, ast.Name | ast.Call | ast.Attribute | ast.NamedExpr | ast.Subscript):
            node.test = self.offered(self.visit(node.test), ast.UnaryOp(op=ast.Not(), operand=copy.deepcopy(node.test)))  # type: ignore[assignment]  # an expression
            node.body = [self.visit(each) for each in node.body] if isinstance(node.body, list) else self.visit(node.body)
            node.orelse = [self.visit(each) for each in node.orelse] if isinstance(node.orelse, list) else self.visit(node.orelse)
            return node
        return self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        """A filter of a comprehension: turned round where it would not change by itself."""
        self.generic_visit_but(node)
        node.ifs = [
            self.offered(self.visit(each), ast.UnaryOp(op=ast.Not(), operand=copy.deepcopy(each)))
            if isinstance(each, ast.Name | ast.Call | ast.Attribute | ast.NamedExpr)
            else self.visit(each)
            for each in node.ifs
        ]  # type: ignore[misc]  # expressions
        return node

    def generic_visit_but(self, node: ast.comprehension) -> None:
        """What a comprehension goes over."""
        node.iter = self.visit(node.iter)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        changed = copy.deepcopy(node)
        if isinstance(changed.func, ast.Name) and changed.func.id in NAMES:
            changed.func.id = NAMES[changed.func.id]
        elif isinstance(changed.func, ast.Attribute) and changed.func.attr in NAMES:
            changed.func.attr = NAMES[changed.func.attr]
        else:
            return self.generic_visit(node)
        return self.offered(self.generic_visit(node), changed)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, bool):
            return self.offered(node, ast.Constant(value=not node.value))
        if isinstance(node.value, int):
            return self.offered(node, ast.Constant(value=node.value + 1))
        if isinstance(node.value, str) and " " not in node.value:
            return self.offered(node, ast.Constant(value=f"{node.value}XX" if node.value else "XX"))
        return node

    def visit_Set(self, node: ast.Set) -> ast.AST:
        return self._of_words(node)

    def visit_Tuple(self, node: ast.Tuple) -> ast.AST:
        return self._of_words(node)

    def visit_List(self, node: ast.List) -> ast.AST:
        return self._of_words(node)

    def _of_words(self, node: ast.Set | ast.Tuple | ast.List) -> ast.AST:
        """Words of a list that have blanks in them count as well: code compares with them."""
        node.elts = [
            self.offered(each, ast.Constant(value=f"{each.value}XX"))
            if isinstance(each, ast.Constant) and isinstance(each.value, str) and " " in each.value
            else self.visit(each)
            for each in node.elts
        ]  # type: ignore[misc]  # expressions
        return node


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def mutants_of(source: str) -> tuple[Mutant, ...]:
    """Every mutant of a module, in the order of its text."""
    changer = _Changer()
    changer.visit(ast.parse(source))
    return tuple(changer.found)


def mutated(source: str, place: int) -> ast.Module:
    """The tree of the module with the change at `place` made."""
    tree = ast.parse(source)
    changed = _Changer(place).visit(tree)
    return ast.fix_missing_locations(changed)


def lines_of(found: tuple[Mutant, ...]) -> Iterator[int]:
    """The lines that have mutants."""
    return iter(sorted({each.line for each in found}))
