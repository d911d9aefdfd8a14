"""A simulator that keeps its states between calls: for closed loops, and for long inputs."""

from collections.abc import Sequence

import numpy as np

from snn_deploy.backends.event.choices import Choices
from snn_deploy.backends.event.compiling import first_use
from snn_deploy.backends.event.records import Room
from snn_deploy.backends.event.rest import FOREVER
from snn_deploy.backends.event.run import given_in
from snn_deploy.backends.event.session import Machine, Session
from snn_deploy.backends.event.units import cache_folder
from snn_deploy.backends.protocol import checked
from snn_deploy.errors import DataError, UnknownNameError
from snn_deploy.ir.neuron import State
from snn_deploy.ir.program import Program
from snn_deploy.ir.trace import COUNTS, PAYLOADS, Recording, Trace, Values


class Simulator:
    """The event-driven simulator with states of its own, bit for bit those of the reference.

    Each call goes on where the last one ended, so that any cutting of an input into calls gives the
    same states. A run needs memory for the parameters, the states, its own part of the input and
    what it records, and for nothing that grows with the steps before it.

    Args:
        program: What to run.
        samples: How many run side by side, each with states of its own.

    Raises:
        DataError: `samples` is not 1 or more (SNN208).
    """

    def __init__(self, program: Program, samples: int = 1) -> None:
        if samples < 1:
            raise DataError(f"a simulator of {samples} samples", fix="give 1 or more")
        self.program, self.samples = program, samples
        self._machine = Machine(program, FOREVER, Choices())
        self._session = Session(self._machine, samples)

    @property
    def steps(self) -> int:
        """Steps since the start."""
        return self._session.step

    def reset(self) -> None:
        """Go back to the start: every state is initial, and nothing is on its way."""
        self._session.reset()

    def run(self, inputs: Sequence[Values], record: Recording = COUNTS) -> Trace:
        """Run as many steps as the inputs have, and return what they leave.

        Args:
            inputs: Integers, [sample, step, *shape] for each input of the program.
            record: The states to keep of these steps.

        Returns:
            The trace of these steps alone; nothing is run behind them, as `Backend.run` does to let
            every population see all steps (`Program.lag`).

        Raises:
            InputRangeError: a value lies outside what the program declares (SNN504).
            DataError: an input is missing, or has a wrong shape, dtype or number of samples
                (SNN208).
        """
        given = checked(self.program, inputs)
        samples, steps = given[0].values.shape[:2]
        if samples != self.samples:
            raise DataError(
                f"inputs of {samples} samples for a simulator of {self.samples}",
                fix=f"make it with Simulator(program, samples={samples})",
            )
        order = [self.program.population(name) for name in self._machine.order]
        room = Room(order, record, samples, self.steps, steps)
        with first_use(self._machine.kernels, cache_folder()):
            for begin in range(0, steps, self._machine.stretch):
                stretch = slice(begin, min(begin + self._machine.stretch, steps))
                now = given_in(given, slice(0, samples), stretch)
                self._session.advance(now, 0, room.records)
        traces = tuple(room.trace(population.name) for population in self.program.populations)
        return Trace(steps=steps, populations=traces)

    def step(self, **values: np.ndarray) -> dict[str, np.ndarray]:
        """Run one step.

        Args:
            **values: Integers, [sample, *shape] for each input of the program.

        Returns:
            What each population sends in this step, [sample, *shape].

        Raises:
            InputRangeError: a value lies outside what the program declares (SNN504).
            DataError: an input is missing, or has a wrong shape, dtype or number of samples
                (SNN208).
        """
        inputs = [Values(name=name, values=array[:, None]) for name, array in values.items()]
        trace = self.run(inputs, PAYLOADS)
        sent = {population.name: population.payload for population in trace.populations}
        return {name: payload[:, 0] for name, payload in sent.items() if payload is not None}

    def state(self, population: str, state: State) -> np.ndarray:
        """Return a state as the last step left it.

        Args:
            population: Its name.
            state: One that its neurons have.

        Returns:
            Integers, [sample, *shape].

        Raises:
            UnknownNameError: there is no such population, or its neurons have no such state
                (SNN101).
        """
        names = [p.name for p in self.program.populations]
        if population not in names:
            raise UnknownNameError(
                f"no population is called {population!r}; there are {', '.join(names)}"
            )
        neurons = self.program.population(population)
        if state not in neurons.states:
            there = ", ".join(sorted(known.value for known in neurons.states))
            raise UnknownNameError(
                f"neurons of {population!r} have no {state.value!r}; they have {there}"
            )
        return self._session.state(population, state).reshape(self.samples, *neurons.shape)
