"""The options of quantization from words, and the search for the bits of each layer on data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snn_deploy.backends.protocol import find_backend
from snn_deploy.deploy import runs
from snn_deploy.deploy.data import Data, encode
from snn_deploy.deploy.unheard import unheard
from snn_deploy.errors import DataError, OptionError
from snn_deploy.frontends import Imported
from snn_deploy.ir.codecs import needs, predict
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.presentation import dilated, present
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import Recording, Values
from snn_deploy.quantize import (
    Least,
    Objective,
    Options,
    Preset,
    Rounding,
    Searcher,
    Tried,
    compile_network,
    search_widths,
    sensitivity,
)
from snn_deploy.targets import Target

AUTO = "auto"
"""The word for bits that are searched."""

LABELLED_SAMPLES = 1000
"""Samples of the calibration data that accuracy is counted on."""

MAX_DROP = 0.5
"""Loss of accuracy that a search for bits accepts where none is stated [points]."""

Choose = Callable[[type[Any], str | None, str], Any]
"""Returns the member of an enum for a word of an option."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """The options of an export that say how numbers are rounded; see `api.export`."""

    bits: Any = None
    preset: str | None = None
    objective: str | None = None
    rounding: str | None = None
    bias_correction: bool | None = None
    per_channel: bool | None = None
    max_drop: float | None = None
    least: str | None = None
    search: str | bool = True
    prove: bool = False
    allow_overflow: bool = False
    time_dilation: str | None = None

    @property
    def automatic(self) -> bool:
        """Whether the bits are to be searched."""
        return isinstance(self.bits, str) and self.bits.strip().lower() == AUTO

    def options(self, choose: Choose) -> Options:
        """Return what `compile_network` takes, without bits where they are to be searched.

        Raises:
            OptionError: a word that means nothing, or options that contradict each other.
        """
        alone = {"max_drop": self.max_drop, "least": self.least}
        alone |= {"search": None if isinstance(self.search, bool) else self.search}
        for name, value in alone.items():
            if value is not None and not self.automatic:
                says = "says how bits are searched, and they are not"
                raise unheard(name, says, instead="--bits auto, or ")
        preset = choose(Preset, self.preset, "--preset")
        return Options(
            weight_bits=None if self.automatic else parse_bits(self.bits),
            preset=Preset.AUTO if preset is None else preset,
            objective=choose(Objective, self.objective, "--objective"),
            rounding=choose(Rounding, self.rounding, "--rounding"),
            bias_correction=self.bias_correction,
            per_channel=self.per_channel,
            search=self.search is not False,
            prove=self.prove,
            allow_overflow=self.allow_overflow,
            dilation=parse_dilation(self.time_dilation),
        )


def parse_dilation(given: str | int | None) -> int | None:
    """Return the steps of the chip for each step of the network that a text says; None: auto.

    Raises:
        OptionError: it says none.
    """
    if given is None:
        return 1
    if str(given).strip().lower() == AUTO:
        return None
    try:
        return int(given)
    except ValueError:
        raise OptionError(
            f"a time dilation of {given!r}; it is a number of steps or auto",
            where="--time-dilation",
            fix="--time-dilation auto",
        ) from None


def parse_bits(given: Any) -> int | Mapping[str, int] | None:
    """Return the bits that a text such as `4`, `fc1=3,fc2=8` or `4,fc2=8` says.

    Whole numbers and mappings stay what they are.

    Raises:
        OptionError: it says none.
    """
    if given is None or isinstance(given, int | Mapping):
        return given
    bits: dict[str, int] = {}
    for part in str(given).split(","):
        name, equals, number = part.rpartition("=")
        key = name.strip() if equals else "*"
        if not key or key in bits or not number.strip().isdecimal():
            raise OptionError(
                f"{given!r} says no bits",
                where="--bits",
                fix="--bits 4, --bits fc1=3,fc2=8, --bits 4,fc2=8 or --bits auto",
            )
        bits[key] = int(number)
    return bits["*"] if bits.keys() == {"*"} else bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """What a search for bits found."""

    bits: Mapping[str, int]
    finding: Finding


def search_bits(
    found: Imported,
    target: Target,
    data: Data,
    calibration: Sequence[Values],
    *,
    wishes: Wishes,
    options: Options,
    choose: Choose,
) -> Searched:
    """Return the bits of each layer with the least memory or energy at a bounded loss.

    Args:
        found: The network.
        target: The chip.
        data: Labelled samples.
        calibration: What scales are chosen on.
        wishes: Bound, aim and searcher.
        options: All other choices.
        choose: Reads the words of options.

    Raises:
        DataError: the data has no labels.
        OptionError: a word that means nothing, or optuna is asked for and missing.
    """
    if data.label is None:
        raise DataError(
            "to bound the loss of accuracy the calibration data needs labels",
            where="--calibrate",
            fix="np.savez(FILE, input=array, label=whole numbers), or --bits 4",
        )
    drop = MAX_DROP if wishes.max_drop is None else wishes.max_drop
    if not drop >= 0:
        raise OptionError(f"a loss of {drop:g} points", where="--max-drop", fix="--max-drop 0.5")
    word = wishes.search if isinstance(wishes.search, str) else None
    searcher = choose(Searcher, word, "--search")
    least = choose(Least, wishes.least, "--least") or Least.MEMORY
    exam = _Exam.of(found, data.spread(LABELLED_SAMPLES))

    def evaluate(bits: Mapping[str, int]) -> float:
        chosen = replace(options, weight_bits=dict(bits))
        compiled = compile_network(
            found.network, target, encoding=found.encoding, calibration=calibration, options=chosen
        )
        return exam.of_program(compiled.program)

    real = exam.of_network(found)
    result = search_widths(
        sensitivity(
            found.network,
            target,
            encoding=found.encoding,
            calibration=calibration,
            options=options,
            least=least,
        ),
        evaluate,
        least_accuracy=real - drop,
        searcher=searcher or Searcher.GREEDY,
    )
    return Searched(
        bits=result.best.bits, finding=_told(result.best, len(result.tried), real, drop, exam)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Exam:
    """Labelled samples, encoded once, with what reads the answers."""

    label: np.ndarray
    block: runs.Block
    real: tuple[Values, ...]

    @classmethod
    def of(cls, found: Imported, data: Data) -> "_Exam":
        assert data.label is not None
        steps = encode(data, found.encoding)
        boundary = found.network.boundary
        block = runs.Block(
            inputs=present(boundary, steps.whole), number=data.number, steps=steps.steps
        )
        return cls(label=data.label, block=block, real=present(boundary, steps.real))

    def of_program(self, program: Any) -> float:
        """Return the share of right answers of an integer program [%]."""
        output = program.outputs[0]
        record = Recording(
            states=frozenset({needs(output.decode)}), populations=(output.population,)
        )
        inputs = dilated(self.block.inputs, program.period)
        trace = find_backend("event").run(program, inputs, record)
        return self._score(runs.program_answer(program, output, trace, self.block))

    def of_network(self, found: Imported) -> float:
        """Return the same of the real-valued network [%]."""
        output = found.network.outputs[0]
        record = Recording(
            states=frozenset({needs(output.decode)}), populations=(output.population,)
        )
        trace = simulate(found.network, self.real, record)
        return self._score(runs.network_answer(found.network, output, trace, self.block))

    def _score(self, answer: np.ndarray) -> float:
        return 100 * float(np.mean(predict(answer) == self.label))


def _told(best: Tried, programs: int, real: float, drop: float, exam: _Exam) -> Finding:
    """Return the finding that says what the search chose, and what that loses."""
    bits = ",".join(f"{name}={number}" for name, number in best.bits.items())
    amount = (
        f"--bits {bits}: {best.accuracy:.2f} % of {len(exam.label)} labelled samples right, "
        f"{real:.2f} % in real values"
    )
    if best.accuracy >= real - drop:
        reason = f"the least of {programs} programs that lose at most {drop:g} points"
        return Finding(kind=Kind.ROUNDED, layer="", amount=amount, reason=reason)
    reason = (
        f"none of {programs} programs loses at most {drop:g} points; --max-drop with more, "
        "a --target with wider weights, or training with rounded weights"
    )
    return Finding(kind=Kind.CHANGED, layer="", amount=amount, reason=reason)
