"""Finds the best setting of a simulator, and times two of them in turns."""

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from child import Child, ChildError, Setting, now

SHORT = 0.05
"""Runs shorter than this are timed several at a time [s]."""

HOPELESS = 5.0
"""Settings that are slower than another by this factor are not tried with larger batches: so are
two threads on a machine whose cores are busy."""

PAUSE = 0.5
"""Between turns [s]: the threads of some simulators go on spinning for a while after a run, and
would take a core from the next one."""

MOST_PAIRS = 9
FEWEST_PAIRS = 3
ACTIVITY_FACTOR = 1.5
"""The spikes of each layer may differ by this factor between integers and real numbers."""

FEWEST_SPIKES = 100
"""Layers with fewer spikes than this in a sample are not compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A setting and the time of one sample with it, the shortest of its runs [ms]."""

    setting: Setting
    ms: float


@dataclass(slots=True, kw_only=True)
class Measured:
    """What was found of one simulator on one network."""

    network: str
    simulator: str
    exact: bool = False
    versions: str = ""
    reason: str = ""
    """Why there are no numbers."""

    best: str = ""
    """Its best setting."""

    ms: float = math.nan
    """Median time of a sample at its best setting, in turns with ours [ms]."""

    spread: float = math.nan
    """(longest - shortest) / median of those times."""

    our_ms: float = math.nan
    """Median of ours, in the same turns [ms]."""

    our_spread: float = math.nan
    ratio: float = math.nan
    """Median over the turns of its time by ours."""

    ratios: list[float] = field(default_factory=list)
    alone_ms: float = math.nan
    """One sample at a time, at its best threads and mode [ms]."""

    our_alone_ms: float = math.nan
    agreement: str = ""
    """How its result was compared with ours."""

    tried: list[tuple[str, float]] = field(default_factory=list)


def search(child: Child, seconds: float, limit: float) -> list[Tried]:
    """Return the settings that were tried, best first.

    Batches grow until they would take more than a third of the time that is left, or until the
    threads and mode are `HOPELESS` times slower than others at the same batch.

    Args:
        child: The simulator.
        seconds: Time for the search; a setting that is running is not cut short by it.
        limit: Time for one run.

    Raises:
        ChildError: not even one sample ran.
    """
    end, found = now() + seconds, []
    facts = child.facts
    for batch in facts["batches"]:
        for mode in facts["modes"]:
            for threads in facts["threads"]:
                setting = Setting(batch=batch, threads=threads, mode=mode)
                guess = expected([t for t in found if t.setting.alike(setting)], batch)
                if found and (guess > (end - now()) / 3 or now() > end or hopeless(found, setting)):
                    continue
                try:
                    runs = child.run(setting, limit)
                    if runs[0] < (end - now()) / 8:  # the first run of a setting warms up
                        runs += child.run(setting, limit, times=2 if runs[0] < 10 * SHORT else 1)
                except ChildError:
                    if not found:
                        raise
                    return sorted(found, key=lambda t: t.ms)
                found.append(Tried(setting=setting, ms=1000 * min(runs) / batch))
    return sorted(found, key=lambda t: t.ms)


def hopeless(found: Sequence[Tried], setting: Setting) -> bool:
    """Return whether its threads and mode were much slower than others at a smaller batch."""
    own = {t.setting.batch: t.ms for t in found if t.setting.alike(setting)}
    return any(ms > HOPELESS * t.ms for t in found for b, ms in own.items() if t.setting.batch == b)


def expected(found: Sequence[Tried], batch: int) -> float:
    """Return what a run of a larger batch will take [s], from those of smaller ones."""
    taken = sorted((t.setting.batch, t.ms * t.setting.batch / 1000) for t in found)[-2:]
    if not taken:
        return 0.0
    if len(taken) == 1:
        return taken[0][1] * batch / taken[0][0] / 4  # most simulators gain from batches
    (small, short), (large, long) = taken
    return long + max(0.0, long - short) / (large - small) * (batch - large)


def alone(tried: Sequence[Tried]) -> float:
    """Return the time of one sample alone [ms]."""
    return min(t.ms for t in tried if t.setting.batch == 1)


def in_turns(
    ours: Child,
    our_best: Tried,
    theirs: Child,
    their_best: Tried,
    *,
    seconds: float,
    limit: float,
) -> tuple[list[float], list[float]]:
    """Return the times of a sample of ours and of theirs, run after run in turns [ms]."""
    end = now() + seconds
    times: tuple[list[float], list[float]] = ([], [])
    while len(times[0]) < MOST_PAIRS and (len(times[0]) < FEWEST_PAIRS or now() < end):
        for child, best, into in ((ours, our_best, times[0]), (theirs, their_best, times[1])):
            batch = best.setting.batch
            time.sleep(PAUSE)
            several = max(1, math.ceil(1000 * SHORT / (best.ms * batch)))
            runs = child.run(best.setting, limit, times=several)
            into.append(1000 * statistics.mean(runs) / batch)
        if now() > end and len(times[0]) >= 1 and their_best.ms > 1000 * seconds / FEWEST_PAIRS:
            break
    return times


def spread(times: Sequence[float]) -> float:
    """Return (longest - shortest) / median."""
    return (max(times) - min(times)) / statistics.median(times)


def agreement(found: Mapping[str, object], spikes: Mapping[str, float]) -> str:
    """Return how a peer's first sample was compared with ours, in words.

    Args:
        found: What the peer's check answered: `equal` and `what`, or `spikes` by layer.
        spikes: Of each layer, from the program.

    Raises:
        ChildError: they are not the same network.
    """
    if "equal" in found:
        if not found["equal"]:
            raise ChildError(f"not equal: {found['what']}")
        return f"equal {found['what']}"
    pairs = zip(spikes.items(), found["spikes"], strict=True)  # type: ignore[call-overload]
    worst, where = 1.0, ""
    for (name, ours), theirs in pairs:
        if max(ours, theirs) >= FEWEST_SPIKES:
            factor = max(ours, theirs) / max(1.0, min(ours, theirs))
            worst, where = max((worst, where), (factor, name))
    if worst > ACTIVITY_FACTOR:
        raise ChildError(f"{worst:.2f} times as many or as few spikes in {where}")
    return f"spikes of each layer within {100 * (worst - 1):.1f} %"
