"""One step of the neurons of a population in torch: the lines of `ir/program.py`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from snn_deploy.ir.arithmetic import Arithmetic
from snn_deploy.ir.neuron import Fires, FloorWhen, Reads, ResetKind, State, When
from snn_deploy.ir.program import Population
from snn_deploy.quantize.torch_gradients import as_tensor, decayed, held, spikes


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """What of a population may be trained, in state units."""

    threshold: Tensor
    amount: Tensor
    """Of the reset."""

    biases: tuple[Tensor, ...]


@dataclass(slots=True, kw_only=True)
class Neurons:
    """The registers of one population, whole numbers in float64 [sample, *shape]."""

    population: Population
    numbers: Numbers
    arithmetic: Arithmetic
    drive: Sequence[Tensor]
    """What arrives from other blocks, by step."""

    current: Tensor | None
    membrane: Tensor
    decay: Tensor
    """Factor on the membrane."""

    current_decay: Tensor | None
    floor: Tensor | None
    membranes: list[Tensor]
    payloads: list[Tensor]

    @classmethod
    def start(
        cls,
        population: Population,
        numbers: Numbers,
        arithmetic: Arithmetic,
        drive: Sequence[Tensor],
    ) -> "Neurons":
        """Return neurons before their first step."""
        one, current, floor = 1 << arithmetic.decay_bits, population.current, population.floor

        def real(parameter: np.ndarray) -> Tensor:
            return as_tensor(parameter).to(drive[0].device)

        def initial(parameter: np.ndarray) -> Tensor:
            return (torch.zeros_like(drive[0]) + real(parameter)).detach()

        return cls(
            population=population,
            numbers=numbers,
            arithmetic=arithmetic,
            drive=drive,
            current=None if current is None else initial(current.initial),
            membrane=initial(population.initial),
            decay=real(population.decay) / one,
            current_decay=None if current is None else real(current.decay) / one,
            floor=None if floor is None else real(floor.value),
            membranes=[],
            payloads=[],
        )

    def advance(self, drive: Tensor, step: int) -> None:
        """Compute one step: the lines of `ir/program.py`."""
        population = self.population
        if self.arithmetic.accumulator is not None:
            drive = held(drive, self.arithmetic.accumulator)
        integrated = drive
        if population.current is not None:
            assert self.current is not None
            assert self.current_decay is not None
            old = self.current
            u = self._biased(decayed(old, self.current_decay) + drive, State.CURRENT, step)
            self.current = held(u, self.arithmetic.current)
            integrated = self.current if population.current.reads is Reads.NEW else old
        v = self._biased(decayed(self.membrane, self.decay) + integrated, State.MEMBRANE, step)
        v = held(v, self.arithmetic.membrane)
        if population.reset.when is When.NEXT and self.payloads:
            v = self._after_reset(v, self.payloads[-1])
        v = self._above_floor(v, FloorWhen.BEFORE_TEST)
        payload = spikes(
            v,
            self.numbers.threshold,
            fires=population.fires,
            compare=population.compare,
            most=population.max_spikes,
        )
        if population.reset.when is When.NOW:
            v = self._after_reset(v, payload)
        self.membrane = self._above_floor(v, FloorWhen.AFTER_RESET)
        self.membranes.append(self.membrane)
        self.payloads.append(payload)

    def _biased(self, value: Tensor, into: State, step: int) -> Tensor:
        for bias, number in zip(self.population.biases, self.numbers.biases, strict=True):
            if bias.into is into and step >= bias.start:
                value = value + number
        return value

    def _after_reset(self, v: Tensor, payload: Tensor) -> Tensor:
        """Return the membrane after spikes; no gradient flows through the spikes of a reset.

        It would reward a neuron for having fired too late.
        """
        kind, fired = self.population.reset.kind, payload.detach()
        if kind is ResetKind.NONE or self.population.fires is Fires.NEVER:
            return v
        if kind is ResetKind.SUBTRACT:
            return held(v - fired * self.numbers.amount, self.arithmetic.membrane)
        return held(torch.where(fired != 0, self.numbers.amount, v), self.arithmetic.membrane)

    def _above_floor(self, v: Tensor, when: FloorWhen) -> Tensor:
        rule = self.population.floor
        if rule is None or self.floor is None or rule.when is not when:
            return v
        return torch.maximum(v, self.floor)
