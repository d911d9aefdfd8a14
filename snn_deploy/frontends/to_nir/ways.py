"""Which neurons linear NIR nodes lead to, and whether an edge closes a loop by itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import nir

from snn_deploy.ir.network import Population


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """What linear nodes lead to, or come from."""

    neurons: frozenset[str]
    others: bool
    """Whether ports are there too, or a Delay is on the way."""


class Ways:
    """Ways over linear nodes, those that carry the step before left out."""

    def __init__(
        self,
        nodes: Mapping[str, nir.NIRNode],
        edges: Sequence[tuple[str, str]],
        cells: Mapping[str, Population],
    ) -> None:
        self._nodes, self._cells = nodes, cells
        self._after: dict[str, list[str]] = {}
        self._before: dict[str, list[str]] = {}
        for source, target in edges:
            self._after.setdefault(source, []).append(target)
            self._before.setdefault(target, []).append(source)

    def ahead(self, start: str) -> Ends:
        """Return what a node leads to, itself included."""
        return self._reached([start], self._after)

    def behind(self, start: str) -> Ends:
        """Return where what a node gives comes from, itself included."""
        return self._reached([start], self._before)

    def closes(self, source: str, target: str) -> bool:
        """Return whether an edge from one population to another closes a loop, and is the only
        way from one to the other."""
        onward = self._reached(self._after.get(source, []), self._after).neurons
        if target in onward:
            return False
        seen, pending = {target}, [target]
        while pending:
            name = pending.pop()
            for after in self._after.get(name, []):
                if after not in seen:
                    seen.add(after)
                    pending.append(after)
        return source in seen

    def _reached(self, starts: Sequence[str], following: Mapping[str, list[str]]) -> Ends:
        neurons: set[str] = set()
        others, pending, seen = False, list(starts), set(starts)
        while pending:
            name = pending.pop()
            if name in self._cells:
                neurons.add(name)
                continue
            others |= isinstance(self._nodes[name], nir.Input | nir.Output | nir.Delay)
            new = [n for n in following.get(name, []) if n not in seen]
            seen.update(new)
            pending += new
        return Ends(neurons=frozenset(neurons), others=others)
