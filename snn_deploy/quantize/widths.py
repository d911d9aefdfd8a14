"""The search for the bits of each layer: the least memory or energy at a bounded loss of accuracy.

First each layer alone is rounded at each width: its error tells how sensitive it is. Then a path
leads from all bits to the fewest, each step taking one bit where that costs least error for what
it saves; its last point that loses no more than allowed is found by bisection, and from there
single layers are taken further down. Every point that counts is a program that was run.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from math import fsum

from snn_deploy.errors import OptionError

FEWEST = 2
"""Bits of the coarsest weights."""


class Least(Enum):
    """What the search makes small."""

    MEMORY = "memory"
    """Bits of all stored weights."""

    ENERGY = "energy"
    """Bits of weights that are read per sample: synaptic events times their width."""


class Searcher(Enum):
    """Who searches."""

    GREEDY = "greedy"
    OPTUNA = "optuna"
    """The package optuna, started from what the greedy search found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Widths:
    """What the search knows of a layer before anything is run."""

    name: str
    """The population whose inputs these weights are."""

    cost: float
    """What one bit of all its weights costs: their number, or the times they are read."""

    errors: Mapping[int, float]
    """Error of the layer alone, by bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One program that was run."""

    bits: Mapping[str, int]
    accuracy: float
    """On the labelled data [%]."""

    cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The result of the search, with all that was run."""

    best: Tried
    tried: tuple[Tried, ...]


Evaluate = Callable[[Mapping[str, int]], float]
"""Accuracy [%] of the program with the given bits by layer."""


class Bench:
    """Runs programs, none twice, and keeps what it saw.

    Args:
        layers: What is searched.
        evaluate: Runs one program.
        least_accuracy: What a program must reach [%].
    """

    def __init__(self, layers: Sequence[Widths], evaluate: Evaluate, least_accuracy: float) -> None:
        self.layers = layers
        self.least_accuracy = least_accuracy
        self._evaluate = evaluate
        self._seen: dict[tuple[int, ...], Tried] = {}

    def run(self, bits: Mapping[str, int]) -> Tried:
        """Return what the program with `bits` reaches."""
        key = tuple(bits[layer.name] for layer in self.layers)
        if key not in self._seen:
            cost = fsum(layer.cost * bits[layer.name] for layer in self.layers)
            self._seen[key] = Tried(bits=dict(bits), accuracy=self._evaluate(bits), cost=cost)
        return self._seen[key]

    def passes(self, bits: Mapping[str, int]) -> bool:
        """Return whether the program with `bits` is accurate enough."""
        return self.run(bits).accuracy >= self.least_accuracy

    @property
    def found(self) -> Found:
        """The cheapest that was accurate enough, of equals the most accurate; else the best."""
        tried = tuple(self._seen.values())
        good = [t for t in tried if t.accuracy >= self.least_accuracy]
        if good:
            return Found(best=min(good, key=lambda t: (t.cost, -t.accuracy)), tried=tried)
        return Found(best=max(tried, key=lambda t: (t.accuracy, -t.cost)), tried=tried)


def search_widths(
    layers: Sequence[Widths],
    evaluate: Evaluate,
    *,
    least_accuracy: float,
    searcher: Searcher = Searcher.GREEDY,
    runs: int = 40,
) -> Found:
    """Return the cheapest bits by layer that reach `least_accuracy`.

    Where not even all bits reach it, the most accurate of what was tried.

    Args:
        layers: What is searched.
        evaluate: Runs the program with the given bits.
        least_accuracy: What it must reach [%].
        searcher: Greedy alone, or optuna after it.
        runs: Programs that optuna runs besides.

    Raises:
        OptionError: optuna is asked for and not installed.
    """
    bench = Bench(layers, evaluate, least_accuracy)
    path = descent(layers)
    if bench.passes(path[0]):
        _refine(bench, path[_last_passing(bench, path)])
        if searcher is Searcher.OPTUNA:
            _with_optuna(bench, runs)
    return bench.found


def descent(layers: Sequence[Widths]) -> list[dict[str, int]]:
    """Return the points from all bits to the fewest, one bit of one layer less at each."""
    bits = {layer.name: max(layer.errors) for layer in layers}
    path = [dict(bits)]
    while True:
        open_ends = [layer for layer in layers if bits[layer.name] > min(layer.errors)]
        if not open_ends:
            return path
        least = min(open_ends, key=lambda layer: _price(layer, bits[layer.name]))
        bits[least.name] -= 1
        path.append(dict(bits))


def _price(layer: Widths, bits: int) -> float:
    """Return the error that one bit less adds, per cost that it saves."""
    return (layer.errors[bits - 1] - layer.errors[bits]) / max(layer.cost, 1e-300)


def _last_passing(bench: Bench, path: Sequence[Mapping[str, int]]) -> int:
    """Return the index of a point that passes while the next does not. The first one passes."""
    low, high = 0, len(path)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if bench.passes(path[middle]) else (low, middle)
    return low


def _refine(bench: Bench, start: Mapping[str, int]) -> None:
    """Take single layers down from `start` as far as each goes, the most costly first."""
    bits = dict(start)
    for layer in sorted(bench.layers, key=lambda layer: -layer.cost):
        while bits[layer.name] > min(layer.errors):
            fewer = {**bits, layer.name: bits[layer.name] - 1}
            if not bench.passes(fewer):
                break
            bits = fewer


def _with_optuna(bench: Bench, runs: int) -> None:
    """Let optuna's tree-structured Parzen estimator look around what was found.

    Raises:
        OptionError: it is not installed.
    """
    try:
        import optuna  # noqa: PLC0415 - an extra, only when asked for
    except ImportError:
        raise OptionError(
            "optuna is not installed",
            where="--search optuna",
            fix="pip install snn-deploy[search], or --search greedy",
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    all_bits = fsum(layer.cost * max(layer.errors) for layer in bench.layers)

    def objective(trial: "optuna.Trial") -> float:
        bits = {
            layer.name: trial.suggest_int(layer.name, min(layer.errors), max(layer.errors))
            for layer in bench.layers
        }
        tried = bench.run(bits)
        missing = max(0.0, bench.least_accuracy - tried.accuracy)
        return tried.cost / all_bits + missing

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    study.enqueue_trial(dict(bench.found.best.bits))
    study.optimize(objective, n_trials=runs)
