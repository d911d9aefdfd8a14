"""Builds the Lava processes of a program from its plan."""

from dataclasses import dataclass

import numpy as np
from lava.proc.conv.process import Conv
from lava.proc.dense.process import DelayDense, Dense
from lava.proc.io.source import RingBuffer
from lava.proc.lif.process import LIF
from lava.proc.sparse.process import DelaySparse, Sparse
from lava.utils.weightutils import SignMode

from snn_lava import maps
from snn_lava.processes.connection import FixedPointConnection
from snn_lava.processes.neuron import FixedPointNeuron
from snn_lava.record import Record
from snn_lava.step import Register, Rules

SIGNS = {
    "mixed": SignMode.MIXED,
    "excitatory": SignMode.EXCITATORY,
    "inhibitory": SignMode.INHIBITORY,
}


@dataclass
class Part:
    """One process that sends payloads, and which neurons of its population it holds."""

    process: object
    neurons: np.ndarray
    record: object = None
    """None: an input."""


class Network:
    """The Lava processes of a program.

    Args:
        program: What to build, from `files.read_program`.
        plan: How, from `files.read_plan`.
        inputs: {name: int32 array [sample, step, neuron]}, padded by the lag.
        states: Which of `record.STATES` are written down for every step.
        folder: Where; it must not exist yet.
    """

    def __init__(self, program, plan, inputs, states, folder):
        self.program = program
        self.samples, self.steps = next(iter(inputs.values())).shape[:2]
        self.states = states
        self.folder = folder
        self.parts = {name: [self._source(values)] for name, values in inputs.items()}
        for population, how in zip(program.populations, plan.populations, strict=True):
            self.parts[population.name] = self._neurons(population, how)
        self._joined = []
        for projection, how in zip(program.projections, plan.projections, strict=True):
            self._join(projection, how)

    def components(self):
        """Return one process of each set of connected processes; Lava runs a set at once."""
        component = {part.process: part.process for parts in self.parts.values() for part in parts}

        def root(process):
            while component[process] is not process:
                process = component[process]
            return process

        for source, target in self._joined:
            component[root(source)] = root(target)
        recorded = [p.process for parts in self.parts.values() for p in parts if p.record]
        return list({root(process): process for process in recorded}.values())

    def _source(self, values):
        flat = values.reshape(-1, values.shape[-1]).T
        return Part(RingBuffer(data=np.ascontiguousarray(flat)), np.arange(flat.shape[0]))

    def _record(self, population, index, size):
        states = [s for s in self.states if s != "current" or population.current is not None]
        number = self.program.populations.index(population)
        record = Record(
            self.folder / f"{number}.{index}", size, self.samples, self.steps, tuple(states)
        )
        record.create()
        return record

    def _neurons(self, population, how):
        size = int(np.prod(population.shape))
        if how.process != "LIF":
            record = self._record(population, 0, size)
            process = FixedPointNeuron(
                shape=(size,),
                rules=rules(self.program.arithmetic, population),
                input_shift=how.input_shift,
                record=record,
                name=population.name,
            )
            return [Part(process, np.arange(size), record)]
        return [self._lif(population, how, group, index) for index, group in enumerate(how.groups)]

    def _lif(self, population, how, group, index):
        neurons = np.concatenate([np.arange(*limits) for limits in group.neurons])

        def of_group(parameter):
            return np.broadcast_to(parameter, population.shape).ravel()[neurons].astype(np.int64)

        current = population.current
        bias = sum((of_group(b.value) for b in population.biases), np.zeros(len(neurons), np.int64))
        record = self._record(population, index, len(neurons))
        process = LIF(
            shape=(len(neurons),),
            u=np.zeros(len(neurons), int) if current is None else of_group(current.initial),
            v=of_group(population.initial),
            du=group.du,
            dv=group.dv,
            vth=group.vth,
            bias_mant=bias >> group.bias_exponent,
            bias_exp=np.full(len(neurons), group.bias_exponent),
            name=f"{population.name}.{index}",
            record=record,
            guard=how.guard,
        )
        return Part(process, neurons, record)

    def _join(self, projection, how):
        sources, targets = self.parts[projection.source], self.parts[projection.target]
        if how.process == "Conv":
            self._convolve(projection, how, sources[0], targets[0])
            return
        weights, delays = maps.sparse(projection)
        for target in targets:
            for source in sources:
                some = weights[target.neurons][:, source.neurons]
                if some.nnz:
                    later = delays[target.neurons][:, source.neurons]
                    process = self._connection(projection, how, some, later)
                    source.process.s_out.connect(process.s_in)
                    process.a_out.connect(target.process.a_in)
                    self._joined.append((source.process, target.process))

    def _connection(self, projection, how, weights, delays):
        if how.process == "FixedPointConnection":
            return FixedPointConnection(
                parts=by_delay(weights, delays),
                weight_exp=how.weight_exponent,
                sample_steps=self.steps,
                name=projection.name,
            )
        arguments = {
            "weight_exp": how.weight_exponent,
            "num_message_bits": how.message_bits,
            "sign_mode": SIGNS[projection.sign],
            "sample_steps": self.steps,
            "name": projection.name,
        }
        if how.process == "Dense":
            return Dense(weights=weights.toarray(), **arguments)
        if how.process == "Sparse":
            return Sparse(weights=weights, **arguments)
        delays.data -= 1  # the connection itself takes a step
        if how.process == "DelayDense":
            later = delays.toarray().clip(0)
            return DelayDense(weights=weights.toarray(), delays=later, **arguments)
        delays.eliminate_zeros()
        return DelaySparse(weights=weights, delays=delays, **arguments)

    def _convolve(self, projection, how, source, target):
        arguments = maps.lava_convolution(projection.map, how.weight_exponent)
        process = Conv(**arguments, num_message_bits=how.message_bits, name=projection.name)
        process.proc_params["sample_steps"] = self.steps
        chw = tuple(projection.map.source)
        source.process.s_out.reshape(chw).transpose([2, 1, 0]).connect(process.s_in)
        flat = process.a_out.transpose([2, 1, 0]).reshape((len(target.neurons),))
        flat.connect(target.process.a_in)
        self._joined.append((source.process, target.process))


