"""A program that is ready to run, and some samples that run on it."""

import numpy as np

from snn_deploy.backends.event.choices import Choices
from snn_deploy.backends.event.compiling import Kernels
from snn_deploy.backends.event.ends import Ends
from snn_deploy.backends.event.layers.plan import Layers, make_layers
from snn_deploy.backends.event.layers.suit import Bounds
from snn_deploy.backends.event.records import Records
from snn_deploy.backends.event.schedule import schedule
from snn_deploy.backends.event.units import Running, RunningLayers, RunningSteps, Sent, Steps
from snn_deploy.ir.neuron import State
from snn_deploy.ir.program import Program

_STRETCH = 256


class Machine:
    """A program that is ready to run; any number of sessions can use it at the same time.

    It does not hold on to the program itself.

    Args:
        program: What to run.
        horizon: No run has more steps.
        choices: How.
    """

    def __init__(self, program: Program, horizon: int, choices: Choices) -> None:
        self.order: tuple[str, ...] = ()
        """The populations, in the order of the records."""

        self._units: list[tuple[Ends, Layers | Steps]] = []
        bounds = Bounds(program)
        for unit in schedule(program, bounds, layers=choices.layers):
            ends = Ends.of(program, unit, len(self.order))
            if unit.plain:
                layers = make_layers(program, ends, bounds, horizon, choices)
                self._units.append((ends, layers))
            else:
                self._units.append((ends, Steps.of(program, ends, horizon)))
            self.order += unit.names
        self.stretch = _STRETCH if len(self._units) == 1 else choices.chunk
        """Steps that a session runs at once: what enters in them, and what goes from unit to unit,
        is in memory."""

    def start(self, samples: int) -> tuple[Running, ...]:
        """Return the units with the states of some samples."""
        return tuple(
            RunningLayers(ends, made, samples)
            if isinstance(made, Layers)
            else RunningSteps(ends, made, samples)
            for ends, made in self._units
        )

    @property
    def sample_bytes(self) -> int:
        """Memory for the states of one sample, and for events as long as the layers run."""
        return 1 + sum(made.sample_bytes for _, made in self._units)

    @property
    def kernels(self) -> frozenset[Kernels]:
        """The kernels that it runs."""
        kinds = (isinstance(made, Layers) for _, made in self._units)
        return frozenset(Kernels.LAYERS if is_layers else Kernels.STEPS for is_layers in kinds)

    def unit_of(self, name: str) -> int:
        """Return which unit a population belongs to."""
        return next(n for n, (ends, _) in enumerate(self._units) if name in ends.unit.names)


class Session:
    """Some samples that run on a machine, all from their start.

    Args:
        machine: The program.
        samples: How many run together.
    """

    def __init__(self, machine: Machine, samples: int) -> None:
        self.machine, self.samples = machine, samples
        self._units = machine.start(samples)
        self.reset()

    def reset(self) -> None:
        """Go back to the start."""
        self.step = 0
        for unit in self._units:
            unit.reset()

    def advance(self, given: Sent, sample: int, records: Records) -> None:
        """Run some steps, at most as many as the machine's stretch.

        Args:
            given: What enters each input in these steps.
            sample: The first of this session's samples in `records`.
            records: What to leave.
        """
        sent = dict(given)
        for unit in self._units:
            unit.advance(sent, self.step, sample, records)
        self.step += next(iter(given.values())).shape[1]

    def state(self, name: str, state: State) -> np.ndarray:
        """Return a state of a population as the last step left it, [sample, neuron]."""
        return self._units[self.machine.unit_of(name)].state(name, state)
