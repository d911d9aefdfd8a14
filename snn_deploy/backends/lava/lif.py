"""Which populations Lava's LIF computes exactly, and with which parameters.

What LIF computes was measured with lava-nc 0.10.0, fixed_pt (proc/lif/models.py):

    u = sign(u) * ((|u| * (4096 - du - 1)) >> 12) + (a << 6), wraps once at 24 bits
    v = sign(v) * ((|v| * (4096 - dv)) >> 12) + u + (bias_mant << bias_exp), clipped to 24 bits
    s = v > vth << 6, and v = 0 where it fires

The ranges of its parameters are those of the target `loihi2`; Lava checks none of them.
"""

from dataclasses import replace

import numpy as np

from snn_deploy.backends.lava.groups import distinct, in_order, ranges
from snn_deploy.backends.lava.plan import Group, Guard, Neuron
from snn_deploy.backends.lava.worst import largest_current, most_per_step
from snn_deploy.ir.graph import shortest_delay
from snn_deploy.ir.neuron import Compare, Fires, Reads, ResetKind, State, When
from snn_deploy.ir.phases import why_not_still
from snn_deploy.ir.program import Population, Program
from snn_deploy.targets import SourcedRange, Target

INT32 = 2**31
"""LIF adds its input to u in int32."""


def why_not_lif(program: Program, population: Population, chip: Target) -> str:
    """Return what keeps Lava's LIF from computing this population; empty: nothing does."""
    checks = (_registers, _extras, _firing, _threshold, _decays, _bias, _start, _drive)
    for check in checks:
        reason = check(program, population, chip)
        if reason:
            return reason
    groups = len(_distinct(population, chip)[0])
    most = chip.parameter_groups.value
    if groups > most:
        return f"{groups} different sets of parameters, and at most {most} become groups of LIF"
    return ""


def _registers(program: Program, population: Population, chip: Target) -> str:
    """Return which register of the program Lava's LIF lacks, and may need for some input.

    A register that no input can overflow is as good as any other of its width.
    """
    rules, stock = program.arithmetic, chip.arithmetic
    if rules == stock:
        return ""
    if replace(rules, accumulator=stock.accumulator, current=stock.current) != stock:
        return "the program's registers are not those of Lava's LIF"
    most, wide = most_per_step(program, population.name), rules.accumulator
    if wide is not None and most > wide.high:
        return (
            f"a sum of up to {most} in one step may leave the {wide.bits} bits that hold it in "
            "the program, and Lava has no such register"
        )
    if rules.current != stock.current:
        largest = largest_current(program, population)
        if largest > min(rules.current.high, stock.current.high):
            return f"a current of up to {largest:.0f} may overflow, and Lava's does so otherwise"
    return ""


def process_of(population: Population) -> Neuron:
    """Return which LIF of Lava would compute the population."""
    if population.fires is Fires.TERNARY:
        return Neuron.TERNARY_LIF
    return Neuron.LIF if population.restart is None else Neuron.LIF_RESET


def _extras(program: Program, population: Population, chip: Target) -> str:
    """Return the first feature that no LIF has."""
    into = [p for p in program.into(population.name) if program.entry(p) is not population.entry]
    moved = any(np.any(value) for value in population.initial_states.values())
    for there, reason in (
        (population.further, "Lava's LIF has one synaptic current"),
        (population.gains, "Lava's LIF has no gain on what arrives"),
        (population.tables, "Lava's LIF has no parameter that changes over time"),
        (population.refractory, "the fixed-point LIF of Lava is never refractory"),
        (population.window, "Lava's LIF fires in any step"),
        (any(bias.waits for bias in population.biases), "the bias of Lava's LIF waits for nothing"),
        (into, "into the membrane of Lava's LIF nothing arrives beside its current"),
        (population.restart and moved, "Lava's LIFReset returns to 0, not to initial states"),
        (
            population.restart and population.fires is Fires.TERNARY,
            "Lava's TernaryLIF does not restart",
        ),
        (
            program.period > 1 and _moves_between(program, population),
            "Lava's LIF acts in every step",
        ),
    ):
        if there:
            return reason
    return ""


def _moves_between(program: Program, population: Population) -> bool:
    """Return whether a step between two of the population's own could change a state.

    A current that lasts one step moves nothing, but Lava clears it where the program holds it.
    """
    return (
        population.current is not None
        or population.restart is not None
        or bool(why_not_still(population, program.arithmetic))
    )


