"""Runs a program on a Loihi 2, by Intel's extension lava-loihi, which its research community has.

Written from the interfaces that public code shows, and never tried on a chip: spikes enter by
adapters and leave by adapters, membranes of readouts are read by probes, everything in between are
Lava's own processes. What runs in Lava's simulator only is refused here.
"""

import sys

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source

from snn_lava.build import Network, Part
from snn_lava.files import lag_of

EXTENSION = (
    "no lava-loihi, Intel's extension for the chip, is installed here; without --hardware the "
    "network runs in Lava's simulator"
)


def run(program, plan, inputs):
    """Return {population.quantity: array [sample, ...]} of the outputs.

    `payload`, `events` and `spikes` of populations that fire, `membrane` of those that do not; a
    chip shows 128 where a neuron fired (times its refractory delay), and Lava's simulator 0.

    Args:
        program: From `files.read_program`.
        plan: From `files.read_plan`.
        inputs: {name: int32 array [sample, step, neuron]}.
    """
    refuse_simulated(plan)
    chip = _extension()
    lag = lag_of(program)
    padded = {name: np.pad(v, ((0, 0), (0, lag), (0, 0))) for name, v in inputs.items()}
    samples = len(next(iter(padded.values())))
    collected = []
    for sample in range(samples):
        one = {name: values[sample : sample + 1] for name, values in padded.items()}
        collected.append(_one(program, plan, one, chip))
        print(f"progress {sample + 1} {samples}", file=sys.stderr, flush=True)
    return {key: np.concatenate([c[key] for c in collected]) for key in collected[0]}


def refuse_simulated(plan):
    """End where a part of the network has no process on the chip."""
    parts = [how for how in (*plan.populations, *plan.projections) if how.support != "native"]
    if parts:
        lines = "".join(f"\n    {how.name}: {how.reason}" for how in parts)
        raise SystemExit(f"{len(parts)} parts run in Lava's simulator only:{lines}")


class _Chip:
    """What lava-loihi has, by name."""

    def __init__(self, config, adapters, probe):
        self.config = config
        self.adapters = adapters
        self.probe = probe


def _extension():
    try:
        from lava.magma.core.run_configs import Loihi2HwCfg  # noqa: PLC0415 - behind the check
        from lava.proc import embedded_io  # noqa: PLC0415
        from lava.utils import loihi  # noqa: PLC0415
        from lava.utils.loihi2_state_probes import StateProbe  # noqa: PLC0415
    except ImportError as problem:
        raise SystemExit(EXTENSION) from problem
    if not loihi.is_installed():
        raise SystemExit(EXTENSION)
    return _Chip(Loihi2HwCfg, embedded_io.spike, StateProbe)


class ChipNetwork(Network):
    """The processes of a program with adapters where the host ends and the chip begins."""

    def __init__(self, program, plan, inputs, chip):
        self.chip = chip
        self.plan = plan
        self._entering = iter(program.inputs)
        super().__init__(program, plan, inputs, "none", None)

    def _source(self, values):
        name = next(self._entering).name
        flat = values.reshape(-1, values.shape[-1]).T
        source = Source(data=np.ascontiguousarray(flat))
        ways = zip(self.program.projections, self.plan.projections, strict=True)
        hears = [(p, how) for p, how in ways if p.source == name]
        bits = max((how.message_bits for _, how in hears), default=0)
        kernels = [p for p, how in hears if how.process == "Conv"]
        if not kernels:
            adapter = self.chip.adapters.PyToNxAdapter(shape=(len(flat),), num_message_bits=bits)
            source.s_out.connect(adapter.inp)
            return Part(source, np.arange(len(flat)), out=adapter.out)
        channels, rows, columns = kernels[0].map.source
        adapter = self.chip.adapters.PyToN3ConvAdapter(
            shape=(columns, rows, channels), num_message_bits=bits
        )
        given = source.s_out.reshape((channels, rows, columns)).transpose([2, 1, 0])
        given.connect(adapter.inp)
        back = adapter.out.transpose([2, 1, 0]).reshape((len(flat),))
        return Part(source, np.arange(len(flat)), out=back)

    def _record(self, population, index, size):
        return None


def _one(program, plan, inputs, chip):
    """Run one sample on processes of its own: so every state is initial again."""
    network = ChipNetwork(program, plan, inputs, chip)
    sinks, probes = {}, {}
    for name in dict.fromkeys(output.population for output in program.outputs):
        population = next(p for p in program.populations if p.name == name)
        for part in network.parts[name]:
            silent = population.kind is None and population.fires == "never"
            if silent:
                probes.setdefault(name, []).append((part, chip.probe(part.process.v)))
            else:
                sinks.setdefault(name, []).append((part, _sink(part, network.steps, chip)))
    watched = [probe for pairs in probes.values() for _, probe in pairs]
    config = chip.config(callback_fxs=watched)
    first = next(iter(network.parts.values()))[0].process
    first.run(condition=RunSteps(num_steps=network.steps), run_cfg=config)
    arrays = {}
    for population in program.populations:
        shape = (1, network.steps, *population.shape)
        size = int(np.prod(population.shape))
        whole = np.zeros((network.steps, size), np.int32)
        name = population.name
        for part, sink in sinks.get(name, ()):
            whole[:, part.neurons] = sink.data.get().T  # before stop, which ends the processes
        for part, probe in probes.get(name, ()):
            series = np.asarray(probe.time_series).reshape(len(part.neurons), network.steps)
            whole[:, part.neurons] = series.T
        if name in sinks:
            arrays[f"{name}.payload"] = whole.reshape(shape)
            arrays[f"{name}.events"] = (whole != 0).sum(axis=0).reshape(1, *population.shape)
            arrays[f"{name}.spikes"] = whole.sum(axis=0).reshape(1, *population.shape)
        elif name in probes:
            arrays[f"{name}.membrane"] = whole.reshape(shape)
    first.stop()
    return arrays


def _sink(part, steps, chip):
    """Return what collects the spikes of a process; results come in 24 bits with sign."""
    shape = (len(part.neurons),)
    adapter = chip.adapters.NxToPyAdapter(shape=shape, num_message_bits=24)
    part.out.connect(adapter.inp)
    sink = Sink(shape=shape, buffer=steps)
    adapter.out.connect(sink.a_in)
    return sink
