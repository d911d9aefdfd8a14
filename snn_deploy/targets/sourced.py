"""Numbers that say where they were read: one, a range, a list."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sourced:
    """A whole number with its unit and where it was read."""

    value: int
    unit: str
    source: str

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcedRange:
    """An inclusive range of whole numbers with its unit and where it was read."""

    low: int
    high: int
    unit: str
    source: str

    def __contains__(self, number: int) -> bool:
        return self.low <= number <= self.high

    def __str__(self) -> str:
        return f"{self.low}..{self.high}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcedList:
    """Whole numbers, ascending, with their unit and where they were read."""

    values: tuple[int, ...]
    unit: str
    source: str

    def at_least(self, number: int) -> int | None:
        """Return the smallest of them that is not below `number`; None: there is none."""
        return next((value for value in self.values if value >= number), None)

    def __str__(self) -> str:
        return ", ".join(str(value) for value in self.values)
