"""Thresholds of converted neurons, chosen layer by layer on what really arrives at them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from jaxtyping import Float, UInt

from snn_deploy.frontends.ann import layer_output
from snn_deploy.frontends.layers import LayerGraph

Drive = Float[np.ndarray, "sample ..."]
"""[sample, step, *shape]; one step stands for all where they are the same."""

Payload = UInt[np.ndarray, "sample ..."]
"""[sample, step, *shape]"""

BLOCK = 2**25
"""Numbers of the drive of one layer that are computed at once."""

SEARCHED = 2**22
"""Neuron-steps that each threshold of a search is tried on."""

CANDIDATES = 24
"""Thresholds that a search tries."""

LOWEST = 0.1
"""Smallest threshold that a search tries, in largest activations [1]."""


class ThresholdRule(Enum):
    """Which threshold a layer gets from the ANN's activations on the calibration data."""

    MAX = "max"
    """The largest one: nothing is clipped."""

    PERCENTILE = "percentile"
    """One that a stated share of the active ones does not pass: finer, and few are clipped."""

    CEILING = "ceiling"
    """The value at which the rectifier itself is clipped, as ReLU6 is at 6: that of an ANN trained
    for spikes, whose activations are clipped at what T spikes of a threshold can say (QCFS)."""

    SEARCH = "search"
    """The one with the least mean square error of rates, given what really arrives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neurons:
    """What a rectifier becomes."""

    threshold: float
    """Of the membrane, what a spike subtracts, and what it stands for."""

    bias: Float[np.ndarray, "..."]
    """Per channel ([C, 1, 1]) or 0, added in every step."""

    active: bool
    """Whether the rectifier gives anything but 0 on the calibration data."""


@dataclass(slots=True, kw_only=True)
class Calibration:
    """A run of the spiking network, layer by layer over all steps, as far as it is decided."""

    graph: LayerGraph
    """Affine layers, max-poolings and rectifiers."""

    inputs: Mapping[str, np.ndarray]
    """[sample, step, *shape]; one step where all are the same."""

    steps: int
    most_spikes: int
    initial: float
    """Membrane before the first step, in thresholds."""

    neurons: dict[str, Neurons] = field(default_factory=dict)
    payloads: dict[str, Payload] = field(default_factory=dict)
    """What the decided neurons send, in the smallest type that holds it."""

    def choose(
        self,
        name: str,
        wanted: Float[np.ndarray, "sample ..."],
        *,
        rule: ThresholdRule,
        percentile: float,
        ceiling: float | None,
        correct_bias: bool,
    ) -> Neurons:
        """Decide the neurons of a rectifier whose sources are decided, and run them.

        Args:
            name: Of the rectifier.
            wanted: What it gives in the ANN.
            rule: How its threshold is chosen.
            percentile: Of the rule PERCENTILE.
            ceiling: Of the rectifier; the rule CEILING needs one.
            correct_bias: Whether its mean rates become the ANN's, channel by channel.
        """
        largest = float(wanted.max())
        threshold = largest if largest > 0 else 1.0
        if rule is ThresholdRule.PERCENTILE and largest > 0:
            threshold = float(np.percentile(wanted[wanted > 0], percentile))
        if rule is ThresholdRule.CEILING:
            assert ceiling is not None
            threshold = ceiling
        if rule is ThresholdRule.SEARCH and largest > 0:
            threshold = self._searched(name, wanted, largest)
        elif self.most_spikes > 1:
            threshold /= self.most_spikes
        none = np.zeros(())
        self._run(name, Neurons(threshold=threshold, bias=none, active=largest > 0))
        if correct_bias:
            missing = wanted - self.mean(name)
            over = tuple(axis for axis in range(missing.ndim) if axis != 1)
            bias = missing.astype(np.float64).mean(axis=over)
            bias = bias.reshape(-1, *(1,) * (wanted.ndim - 2))
            self._run(name, Neurons(threshold=threshold, bias=bias, active=largest > 0))
        return self.neurons[name]

    def mean(self, name: str) -> Float[np.ndarray, "sample ..."]:
        """Return the mean over all steps of what a node gives."""
        if name in self.payloads:
            total = self.payloads[name].sum(axis=1, dtype=np.float32)
            return total * np.float32(self.neurons[name].threshold / self.steps)
        parts = [self._value(name, part, {}).mean(axis=1) for part in self._parts(name)]
        return np.concatenate(parts)

    def error(self, name: str, wanted: Float[np.ndarray, "sample ..."]) -> float:
        """Return the root mean square error of the mean, relative to that of `wanted`."""
        scale = float(np.square(wanted, dtype=np.float64).mean())
        off = float(np.square(self.mean(name) - wanted, dtype=np.float64).mean())
        return math.sqrt(off / scale) if scale > 0 else math.sqrt(off)

    def _run(self, name: str, neurons: Neurons) -> None:
        self.neurons[name] = neurons
        bias = neurons.bias.astype(np.float32)
        sent = []
        for part in self._parts(name):
            drive = self._entering(name, part) + bias
            sent.append(self._fire(drive, neurons.threshold))
        self.payloads[name] = np.concatenate(sent)

    def _fire(self, drive: Drive, threshold: float) -> Payload:
        """Return what integrate-and-fire neurons send, one step after another."""
        samples, given = drive.shape[:2]
        height = np.float32(threshold)
        v = np.full((samples, *drive.shape[2:]), height * np.float32(self.initial))
        sent = np.empty((samples, self.steps, *drive.shape[2:]), self._smallest())
        for step in range(self.steps):
            v += drive[:, step if given > 1 else 0]
            if self.most_spikes == 1:
                count = (v > height).astype(np.float32)
            else:
                count = np.clip(np.ceil(v / height) - 1, 0, self.most_spikes)
            v -= count * height
            sent[:, step] = count
        return sent

    def _smallest(self) -> np.dtype[np.integer]:
        return np.min_scalar_type(self.most_spikes)

    def _searched(
        self, name: str, wanted: Float[np.ndarray, "sample ..."], largest: float
    ) -> float:
        """Return the threshold whose rates are nearest to what is wanted."""
        drive, aims = self._some(name, wanted)
        high = 1.1 * largest
        lowest = LOWEST * largest / self.most_spikes
        tried = np.geomspace(lowest, high, CANDIDATES)
        errors = []
        for threshold in tried:
            count = self._fire(drive, float(threshold)).sum(axis=1, dtype=np.float64)
            errors.append(np.square(count * threshold / self.steps - aims).mean())
        return float(tried[int(np.argmin(errors))])

    def _some(
        self, name: str, wanted: Float[np.ndarray, "sample ..."]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the drive of some neurons, evenly over all samples and the layer: [n, step]."""
        every = max(1, math.ceil(wanted.size * self.steps / SEARCHED))
        drives, aims = [], []
        for part in self._parts(name):
            drive = np.moveaxis(self._entering(name, part), 1, -1)
            drives.append(drive.reshape(-1, drive.shape[-1])[::every])
            aims.append(wanted[part].ravel()[::every])
        return np.concatenate(drives), np.concatenate(aims)

    def _parts(self, name: str) -> list[slice]:
        """Return the samples in blocks whose drives fit into memory."""
        samples = len(next(iter(self.inputs.values())))
        widest = max(
            math.prod(values.shape[2:])
            for values in (*self.inputs.values(), *self.payloads.values())
        )
        block = max(1, BLOCK // (widest * self.steps))
        return [slice(start, start + block) for start in range(0, samples, block)]

    def _entering(self, name: str, part: slice) -> Drive:
        """Return the sum of what enters a node."""
        known: dict[str, Drive] = {}
        values = [self._value(source, part, known) for source in self.graph.nodes[name].inputs]
        total = values[0]
        for more in values[1:]:
            total = total + more
        return total

    def _value(self, name: str, part: slice, known: dict[str, Drive]) -> Drive:
        """Return what a node gives in every step, [sample, step or 1, *shape]; keep it as known."""
        if name not in known:
            known[name] = self._computed(name, part, known)
        return known[name]

    def _computed(self, name: str, part: slice, known: dict[str, Drive]) -> Drive:
        if name in self.inputs:
            return self.inputs[name][part].astype(np.float32)
        if name in self.payloads:
            height = np.float32(self.neurons[name].threshold)
            return self.payloads[name][part].astype(np.float32) * height
        node = self.graph.nodes[name]
        values = [self._value(source, part, known) for source in node.inputs]
        steps = max(value.shape[1] for value in values)
        alike = [self._in_steps(value, steps) for value in values]
        flat = [value.reshape(-1, *value.shape[2:]) for value in alike]
        out = layer_output(name, node.layer, flat)
        return out.reshape(-1, steps, *out.shape[1:])

    @staticmethod
    def _in_steps(value: Drive, steps: int) -> Drive:
        return np.broadcast_to(value, (len(value), steps, *value.shape[2:]))
