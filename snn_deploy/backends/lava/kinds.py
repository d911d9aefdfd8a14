"""Which process of Lava computes neurons outside the canonical family, and what keeps it from it.

Read and measured in lava-nc 0.10.0, fixed_pt: proc/atrlif, proc/rf, proc/rf_iz, proc/sdn. Their
equations are those of `ir/kinds.py`; what they cannot hold is refused here.
"""

import numpy as np

from snn_deploy.backends.lava.groups import distinct, in_order, ranges
from snn_deploy.backends.lava.lif import INT32, bias_exponent
from snn_deploy.backends.lava.plan import Group, Neuron
from snn_deploy.backends.lava.worst import most_per_step, own_shift
from snn_deploy.ir.graph import shortest_delay
from snn_deploy.ir.kinds import (
    Adaptive,
    Delta,
    NeuronKind,
    Resonance,
    Resonator,
    Sigma,
    SigmaDelta,
)
from snn_deploy.ir.program import Population, Program
from snn_deploy.ir.words import counted
from snn_deploy.targets import SourcedRange, Target


def process_of_kind(kind: NeuronKind) -> Neuron:
    """Return which process of Lava would compute neurons of `kind`."""
    if isinstance(kind, Resonator):
        return Neuron.RF if kind.fires_at is Resonance.CROSSING else Neuron.RF_IZ
    return _PROCESSES[type(kind)]


def why_not_stock_kind(program: Program, population: Population, chip: Target) -> str:
    """Return what keeps Lava's own process from computing a population; empty: nothing does."""
    kind = population.kind
    assert kind is not None, population.name
    if program.period > 1:
        return "Lava's neurons act in every step"
    if program.arithmetic != chip.arithmetic:
        return "the program's registers are not those of Lava's neurons"
    reason = _start(program, population) or _CHECKS[type(kind)](program, population, chip)
    if reason:
        return reason
    count, most = len(distinct(_shared(kind), population.shape)[0]), chip.parameter_groups.value
    if count > most:
        return f"{count} different sets of parameters, and at most {most} become groups of neurons"
    return ""


def kind_groups(population: Population, chip: Target) -> tuple[Group, ...]:
    """Return the processes that compute the population, in the order of first neurons."""
    kind = population.kind
    assert kind is not None, population.name
    parameters, member = distinct(_shared(kind), population.shape)
    bias = np.broadcast_to(getattr(kind, "bias", 0), population.shape).ravel()
    found = []
    for index in in_order(member, len(parameters)):
        exponent = 0
        if isinstance(kind, Adaptive):
            exponent = bias_exponent(bias[member == index], chip) or 0
        found.append(Group(neurons=ranges(member == index), bias_exponent=exponent))
    return tuple(found)


def _shared(kind: NeuronKind) -> tuple[np.ndarray, ...]:
    """Return the parameters that a process has once for all its neurons."""
    if isinstance(kind, Adaptive):
        decays = (kind.current_decay, kind.decay, kind.threshold_decay, kind.refraction_decay)
        return (*decays, kind.base, kind.increase)
    if isinstance(kind, Resonator):
        return kind.cosine, kind.sine, kind.threshold
    if isinstance(kind, Delta | SigmaDelta):
        return (kind.threshold,)
    return (np.zeros((), np.int32),)


def _start(program: Program, population: Population) -> str:
    """Return why the neurons would move before their lag; a stock process cannot be held."""
    kind, lag = population.kind, population.lag
    if lag == 0 or kind is None:
        return ""
    for projection in program.into(population.name):
        source_lag = next((p.lag for p in program.populations if p.name == projection.source), 0)
        if source_lag + shortest_delay(projection) < lag:
            return f"input arrives before step {lag}, when the population starts"
    bases = kind.base if isinstance(kind, Adaptive) else np.zeros(())
    moved = [v for k, v in kind.initial.items() if np.any(v) and v is not bases]
    if moved or np.any(getattr(kind, "bias", 0)):
        return f"its states must hold until step {lag}"
    if isinstance(kind, Adaptive) and np.any(kind.base <= 0):
        return f"it would fire before step {lag}"
    if isinstance(kind, Resonator) and np.any(kind.threshold <= 0):
        return f"it would fire before step {lag}"
    return ""


def _adaptive(program: Program, population: Population, chip: Target) -> str:
    kind, one = population.kind, chip.decay_one
    assert isinstance(kind, Adaptive)
    whole = SourcedRange(low=0, high=one, unit="", source="")
    short = SourcedRange(low=0, high=one - 1, unit="", source="")
    for name, decay, allowed in (
        ("current", kind.current_decay, short),
        ("membrane", kind.decay, whole),
        ("threshold", kind.threshold_decay, whole),
        ("refraction", kind.refraction_decay, whole),
    ):
        if decay.size and (int(decay.min()) not in allowed or int(decay.max()) not in allowed):
            return f"the decay of its {name} lies outside {allowed} / {one}"
    unit = 1 << chip.thresholds.shift.value
    if np.any(kind.base % unit) or np.any(kind.increase % unit):
        return f"a threshold, or what a spike adds to it, is no multiple of {unit}"
    if bias_exponent(np.broadcast_to(kind.bias, population.shape).ravel(), chip) is None:
        return f"the biases are no mantissas of {chip.biases.mantissa} times one power of 2"
    low = [p.name for p in program.into(population.name) if p.shift < chip.weights.shift.value]
    if low:
        return f"{low[0]} is shifted by less than the {chip.weights.shift.value} bits of ATRLIF"
    most = most_per_step(program, population.name)
    if most >= INT32 - (1 << (chip.states.current.bits - 1)):
        return f"a sum of up to {most} in one step exceeds the 32 bits that ATRLIF adds in"
    return ""


def _resonator(program: Program, population: Population, chip: Target) -> str:
    kind = population.kind
    assert isinstance(kind, Resonator)
    if any(np.any(value) for value in kind.initial.values()):
        return "Lava's resonators start at 0"
    most = most_per_step(program, population.name)
    if most >= INT32:
        return f"a sum of up to {most} in one step exceeds the 32 bits of Lava's connections"
    return ""


def _sigma(program: Program, population: Population, chip: Target) -> str:
    if any(np.any(value) for value in population.initial_states.values()):
        return "Lava's sigma starts at 0"
    return ""


def _delta(program: Program, population: Population, chip: Target) -> str:
    kind = population.kind
    assert isinstance(kind, Delta)
    shift = own_shift(program, population.name)
    if shift < kind.payload_shift:
        return (
            f"what arrives is shifted by {counted(shift, 'bit')}, "
            f"less than the {kind.payload_shift} of what is sent"
        )
    return ""


def _sigma_delta(program: Program, population: Population, chip: Target) -> str:
    return _sigma(program, population, chip)


_PROCESSES: dict[type[NeuronKind], Neuron] = {
    Adaptive: Neuron.ATRLIF,
    Sigma: Neuron.SIGMA,
    Delta: Neuron.DELTA,
    SigmaDelta: Neuron.SIGMA_DELTA,
}
_CHECKS = {
    Adaptive: _adaptive,
    Resonator: _resonator,
    Sigma: _sigma,
    Delta: _delta,
    SigmaDelta: _sigma_delta,
}
