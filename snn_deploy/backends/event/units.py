"""The units of a program, ready to run: each takes what others sent and gives what it sends.

Between units, what neurons send in a stretch of steps is a dense array in the program's order; it
exists for one stretch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from jaxtyping import Shaped

from snn_deploy.backends.event.ends import Ends
from snn_deploy.backends.event.flat import LINE, on_lines, side_by_side
from snn_deploy.backends.event.layers.kernels.advance import KERNELS, new_room
from snn_deploy.backends.event.layers.plan import Layers
from snn_deploy.backends.event.layers.tables import Given
from snn_deploy.backends.event.records import ABSENT, REGISTER_OF, Records
from snn_deploy.backends.event.sources import SOURCES
from snn_deploy.backends.event.stepwise.kernels.loop import advance_steps
from snn_deploy.backends.event.stepwise.plan import make_plan
from snn_deploy.backends.event.stepwise.tables import Plan
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import Decode, State
from snn_deploy.ir.program import Input, Program

Sent = dict[str, Shaped[np.ndarray, "sample step neuron"]]
"""What nodes send in a stretch of steps, in the program's order of neurons; of any type that holds
it."""


class Running(Protocol):
    """A unit with the states of some samples."""

    def reset(self) -> None:
        """Set every state to its initial value; nothing is on its way."""

    def advance(self, sent: Sent, start: int, sample: int, records: Records) -> None:
        """Run the steps that `sent` has, from step `start` on, and add to it what others read.

        Args:
            sent: What the nodes that it reads send; the samples are those of this unit.
            start: The first step.
            sample: The first of these samples in `records`.
            records: What to leave.
        """

    def state(self, name: str, state: State) -> np.ndarray:
        """Return a state of one of its populations, [sample, neuron], in the program's order."""


class RunningLayers:
    """Layers with the states of some samples."""

    def __init__(self, ends: Ends, layers: Layers, samples: int) -> None:
        self._ends, self._layers, self._samples = ends, layers, samples
        self._streams, self._room = layers.streams(samples), new_room(layers.plan)
        self._spikes = np.empty((0, 0, 0), np.uint8)

    def reset(self) -> None:
        """See `Running`."""
        _check(KERNELS.initialize(self._layers.plan, self._streams))

    def advance(self, sent: Sent, start: int, sample: int, records: Records) -> None:
        """See `Running`."""
        layers, part = self._layers, records.of(self._ends.rows)
        given = self._given(sent)
        first = start, sample
        _check(KERNELS.advance(layers.plan, self._streams, self._room, first, given, part))
        for name, columns in layers.sent.items():
            sent[name] = given.sent[:, :, columns]

    def _given(self, sent: Sent) -> Given:
        """Lay out what enters as the kernels read it."""
        layers, steps = self._layers, next(iter(sent.values())).shape[1]
        lead = self._samples, steps
        shape = *lead, _width(layers.spikes, LINE)
        if self._spikes.shape != shape:
            self._spikes = on_lines(shape, np.uint8)
        spikes = self._spikes
        for name, columns in layers.spikes.items():
            spikes[:, :, columns] = sent[name]
        values = np.zeros((*lead, _width(layers.values, LINE // 4)), np.int32)
        for name, columns in layers.values.items():
            values[:, :, columns] = sent[name]
        out = np.zeros((*lead, _width(layers.sent)), np.int32)
        return Given(spikes=spikes, values=values, sent=out)

    def state(self, name: str, state: State) -> np.ndarray:
        """See `Running`."""
        layer = self._layers.plan.layers[self._ends.unit.names.index(name)]
        first, place = int(layer[_CELL_OF[state]]), self._layers.places[name]
        cells = self._streams.cells
        if first == ABSENT:
            first, cells = int(layer["marks"]), self._streams.marks
        values = np.empty((self._samples, place.size), np.int64)
        values[:, place] = cells[:, first : first + place.size]
        return values


_CELL_OF = {State.CURRENT: "current", State.MEMBRANE: "membrane", State.PAYLOAD: "payload"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Populations of any kind that are ready to run, step by step."""

    plan: Plan
    given: Mapping[str, slice]
    """Which of the numbers that leave the unit in a step each population sends."""

    horizon: int
    """No run has more steps."""

    @property
    def sample_bytes(self) -> int:
        """Memory for the states of one sample."""
        return 8 * int(self.plan.rules[0]["cells"])

    @classmethod
    def of(cls, program: Program, ends: Ends, horizon: int) -> "Steps":
        """Plan the populations of a unit of `program`."""
        plan = make_plan(part_of(program, ends.unit.names, ends.reads), horizon)
        given = side_by_side((name, program.population(name).size) for name in ends.gives)
        for name, columns in given.items():
            plan.populations[ends.unit.names.index(name)]["sent"] = columns.start
        return cls(plan=plan, given=given, horizon=horizon)


class RunningSteps:
    """Populations of any kind with the states of some samples."""

    def __init__(self, ends: Ends, steps: Steps, samples: int) -> None:
        self._ends, self._unit, self._samples = ends, steps, samples
        self._cells = np.zeros((samples, int(steps.plan.rules[0]["cells"])), np.int64)
        self._width = _width(steps.given)

    def reset(self) -> None:
        """See `Running`. The kernel itself sets the states before step 0."""

    def advance(self, sent: Sent, start: int, sample: int, records: Records) -> None:
        """See `Running`."""
        steps = next(iter(sent.values())).shape[1]
        none = np.zeros((self._samples, steps, 0), np.int32)
        entering = [none, *(sent[name] for name in self._ends.reads)]
        payloads = np.concatenate(entering, axis=2, dtype=np.int32, casting="unsafe")
        given = np.zeros((self._samples, steps, self._width), np.int32)
        part = records.of(self._ends.rows)
        _check(
            advance_steps(
                self._unit.plan,
                self._cells,
                payloads,
                sample,
                start,
                self._unit.horizon,
                given,
                part,
            )
        )
        for name, columns in self._unit.given.items():
            sent[name] = given[:, :, columns]

    def state(self, name: str, state: State) -> np.ndarray:
        """See `Running`."""
        population = self._unit.plan.populations[self._ends.unit.names.index(name)]
        first, size = int(population["registers"][REGISTER_OF[state]]), int(population["size"])
        assert first != ABSENT
        place = self._unit.plan.numbers[int(population["place"]) :][:size]
        values = np.empty((self._samples, size), np.int64)
        values[:, place] = self._cells[:, first : first + size]
        return values


def _width(columns: Mapping[str, slice], whole: int = 1) -> int:
    """Return how many columns there are, to the next multiple of `whole`."""
    end = max((of_one.stop for of_one in columns.values()), default=0)
    return -(-end // whole) * whole


def part_of(program: Program, names: Sequence[str], reads: Sequence[str]) -> Program:
    """Return a program of some populations, whose inputs are all the nodes that they read."""
    inputs = []
    for node in program.nodes:
        if node.name in reads:
            low, high = program.payload_range(node.name)
            inputs.append(Input(name=node.name, shape=node.shape, low=low, high=high))
    return replace(
        program,
        inputs=tuple(inputs),
        populations=tuple(program.population(name) for name in names),
        projections=tuple(p for p in program.projections if p.target in names),
        outputs=(Output(name="y", population=names[0], decode=Decode.MEMBRANE_END),),
    )


def cache_folder() -> Path:
    """Return where the compiler keeps what it has compiled."""
    dispatcher: Any = KERNELS.advance
    return Path(dispatcher.stats.cache_path)


def _check(sources: int) -> None:
    assert sources == SOURCES, "kernels compiled from other sources"
