"""Which of the settings that were tried are worth having, and which one is taken."""

from collections.abc import Sequence

from snn_deploy.deploy.tuning.measuring import Measured
from snn_deploy.deploy.tuning.study import Aim, Tried


def front(tried: Sequence[Tried], aims: Sequence[Aim]) -> tuple[Tried, ...]:
    """Return the trials that no other beats: the Pareto front, the most accurate first.

    Of trials that are equal in all aims the first one stays.
    """
    kept: list[Tried] = []
    seen: set[tuple[float, ...]] = set()
    goods = [(_goods(one.measured, aims), one) for one in tried if one.measured is not None]
    for goodness, one in goods:
        beaten = any(
            other != goodness and all(a >= b for a, b in zip(other, goodness, strict=True))
            for other, _ in goods
        )
        if not beaten and goodness not in seen:
            seen.add(goodness)
            kept.append(one)
    return tuple(sorted(kept, key=lambda one: _goods(one.measured, aims), reverse=True))


def _goods(found: Measured | None, aims: Sequence[Aim]) -> tuple[float, ...]:
    """Return what is the better the larger it is."""
    assert found is not None
    return (found.accuracy, *(-aim.of(found) for aim in aims))


def chosen(tried: Sequence[Tried], aims: Sequence[Aim], max_drop: float) -> Tried:
    """Return the trial that is least in the first aim among those accurate enough.

    Accuracy is bounded against the first trial, which is the request's own setting.

    Args:
        tried: All trials; the first one was measured.
        aims: What is made small.
        max_drop: Loss of accuracy that is accepted [points].
    """
    first = tried[0].measured
    assert first is not None
    least = first.accuracy - max_drop - 1e-9
    good = [
        (one.measured, one)
        for one in tried
        if one.measured is not None and one.measured.accuracy >= least
    ]
    return min(good, key=lambda item: (aims[0].of(item[0]), -item[0].accuracy, item[1].number))[1]
