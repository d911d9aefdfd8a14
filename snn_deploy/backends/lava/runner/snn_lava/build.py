"""Builds the Lava processes of a program from its plan."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from lava.proc.atrlif.process import ATRLIF
from lava.proc.conv.process import Conv
from lava.proc.dense.process import DelayDense, Dense
from lava.proc.io.source import RingBuffer
from lava.proc.lif.process import LIF, LIFReset, TernaryLIF
from lava.proc.rf.process import RF
from lava.proc.rf_iz.process import RF_IZ
from lava.proc.sdn.process import ActivationMode, Delta, Sigma, SigmaDelta
from lava.proc.sparse.process import DelaySparse, Sparse
from lava.utils.weightutils import SignMode

from snn_lava import maps
from snn_lava.files import entry_of, flat_population, states_of
from snn_lava.kinds import KINDS
from snn_lava.processes.connection import FixedPointConnection
from snn_lava.processes.neuron import DOORS, FixedPointNeuron
from snn_lava.record import Record
from snn_lava.step import Neurons

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

    doors: dict = None
    """{state: port} by which projections enter."""

    out: object = None
    """The port by which it sends."""

    def __post_init__(self):
        if self.out is None:
            self.out = self.process.s_out


def recorded(population, record):
    """Return the states that a run writes down for every step."""
    if record == "states":
        return states_of(population)
    return ("payload",) if record == "spikes" else ()


class Network:
    """The Lava processes of a program.

    Args:
        program: What to build, from `files.read_program`.
        plan: How, from `files.read_plan`.
        inputs: {name: int32 array [sample, step, neuron]}, padded by the lag.
        record: "none" | "spikes" | "states": what is written down for every step.
        folder: Where; it must not exist yet.
    """

    def __init__(self, program, plan, inputs, record, folder):
        self.program = program
        self.samples, self.steps = next(iter(inputs.values())).shape[:2]
        self.record = record
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
        number = self.program.populations.index(population)
        states = recorded(population, self.record)
        record = Record(
            self.folder / f"{number}.{index}", size, self.samples, self.steps, tuple(states)
        )
        record.create()
        return record

    def _neurons(self, population, how):
        if how.process == "FixedPointNeuron":
            return [self._own(population, how)]
        made = self._lif if how.process in LIFS else self._kind
        return [made(population, how, group, index) for index, group in enumerate(how.groups)]

    def _own(self, population, how):
        size = int(np.prod(population.shape))
        record = self._record(population, 0, size)
        into = [p for p in self.program.projections if p.target == population.name]
        doors = list(dict.fromkeys(entry_of(self.program, p) for p in into))
        process = FixedPointNeuron(
            shape=(size,),
            neurons=self._stepper(population, np.arange(size)),
            doors=doors,
            input_shift=how.input_shift,
            record=record,
            name=population.name,
        )
        ports = {state: getattr(process, door) for state, door in zip(doors, DOORS, strict=False)}
        return Part(process, np.arange(size), record, ports)

    def _stepper(self, population, neurons):
        """Return our own step for some neurons of a population."""
        flat = flat_population(population)
        some = take(flat, neurons)
        make = Neurons if flat.kind is None else KINDS[flat.kind.kind]
        return make(some, self.program.arithmetic, self.program.period, len(neurons))

    def _lif(self, population, how, group, index):
        neurons = np.concatenate([np.arange(*limits) for limits in group.neurons])

        def of_group(parameter):
            return np.broadcast_to(parameter, population.shape).ravel()[neurons].astype(np.int64)

        current = population.current
        bias = sum((of_group(b.value) for b in population.biases), np.zeros(len(neurons), np.int64))
        record = self._record(population, index, len(neurons))
        restart = population.restart
        special = {
            "LIF": {"vth": group.vth},
            "TernaryLIF": {"vth_hi": group.vth, "vth_lo": group.vth_lo},
            "LIFReset": restart
            and {
                "vth": group.vth,
                "reset_interval": restart.interval,
                "reset_offset": restart.offset + 1,
            },
        }[how.process]
        process = LIFS[how.process](
            shape=(len(neurons),),
            u=np.zeros(len(neurons), int) if current is None else of_group(current.initial),
            v=of_group(population.initial),
            du=group.du,
            dv=group.dv,
            bias_mant=bias >> group.bias_exponent,
            bias_exp=np.full(len(neurons), group.bias_exponent),
            name=f"{population.name}.{index}",
            **special,
        )
        process.proc_params["record"] = record
        process.proc_params["guard"] = how.guard
        entry = "membrane" if current is None else "current"
        return Part(process, neurons, record, {entry: process.a_in})

    def _kind(self, population, how, group, index):
        neurons = np.concatenate([np.arange(*limits) for limits in group.neurons])
        record = self._record(population, index, len(neurons))
        twin = self._stepper(population, neurons)
        process, doors = STOCK[how.process](twin, how, group)
        process.proc_params["record"] = record
        process.proc_params["twin"] = twin
        process.proc_params["input_shift"] = how.input_shift
        return Part(process, neurons, record, doors)

    def _join(self, projection, how):
        sources, targets = self.parts[projection.source], self.parts[projection.target]
        if how.process == "Conv":
            self._convolve(projection, how, sources[0], targets[0])
            return
        entry = entry_of(self.program, projection)
        weights, delays = maps.sparse(projection)
        for target in targets:
            for source in sources:
                some = weights[target.neurons][:, source.neurons]
                if some.nnz:
                    later = delays[target.neurons][:, source.neurons]
                    process = self._connection(projection, how, some, later)
                    source.out.connect(process.s_in)
                    process.a_out.connect(target.doors[entry])
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
        source.out.reshape(chw).transpose([2, 1, 0]).connect(process.s_in)
        flat = process.a_out.transpose([2, 1, 0]).reshape((len(target.neurons),))
        flat.connect(target.doors[entry_of(self.program, projection)])
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


def take(record, neurons):
    """Return a copy of a flat population with only some of its neurons."""

    def made(value):
        if isinstance(value, SimpleNamespace):
            return take(value, neurons)
        if isinstance(value, list) and value and isinstance(value[0], SimpleNamespace):
            return [take(item, neurons) for item in value]
        return value[..., neurons] if isinstance(value, np.ndarray) else value

    return SimpleNamespace(**{key: made(value) for key, value in vars(record).items()})


LIFS = {"LIF": LIF, "LIFReset": LIFReset, "TernaryLIF": TernaryLIF}
ONE = 4096


def only(values):
    """Return the number that all `values` are."""
    return int(values[0])


def adaptive(twin, how, group):
    """Return an ATRLIF, whose decays are fractions that Lava multiplies by 4096."""
    kind = twin.kind
    process = ATRLIF(
        shape=(twin.size,),
        i=kind.initial_current,
        v=kind.initial_membrane,
        r=kind.initial_refraction,
        delta_i=(ONE - 1 - only(kind.current_decay)) / ONE,
        delta_v=(ONE - only(kind.decay)) / ONE,
        delta_theta=(ONE - only(kind.threshold_decay)) / ONE,
        delta_r=(ONE - only(kind.refraction_decay)) / ONE,
        theta=only(kind.base) / 64,
        theta_0=only(kind.base) / 64,
        theta_step=only(kind.increase) / 64,
        bias_mant=kind.bias >> group.bias_exponent,
        bias_exp=np.full(twin.size, group.bias_exponent),
    )
    return process, {"current": process.a_in}


def resonator(twin, how, group):
    """Return an RF or RF_IZ; Lava takes period and damping, so the factors are set behind it."""
    kind = twin.kind
    process = {"RF": RF, "RF_IZ": RF_IZ}[how.process](
        shape=(twin.size,),
        period=4,
        alpha=0,
        state_exp=how.input_shift,
        decay_bits=kind.decay_bits,
        vth=only(kind.threshold) / (1 << how.input_shift),
    )
    process.cos_decay.init = only(kind.cosine)
    process.sin_decay.init = only(kind.sine)
    return process, {"membrane": process.a_real_in, "imaginary": process.a_imag_in}


def sigma(twin, how, group):
    """Return a Sigma."""
    process = Sigma(shape=(twin.size,))
    return process, {"sigma": process.a_in}


def delta(twin, how, group):
    """Return a Delta; it shifts its input by the sum of its exponents."""
    kind = twin.kind
    process = Delta(
        shape=(twin.size,),
        vth=only(kind.threshold) / (1 << how.input_shift),
        cum_error=kind.cumulative,
        spike_exp=how.input_shift - kind.payload_shift,
        state_exp=kind.payload_shift,
    )
    return process, {"activation": process.a_in}


def sigma_delta(twin, how, group):
    """Return a SigmaDelta; it does not shift its input."""
    kind = twin.kind
    unit = 1 << kind.payload_shift
    process = SigmaDelta(
        shape=(twin.size,),
        vth=only(kind.threshold) / unit,
        bias=kind.bias / unit,
        act_mode=ActivationMode[kind.activation.upper()],
        cum_error=kind.cumulative,
        spike_exp=0,
        state_exp=kind.payload_shift,
    )
    return process, {"sigma": process.a_in}


STOCK = {
    "ATRLIF": adaptive,
    "RF": resonator,
    "RF_IZ": resonator,
    "Sigma": sigma,
    "Delta": delta,
    "SigmaDelta": sigma_delta,
}
"""How each stock process of another kind is made: (process, {state: port})."""
