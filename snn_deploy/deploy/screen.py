"""Text on a terminal that is narrower: tables are folded, sentences wrapped; no word is broken."""

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

GUTTER = 2
"""Blanks between the columns of a table, which no cell has in a row."""

NARROWEST = 24
"""Columns of the screen that a column of sentences is made no narrower than."""

KEY = re.compile(r"\s*\S+: |\s*(?:\S+(?: \S+)*\s{2,})*")
"""What stands before the text of a line, such as `  fix: ` or the first cells of a row."""

HANGING = 7
"""Most blanks before the further lines of a message, as many as `  fix: ` has."""

COMMAND = re.compile(r"  (?:fix|replay): (?:--|snn-deploy |pip )")
"""A line to be copied into a shell, so that it stays one."""


def fitted(text: str, width: int) -> str:
    """Return a text with no line longer than `width`, as far as its words allow.

    A table is a run of lines with two blanks or more between the same columns. Where it is too
    wide, columns of sentences are wrapped; if that is not enough, it becomes several tables below
    each other, each with the first column.
    """
    if all(len(line) <= width for line in text.splitlines()):
        return text
    lines: list[str] = []
    for rows, group in groupby(text.splitlines(), key=_has_cells):
        run = list(group)
        if rows and len(run) > 1 and max(map(len, run)) > width:
            lines += _table(run, width)
        elif max(map(len, run)) > width:
            for line in _paragraphs(run):
                lines += _wrapped(line, width)
        else:
            lines += run
    return "\n".join(lines)


def _has_cells(line: str) -> bool:
    return " " * GUTTER in line.strip()


def _paragraphs(lines: Sequence[str]) -> Iterator[str]:
    """Yield lines, those that were broken only because a page is no wider as one."""
    for _, group in groupby(lines, key=_indent):
        part = list(group)
        page = max(map(len, part))
        held, last = part[0], part[0]
        for line in part[1:]:
            word = (line.split() or [""])[0]
            if word and len(last) + 1 + len(word) > page:
                held = f"{held} {line.strip()}"
            else:
                yield held
                held = line
            last = line
        yield held


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _wrapped(line: str, width: int) -> list[str]:
    """Return a line as several, the further ones below its text."""
    if len(line) <= width or COMMAND.match(line):
        return [line]
    key = KEY.match(line)
    hanging = len(key[0]) if key else 0
    if key and key[0].endswith(": "):
        hanging = min(hanging, HANGING)
    if hanging > width // 2:
        hanging = _indent(line)
    return textwrap.wrap(
        line,
        width,
        subsequent_indent=" " * hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """A column of a table: its cells, as wide as the widest."""

    cells: tuple[str, ...]
    width: int
    least: int
    """What its cells can be wrapped to."""

    def at(self, width: int) -> list[list[str]]:
        """Return the lines of each cell at a width."""
        if width >= self.width:
            return [[cell] for cell in self.cells]
        cells = (
            textwrap.wrap(cell, width, break_long_words=False, break_on_hyphens=False)
            for cell in self.cells
        )
        return [lines or [""] for lines in cells]


def _table(lines: Sequence[str], width: int) -> Iterator[str]:
    """Yield the lines of a table that is too wide."""
    indent = min(map(_indent, lines))
    columns = [_column(lines, *ends) for ends in _columns(lines, indent)]
    if len(columns) == 1:
        for line in lines:
            yield from _wrapped(line, width)
        return
    for number, part in enumerate(_parts(columns, width - indent)):
        if number:
            yield ""
        for line in _laid_out(part, width - indent):
            yield (" " * indent + line).rstrip()


def _columns(lines: Sequence[str], indent: int) -> Iterator[tuple[int, int]]:
    """Yield where each column begins and ends: between are blanks in every line."""
    longest = max(map(len, lines))
    padded = [line.ljust(longest) for line in lines]
    blank = [all(line[at] == " " for line in padded) for at in range(longest)]
    begin = indent
    for at in range(indent, longest - 1):
        if not blank[at]:
            continue
        if at > begin and not blank[at - 1] and blank[at + 1]:
            yield begin, at
        if blank[at + 1]:
            begin = at + 2
    yield begin, longest


def _column(lines: Sequence[str], begin: int, end: int) -> _Column:
    cells = tuple(line[begin:end].rstrip() for line in lines)
    width = max(map(len, cells))
    longest_word = max((len(word) for cell in cells for word in cell.split()), default=0)
    prose = width > NARROWEST and not any(cell.startswith(" ") for cell in cells)
    return _Column(cells=cells, width=width, least=max(NARROWEST, longest_word) if prose else width)


def _parts(columns: Sequence[_Column], width: int) -> Iterator[list[_Column]]:
    """Yield the columns of each table, the first column in all of them."""
    first, *others = columns
    part = [first]
    for column in others:
        if len(part) > 1 and _total([c.least for c in (*part, column)]) > width:
            yield part
            part = [first]
        part.append(column)
    yield part


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GUTTER * (len(widths) - 1)


def _laid_out(columns: Sequence[_Column], width: int) -> Iterator[str]:
    """Yield the lines of one table, its columns of sentences as wide as there is room."""
    widths = [column.width for column in columns]
    for index in sorted(range(len(columns)), key=lambda i: -widths[i]):
        too_much = _total(widths) - width
        widths[index] = max(columns[index].least, widths[index] - max(0, too_much))
    cells = [column.at(wide) for column, wide in zip(columns, widths, strict=True)]
    for row in zip(*cells, strict=True):
        for line in range(max(map(len, row))):
            shown = (
                (cell[line] if line < len(cell) else "").ljust(wide)
                for cell, wide in zip(row, widths, strict=True)
            )
            yield (" " * GUTTER).join(shown).rstrip()
