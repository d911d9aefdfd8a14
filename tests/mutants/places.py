"""Where the code can be changed, and how: a sample of what cosmic-ray's operators make."""

import ast
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import parso
from cosmic_ray.ast import ast_nodes
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.provider import OperatorProvider

SEED = "2026"

KINDS = {
    "arithmetic": (
        "Add_Sub", "Add_Mul", "Sub_Add", "Mul_Add", "Mul_FloorDiv", "Div_Mul", "Div_FloorDiv",
        "FloorDiv_Mul", "FloorDiv_Div", "FloorDiv_Mod", "Mod_FloorDiv", "Mod_Mul", "Pow_Mul",
        "RShift_LShift", "LShift_RShift", "BitOr_BitAnd", "BitOr_BitXor", "BitAnd_BitOr",
        "BitXor_BitAnd",
    ),
    "comparison": (
        *(f"{a}_{b}" for a in ("Eq", "NotEq", "Lt", "LtE", "Gt", "GtE")
          for b in ("Eq", "NotEq", "Lt", "LtE", "Gt", "GtE") if a != b),
        "Is_IsNot", "IsNot_Is",
    ),
    "sign": ("USub_UAdd", "Delete_USub", "Invert_USub", "Delete_Invert", "Delete_Not"),
    "condition": ("AddNot",),
    "boolean": (
        "ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd",
    ),
    "number": ("NumberReplacer",),
    "loop": ("ZeroIterationForLoop", "ReplaceBreakWithContinue", "ReplaceContinueWithBreak"),
    "exception": ("ExceptionReplacer",),
}  # fmt: skip
"""The operators that are drawn from. Left out: those that take a decorator away, which the import
already fails of, and those between == and `is`, which mean the same to enums."""

_PREFIX = {
    "arithmetic": "ReplaceBinaryOperator_",
    "comparison": "ReplaceComparisonOperator_",
    "sign": "ReplaceUnaryOperator_",
}

_NODES = {
    "arithmetic": {"operator"},
    "comparison": {"comparison"},
    "sign": {"factor", "not_test"},
    "condition": {"if_stmt", "while_stmt", "assert_stmt", "test"},
    "boolean": {"keyword"},
    "number": {"number"},
    "loop": {"for_stmt", "keyword"},
    "exception": {"except_clause"},
}
"""The nodes that each kind of operator looks at."""

Position = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change of one file."""

    name: str
    """Digest of where and what: the same as long as the line and its function's name are."""

    file: str
    line: int
    function: str
    text: str
    """The line as it is."""

    becomes: str
    """The same line, changed."""

    operator: str
    occurrence: int
    """Which of the places that the operator finds in the file."""

    def source(self, root: Path) -> str:
        """Return the whole file, changed."""
        return changed((root / self.file).read_text(), self.operator, self.occurrence)


def changed(source: str, operator: str, occurrence: int) -> str:
    """Return `source` after an operator of cosmic-ray changed one place."""
    result = mutate_code(source, OperatorProvider()[operator](), occurrence)
    assert result is not None
    return result


