"""One network: ours held to the reference, then every peer timed in turns with ours."""

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from case import counted, differences, operations, write_case, write_expected
from child import Child, ChildError, now
from measure import Measured, Tried, agreement, alone, in_turns, search, spread
from networks import Case
from peers import Peer, command, our_command

from snn_deploy.backends.event import EventBackend
from snn_deploy.ir.trace import EVERYTHING, Trace

LIMIT = 60.0
"""Seconds that one run may take."""

START_LIMIT = 90.0
"""Seconds that a child may take to start; some build the network then, and run a sample."""

SEARCH_SHARE = 0.55
"""Of a peer's time, for the search of its best setting; the rest is for the turns."""

CHECK_LIMIT = 180.0
"""Seconds for the check, before which some compile; what it takes is not part of the budget."""

OUR_SHARE = 1.5
"""Time for the search of our best setting, once a network, by a peer's."""

OURS = "event"


def contest(
    case: Case,
    folder: Path,
    peers: Mapping[Peer, str],
    budget: float,
    say: Callable[[str], None],
) -> tuple[dict[str, Any], list[Measured]]:
    """Return the facts of a network, and a row for ours and for each peer.

    Args:
        case: The network.
        folder: An empty folder for it.
        peers: Each with why it cannot run here; empty if it can.
        budget: Seconds for each peer.
        say: Called with what happens.
    """
    say(f"{case.name}: {case.title}; reference")
    write_case(case, folder)
    trace = held_to_reference(case)
    write_expected(trace, folder)
    with Child(our_command(folder), folder / "ours.log", START_LIMIT) as child:
        tried = search(child, OUR_SHARE * budget, LIMIT)
        ring = Ring(
            folder=folder, ours=child, tried=tried, spikes=counted(case, trace), budget=budget
        )
        rows = [ring.alone(case)]
        say(f"  {OURS}: {tried[0].ms:.3g} ms a sample ({tried[0].setting})")
        for peer, missing in peers.items():
            row = Measured(network=case.name, simulator=peer.name, exact=peer.exact)
            row.reason = missing or ring.against(peer, row)
            rows.append(row)
            say(f"  {peer.name}: {row.reason or f'{row.ms:.3g} ms, ratio {row.ratio:.3g}'}")
    return facts_of(case, trace, tried), rows


def held_to_reference(case: Case) -> Trace:
    """Return every state of the first sample.

    Raises:
        SystemExit: the event simulator differs from the reference.
    """
    backend = EventBackend(threads=1)
    wrong = differences(case, backend)
    if wrong:
        raise SystemExit(f"{case.name}: the event simulator differs from the reference in {wrong}")
    return backend.run(case.program, case.batch(1), EVERYTHING)


def facts_of(case: Case, trace: Trace, tried: list[Tried]) -> dict[str, Any]:
    """Return what the tables say of a network."""
    spikes = counted(case, trace)
    one = next(t for t in tried if t.setting.threads == 1)
    return {
        "name": case.name,
        "title": case.title,
        "steps": case.steps,
        "activity": {
            layer.name: spikes[layer.name] / (case.steps * math.prod(layer.shape))
            for layer in case.layers
        },
        "input_activity": float((case.inputs[0] != 0).mean()),
        "operations": operations(case, trace),
        "one_thread_ms": one.ms,
        "one_thread": str(one.setting),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """Our simulator, ready to be timed in turns with others on one network."""

    folder: Path
    ours: Child
    tried: list[Tried]
    spikes: dict[str, float]
    budget: float

    def alone(self, case: Case) -> Measured:
        """Return our own row."""
        best = self.tried[0]
        return Measured(
            network=case.name,
            simulator=OURS,
            exact=True,
            versions=self.ours.facts["versions"],
            best=str(best.setting),
            ms=best.ms,
            our_ms=best.ms,
            ratio=1.0,
            alone_ms=alone(self.tried),
            our_alone_ms=alone(self.tried),
            agreement=f"equal reference, all states of {case.checked or case.steps} steps",
            tried=[(str(t.setting), t.ms) for t in self.tried],
        )

    def against(self, peer: Peer, row: Measured) -> str:
        """Fill the row of a peer; return why there are no numbers, or nothing."""
        limit = max(LIMIT, self.budget)
        log = self.folder / f"{peer.name}.log"
        try:
            with Child(command(peer, self.folder), log, START_LIMIT) as theirs:
                row.versions = theirs.facts["versions"]
                row.agreement = agreement(theirs.check(CHECK_LIMIT), self.spikes)
                end = now() + self.budget
                tried = search(theirs, max(1.0, SEARCH_SHARE * (end - now())), limit)
                left = max(2.0, end - now())
                times = in_turns(
                    self.ours, self.tried[0], theirs, tried[0], seconds=left, limit=limit
                )
        except ChildError as problem:
            return str(problem)
        row.our_ms, row.ms = (statistics.median(part) for part in times)
        row.our_spread, row.spread = (spread(part) for part in times)
        row.ratios = [theirs / ours for ours, theirs in zip(*times, strict=True)]
        row.ratio = statistics.median(row.ratios)
        row.best, row.tried = str(tried[0].setting), [(str(t.setting), t.ms) for t in tried]
        row.alone_ms, row.our_alone_ms = alone(tried), alone(self.tried)
        return ""