def by_delay(weights, delays):
    """Return (delay, weights of that delay) each."""
    parts = []
    for delay in np.unique(delays.data):
        some = weights.copy()
        some.data = np.where(delays.data == delay, weights.data, 0)
        some.eliminate_zeros()
        parts.append((int(delay), some))
    return parts


def rules(arithmetic, population):
    """Return the parameters of a population for our own process."""

    def flat(parameter):
        whole = np.broadcast_to(parameter, population.shape).ravel()
        return np.array(whole, np.int64)

    current, floor, reset = population.current, population.floor, population.reset
    registers = [Register(r.bits, r.overflow) for r in (arithmetic.current, arithmetic.membrane)]
    return Rules(
        decay_bits=arithmetic.decay_bits,
        current_register=registers[0],
        membrane_register=registers[1],
        lag=population.lag,
        current_decay=None if current is None else flat(current.decay),
        reads="new" if current is None else current.reads,
        decay=flat(population.decay),
        biases=tuple((b.into, b.start, flat(b.value)) for b in population.biases),
        fires=population.fires,
        compare=population.compare,
        threshold=flat(population.threshold),
        max_spikes=population.max_spikes,
        reset_kind=reset.kind,
        reset_when=reset.when,
        reset_amount=flat(reset.amount),
        floor_when="" if floor is None else floor.when,
        floor=0 if floor is None else flat(floor.value),
        current_initial=np.int64(0) if current is None else flat(current.initial),
        membrane_initial=flat(population.initial),
    )
