"""Adds up the events of many blocks of samples, and prices them."""

from collections import defaultdict
from collections.abc import Sequence

from snn_deploy.deploy.energy.counting import Wiring, counted_layers
from snn_deploy.deploy.energy.events import Event, LayerCount
from snn_deploy.deploy.energy.happened import Happened
from snn_deploy.deploy.energy.latency import Clock, Latency, fixed_latency, serial_latency
from snn_deploy.deploy.energy.memory import Memory
from snn_deploy.deploy.energy.model import Estimate, estimate
from snn_deploy.deploy.energy.placement import Placement
from snn_deploy.deploy.energy.profile import Profile
from snn_deploy.deploy.energy.queues import queued
from snn_deploy.deploy.energy.work import work
from snn_deploy.ir.program import Program
from snn_deploy.ir.trace import Trace, Values


class Tally:
    """Events of a program on samples that come in blocks.

    Args:
        program: What is run.
        profiles: What is priced: one estimate for each.
        placement: Cores of all neurons; None: not known.
    """

    def __init__(
        self, program: Program, profiles: Sequence[Profile], placement: Placement | None
    ) -> None:
        self._wiring = Wiring.of(program, placement)
        self._profiles = tuple(profiles)
        self._totals = {node.name: defaultdict[Event, float](float) for node in program.nodes}
        self._sizes = {node.name: node.size for node in program.nodes}
        self._steps = 0
        self._clocks = {
            profile.name: Clock(profile, placement)
            for profile in profiles
            if placement is not None and profile.needs_cores
        }

    def add(self, inputs: Sequence[Values], trace: Trace, steps: int) -> None:
        """Add the events of a block.

        Args:
            inputs: What was given, [sample, step, *shape].
            trace: Its trace, with every state.
            steps: Steps of a sample on the chip.
        """
        rows = inputs[0].values.shape[0]
        happened = Happened.of(self._wiring.program, inputs, trace)
        for layer in counted_layers(self._wiring, happened, steps):
            for event, number in layer.counts.items():
                self._totals[layer.layer][event] += number * rows
        self._steps += rows * trace.steps
        if self._clocks:
            for some in work(self._wiring, happened):
                for clock in self._clocks.values():
                    clock.add(some)
            for clock in self._clocks.values():
                for times in queued(self._wiring, clock.profile, happened):
                    clock.add_queued(times)

    def layers(self, samples: int) -> tuple[LayerCount, ...]:
        """Return the mean events of a sample."""
        return tuple(
            LayerCount(
                layer=name,
                neurons=self._sizes[name],
                counts={event: number / samples for event, number in total.items()},
            )
            for name, total in self._totals.items()
        )

    def estimates(
        self, *, samples: int, steps: int, note: str = "", memory: Memory | None = None
    ) -> tuple[Estimate, ...]:
        """Return an estimate for each profile.

        Args:
            samples: Samples that were added.
            steps: Steps of each, in those of the network.
            note: What a reader must know of the profile.
            memory: What the network takes.
        """
        layers, placement = self.layers(samples), self._wiring.placement
        return tuple(
            estimate(
                layers,
                profile,
                note=note,
                samples=samples,
                steps=steps,
                latency=self._latency(profile, layers, samples),
                chips=placement.chips if placement and profile.needs_cores else 1,
                memory=memory,
            )
            for profile in self._profiles
        )

    def _latency(
        self, profile: Profile, layers: tuple[LayerCount, ...], samples: int
    ) -> Latency | None:
        clock = self._clocks.get(profile.name)
        if clock is not None:
            return clock.latency(samples)
        steps = self._steps / samples
        return fixed_latency(profile, steps) or serial_latency(profile, layers, steps)