def sampled(root: Path, files: list[str], count: int) -> tuple[list[Mutant], dict[str, int]]:
    """Return the mutants of `count` places, as drawn, and how many places there are of each kind.

    All places have the same chance. Which are drawn depends on a digest of each place alone, so
    that a change elsewhere leaves the sample as it is.
    """
    places: list[_Place] = []
    seen: Counter[str] = Counter()
    for file in files:
        places.extend(_places(file, (root / file).read_text(), seen))
    kinds = Counter(place.kind for place in places)
    drawn = sorted(places, key=lambda place: place.digest)[:count]
    texts = {file: (root / file).read_text() for file in {place.file for place in drawn}}
    found = [place.mutant(texts[place.file]) for place in drawn]
    return found, dict(kinds)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where something can be changed, in one of several ways."""

    file: str
    kind: str
    function: str
    start: Position
    digest: str
    ways: tuple[tuple[str, int], ...]
    """Operators, and which of their places this is."""

    def mutant(self, source: str) -> Mutant:
        operator, occurrence = self.ways[int(self.digest[-8:], 16) % len(self.ways)]
        before, line = source.splitlines(), self.start[0]
        after = changed(source, operator, occurrence).splitlines()
        named = f"{self.digest} {operator} {after[line - 1].strip()}"
        return Mutant(
            name=hashlib.sha256(named.encode()).hexdigest()[:10],
            file=self.file,
            line=line,
            function=self.function,
            text=before[line - 1].strip(),
            becomes=after[line - 1].strip(),
            operator=operator,
            occurrence=occurrence,
        )


def _places(file: str, source: str, seen: Counter[str]) -> Iterator[_Place]:
    """Yield the places of a file, but those that cannot change what it computes.

    `seen` counts places that look alike.
    """
    tree = ast.parse(source)
    nodes = list(ast_nodes(parso.parse(source)))
    lines, excluded, owners = source.splitlines(), _without_effect(tree), _functions(tree)
    for kind, operators in KINDS.items():
        found: dict[Position, list[tuple[str, int]]] = {}
        concerned = [node for node in nodes if node.type in _NODES[kind]]
        for short in operators:
            name = _PREFIX.get(kind, "") + short
            for occurrence, start in enumerate(_positions(name, concerned)):
                found.setdefault(start, []).append((name, occurrence))
        for start, ways in sorted(found.items()):
            if any(first <= start < behind for first, behind in excluded):
                continue
            line = lines[start[0] - 1]
            function = owners.get(start[0], "")
            column = start[1] - (len(line) - len(line.lstrip()))
            place = f"{function} {kind} {column} {line.strip()}"
            seen[place] += 1
            digest = hashlib.sha256(f"{SEED} {place} {seen[place]}".encode()).hexdigest()
            yield _Place(
                file=file,
                kind=kind,
                function=function,
                start=start,
                digest=digest,
                ways=tuple(ways),
            )


def _positions(operator: str, nodes: list[Any]) -> Iterator[Position]:
    made = OperatorProvider()[operator]()
    for node in nodes:
        for start, _ in made.mutation_positions(node):
            yield start


def _without_effect(tree: ast.Module) -> list[tuple[Position, Position]]:
    """Return the spans that compute nothing: annotations, and options that only forbid.

    These are `frozen`, `slots` and `kw_only` of `@dataclass`, `strict` of `zip`, `check` of a
    child process, and what is there for type checkers alone.
    """
    spans: list[tuple[Position, Position]] = []
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef():
                given = node.args
                arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs]
                arguments += [a for a in (given.vararg, given.kwarg) if a]
                spans += [_span(a.annotation) for a in arguments if a.annotation]
                spans += [_span(node.returns)] if node.returns else []
            case ast.AnnAssign():
                spans.append(_span(node.annotation))
            case ast.ClassDef():
                spans += [_span(decorator) for decorator in node.decorator_list]
            case ast.Call(func=ast.Name(id="zip")):
                spans += [_span(k.value) for k in node.keywords if k.arg == "strict"]
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                spans.append(_span(node))
            case ast.Subscript(
                value=ast.Name(id="Int" | "Float" | "Bool" | "Callable" | "Literal")
            ):
                spans.append(_span(node))
    return spans


def _span(node: ast.expr | ast.stmt) -> tuple[Position, Position]:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)


def _functions(tree: ast.Module) -> dict[int, str]:
    """Return the innermost function or class of each line, with those around it."""
    owners: dict[int, str] = {}

    def enter(node: ast.AST, around: str) -> None:
        for child in ast.iter_child_nodes(node):
            inside = around
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                inside = f"{around}.{child.name}".lstrip(".")
                first = min([child.lineno, *(d.lineno for d in child.decorator_list)])
                for line in range(first, (child.end_lineno or first) + 1):
                    owners[line] = inside
            enter(child, inside)

    enter(tree, "")
    return owners