def _firing(program: Program, population: Population, chip: Target) -> str:
    reset, fires = population.reset, population.fires
    if population.floor is not None:
        return "Lava's LIF has no floor"
    if fires is Fires.NEVER:
        return ""
    for there, reason in (
        (
            fires in (Fires.COUNT, Fires.ROUNDED),
            "Lava's LIF sends one spike a step at most",
        ),
        (fires is Fires.GRADED, "Lava's LIF sends spikes, not its membrane"),
        (
            reset.kind is not ResetKind.VALUE or np.any(reset.amount),
            "Lava's LIF resets to 0 and nothing else",
        ),
        (reset.when is not When.NOW, "Lava's LIF resets in the step of the spike"),
    ):
        if there:
            return reason
    return ""


def _threshold(program: Program, population: Population, chip: Target) -> str:
    if population.fires is Fires.NEVER:
        return ""
    if population.fires is Fires.TERNARY:
        return _two_thresholds(population, chip)
    unit = 1 << chip.thresholds.shift.value
    equal = population.compare is Compare.GREATER_EQUAL
    mantissa = _vth(population, chip)
    for there, reason in (
        (
            not equal and np.any(population.threshold % unit),
            f"the threshold is no multiple of {unit}",
        ),
        (
            equal and not _on_lattice(population, chip),
            f"Lava's LIF compares by >, and the states need not be multiples of {unit}",
        ),
        (
            mantissa.size and mantissa.min() < chip.thresholds.mantissa.low,
            "the threshold is too low for the unsigned threshold of Lava's LIF",
        ),
        (
            mantissa.size and mantissa.max() > chip.thresholds.mantissa.high,
            f"the threshold exceeds {chip.highest_threshold}",
        ),
    ):
        if there:
            return reason
    return ""


def _two_thresholds(population: Population, chip: Target) -> str:
    if population.compare is Compare.GREATER_EQUAL:
        return "Lava's TernaryLIF compares by > and <"
    unit, mantissa = 1 << chip.thresholds.shift.value, chip.thresholds.mantissa
    if np.any(population.threshold % unit) or np.any(population.lower % unit):
        return f"a threshold is no multiple of {unit}"
    ends = (population.threshold // unit, -(population.lower // unit))
    if any(np.any(np.abs(end) > mantissa.high) for end in ends):
        return f"a threshold exceeds {chip.highest_threshold}"
    return ""


def _on_lattice(population: Population, chip: Target) -> bool:
    """Return whether u and v are multiples of the threshold's unit in every step.

    What arrives is one, so they are where nothing is multiplied by a fraction. The clipped v
    is not: at the top it fires either way, at the bottom a run watches it (`Guard.LATTICE`).
    """
    added = [population.initial, *(bias.value for bias in population.biases)]
    current = population.current
    if current is not None:
        added.append(current.initial)
        if np.any(current.decay):
            return False
    unit = 1 << chip.thresholds.shift.value
    keeps = np.all(population.decay == chip.decay_one)
    return bool(keeps) and not any(np.any(value % unit) for value in added)


def _vth(population: Population, chip: Target) -> np.ndarray:
    """Return vth such that v > vth << 6 is the population's comparison."""
    unit = 1 << chip.thresholds.shift.value
    if population.fires is Fires.NEVER:
        return np.asarray(chip.thresholds.mantissa.high)
    if population.compare is Compare.GREATER:
        return population.threshold // unit
    return -(-population.threshold // unit) - 1  # v >= th is v > th - 64 on multiples of 64


def _decays(program: Program, population: Population, chip: Target) -> str:
    if not _all_in(population.decay, chip.states.membrane_multiplier):
        return f"the decay of v lies outside {chip.states.membrane_multiplier} / {chip.decay_one}"
    current = population.current
    if current is None:
        return ""
    if current.reads is Reads.OLD:
        return "Lava's LIF integrates the new current"
    if not _all_in(current.decay, chip.states.current_multiplier):
        return f"the decay of u lies outside {chip.states.current_multiplier} / {chip.decay_one}"
    return ""


def _all_in(values: np.ndarray, allowed: SourcedRange) -> bool:
    return not values.size or (int(values.min()) in allowed and int(values.max()) in allowed)


def _bias(program: Program, population: Population, chip: Target) -> str:
    for bias in population.biases:
        if bias.into is not State.MEMBRANE:
            return "the bias of Lava's LIF enters v, not the current"
        if max(bias.start, population.lag) > 0:
            return "the bias of Lava's LIF acts from step 0 on"
    total, member = _bias_sum(population).ravel(), _distinct(population, chip)[1]
    exponents = [bias_exponent(total[member == group], chip) for group in np.unique(member)]
    if None in exponents:
        mantissa, exponent = chip.biases.mantissa, chip.biases.exponent
        return f"the biases are no mantissas of {mantissa} times one of 2**({exponent})"
    return ""


def _bias_sum(population: Population) -> np.ndarray:
    total = np.zeros(population.shape, np.int64)
    for bias in population.biases:
        total += bias.value
    return total


def bias_exponent(bias: np.ndarray, chip: Target) -> int | None:
    """Return the smallest exponent that gives every bias a mantissa; None: there is none."""
    for exponent in range(chip.biases.exponent.low, chip.biases.exponent.high + 1):
        mantissa = bias >> exponent
        if _all_in(mantissa, chip.biases.mantissa) and np.all(mantissa << exponent == bias):
            return exponent
    return None


def _start(program: Program, population: Population, chip: Target) -> str:
    """Return why the neurons would move before their lag; a stock LIF cannot be held."""
    if population.lag == 0:
        return ""
    for projection in program.into(population.name):
        source_lag = next((p.lag for p in program.populations if p.name == projection.source), 0)
        if source_lag + shortest_delay(projection) < population.lag:
            return f"input arrives before step {population.lag}, when the population starts"
    current = population.current
    leaks = np.any(population.initial) and np.any(population.decay != chip.decay_one)
    arrives = current is not None and np.any(current.initial)
    fires = population.fires is not Fires.NEVER and np.any(
        population.initial > _vth(population, chip) << chip.thresholds.shift.value
    )
    if population.fires is Fires.TERNARY:
        fires = fires or np.any(population.initial < population.lower)
    if leaks or arrives or fires:
        return f"its initial state must hold until step {population.lag}"
    return ""


def _drive(program: Program, population: Population, chip: Target) -> str:
    shift = chip.weights.shift.value
    low = [p.name for p in program.into(population.name) if p.shift < shift]
    if low:
        return f"{low[0]} is shifted by less than the {shift} bits that Lava's LIF shifts"
    most = most_per_step(program, population.name)
    half = 1 << (chip.states.current.bits - 1)
    if population.current is None and most >= half:
        return f"a sum of up to {most} in one step would wrap the current that LIF always has"
    if most >= INT32 - half:
        return f"a sum of up to {most} in one step exceeds the 32 bits that LIF adds in"
    return ""


def guard(population: Population) -> Guard:
    """Return what a run of this population as LIF must watch."""
    if population.fires is Fires.NEVER:
        return Guard.SILENT
    return Guard.LATTICE if population.compare is Compare.GREATER_EQUAL else Guard.NONE


def groups(population: Population, chip: Target) -> tuple[Group, ...]:
    """Return the LIF processes that compute the population, in the order of first neurons."""
    parameters, member = _distinct(population, chip)
    bias = _bias_sum(population).ravel()
    found = []
    for index in in_order(member, len(parameters)):
        vth, v_multiplier, u_multiplier, vth_lo = (int(value) for value in parameters[index])
        exponent = bias_exponent(bias[member == index], chip)
        assert exponent is not None, population.name
        found.append(
            Group(
                neurons=ranges(member == index),
                du=chip.decay_one - 1 - u_multiplier,
                dv=chip.decay_one - v_multiplier,
                vth=vth,
                vth_lo=vth_lo,
                bias_exponent=exponent,
            )
        )
    return tuple(found)


def _distinct(population: Population, chip: Target) -> tuple[np.ndarray, np.ndarray]:
    """Return the different parameters [group, (vth, v, u, vth_lo)] and each neuron's group."""
    current = population.current
    ternary = population.fires is Fires.TERNARY
    unit = 1 << chip.thresholds.shift.value
    columns = (
        _vth(population, chip),
        population.decay,
        np.zeros((), np.int32) if current is None else current.decay,
        population.lower // unit if ternary else np.zeros((), np.int32),
    )
    return distinct(columns, population.shape)
