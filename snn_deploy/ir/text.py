"""Networks and programs as text: aligned tables that diff well, every parameter in short form."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from enum import Enum
from typing import Any

import numpy as np

from snn_deploy.ir import network as real
from snn_deploy.ir import program as whole
from snn_deploy.ir.arithmetic import Arithmetic, Decay
from snn_deploy.ir.maps import Composition, Convolution, Dense, LinearMap, Scale, Shape
from snn_deploy.ir.network import Between, Boundary, Network, Output
from snn_deploy.ir.neuron import CURRENTS, Fires, ResetKind, State, When
from snn_deploy.ir.program import Program
from snn_deploy.ir.timing import Table
from snn_deploy.ir.words import counted

Row = tuple[str, ...]

INPUT = ("name", "shape", "range", "unit")
POPULATION = (
    *("name", "shape", "role", "kind", "lag", "decay", "current", "gains", "fires", "reset"),
    *("floor", "biases", "times", "tables", "initial", "unit", "origin"),
)
PROJECTION = ("name", "from", "to", "into", "map", "weights", "not 0", "sign", "shift", "delay")
OUTPUT = ("name", "population", "decode", "delay")

REAL_INPUT = ("name", "shape")
REAL_POPULATION = (
    *("name", "shape", "decay", "gain", "current", "fires", "reset", "floor"),
    *("biases", "times", "tables", "initial", "origin"),
)
REAL_PROJECTION = ("name", "from", "to", "into", "map", "weights", "not 0", "delay")


def print_program(program: Program) -> str:
    """Return `program` as text: equal programs give equal texts, and the digest tells the rest."""
    dt = "" if program.dt is None else f", {float(program.dt):g} s per step"
    dilated = f", one step of the network in {program.period}" if program.period > 1 else ""
    lines = [f"program {program.name} for {program.target}, lag {program.lag}{dilated}{dt}"]
    lines += _boundary(program.boundary)
    lines += _table("inputs", INPUT, _inputs(program))
    rows = [_population(p, program.arithmetic) for p in program.populations]
    lines += _table("populations", POPULATION, rows)
    lines += _table("projections", PROJECTION, [_projection(p) for p in program.projections])
    lines += _table("outputs", OUTPUT, _outputs(program.outputs))
    lines += ["", f"digest {program.digest}"]
    return "\n".join(lines) + "\n"


def print_network(network: Network) -> str:
    """Return `network` as text."""
    dt = "" if network.dt is None else f", {network.dt:g} s per step"
    lines = [f"network {network.name}, {network.arithmetic.value}{dt}"]
    lines += _boundary(network.boundary)
    lines += _table("inputs", REAL_INPUT, [(i.name, _shape(i.shape)) for i in network.inputs])
    rows = [_real_population(p) for p in network.populations]
    lines += _table("populations", REAL_POPULATION, rows)
    rows = [_real_projection(p) for p in network.projections]
    lines += _table("projections", REAL_PROJECTION, rows)
    lines += _table("outputs", OUTPUT, _outputs(network.outputs))
    return "\n".join(lines) + "\n"


def _boundary(boundary: Boundary) -> list[str]:
    if boundary.between is Between.FRESH:
        return []
    return [f"samples follow each other without a reset, {boundary.idle} idle steps between"]


def _table(title: str, headings: Row, rows: Sequence[Row]) -> Iterator[str]:
    """Yield a titled table; columns that are empty in every row are left out."""
    used = [n for n in range(len(headings)) if any(row[n] for row in rows)]
    cells = [[row[n] or "-" for n in used] for row in rows]
    shown = [[headings[n] for n in used], *cells]
    widths = [max(len(row[n]) for row in shown) for n in range(len(used))]
    yield ""
    yield title
    for row in shown:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield ("  " + "  ".join(padded)).rstrip()


def _inputs(program: Program) -> list[Row]:
    return [
        (i.name, _shape(i.shape), f"{i.low}..{i.high}", f"{float(i.unit):g}")
        for i in program.inputs
    ]


def _outputs(outputs: Sequence[Output]) -> list[Row]:
    return [(o.name, o.population, _decoder(o), str(o.delay or "")) for o in outputs]


def _decoder(output: Output) -> str:
    if output.weights is None:
        return output.decode.value
    return f"{output.decode.value} {output.weights}"


def _shape(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "1"


def _numbers(values: np.ndarray) -> str:
    """Return one number, or the range and how many different ones there are."""
    if values.size == 0:
        return "none"
    low, high = values.min(), values.max()
    if low == high:
        return f"{low:.6g}" if values.dtype.kind == "f" else f"{low}"
    if values.dtype.kind == "f":
        return f"{low:.6g}..{high:.6g} ({len(np.unique(values))})"
    return f"{low}..{high} ({len(np.unique(values))})"


def _some(values: np.ndarray) -> str:
    """Return the numbers, or nothing where all are 0."""
    return _numbers(values) if np.any(values) else ""


def _fires(population: real.Population | whole.Population) -> str:
    if population.fires is Fires.NEVER:
        return "never"
    if population.fires is Fires.GRADED:
        shift = population.payload_shift if isinstance(population, whole.Population) else 0
        return f"graded, v / {1 << shift}" if shift else "graded"
    text = f"v {population.compare.value} {_numbers(population.threshold)}"
    if population.fires is Fires.COUNT:
        return f"{text}, 0..{population.max_spikes} times"
    if population.fires is Fires.ROUNDED:
        return f"v / {_numbers(population.threshold)} rounded, 0..{population.max_spikes}"
    if population.fires is Fires.TERNARY:
        below = population.compare.value.replace(">", "<")
        return f"{text}, -1 where v {below} {_numbers(population.lower)}"
    return text


def _reset(reset: real.Reset | whole.Reset, fires: Fires) -> str:
    if not fires.spiking or reset.kind is ResetKind.NONE:
        return ""
    late = {When.NOW: "", When.NEXT: " late", When.RETESTED: " retested"}[reset.when]
    verb = "to" if reset.kind is ResetKind.VALUE else "by"
    return f"{verb} {_numbers(reset.amount)}{late}"


def _floor(floor: real.Floor | whole.Floor | None) -> str:
    return "" if floor is None else f"{_numbers(floor.value)} {floor.when.value}"


def _biases(biases: Sequence[real.Bias | whole.Bias]) -> str:
    return "; ".join(
        _numbers(b.value)
        + _into(b.into)
        + (f" from step {b.start}" if b.start else "")
        + (" from the first input" if b.waits else "")
        for b in biases
    )


_STATES = {name: f"i{number or ''}" for number, name in enumerate(CURRENTS, 1)}
_STATES[CURRENTS[0]] = "i"


def _into(state: State | None) -> str:
    return f" into {_STATES[state]}" if state in _STATES else ""


def _times(population: real.Population | whole.Population) -> str:
    """Return when the neurons may fire and when they start again."""
    parts = []
    refractory, window, restart = population.refractory, population.window, population.restart
    if refractory is not None:
        steps = refractory.steps
        what = "once" if steps is None else f"refractory {steps}"
        parts.append(f"{what}, {refractory.during.value}")
    if window is not None:
        parts.append(f"fires in steps {window.first}..{window.behind - 1}")
    if restart is not None:
        parts.append(f"restarts in steps {restart.offset} of {restart.interval}")
    return "; ".join(parts)


def _tables(tables: Sequence[Table]) -> str:
    return "; ".join(
        f"{t.what.value}{_into(t.into)} {_numbers(t.rows)} in {counted(len(t.rows), 'step')} "
        f"from {t.start}{', repeated' if t.repeats else ''}"
        for t in tables
    )


def _signed(current: real.Synapse | whole.Current) -> str:
    return {1: "", -1: ", subtracted", 0: ", not into v"}[current.into_membrane]


def _decay(decay: np.ndarray, rules: Arithmetic) -> str:
    if rules.decay is Decay.SHIFT:
        return f"shift {_numbers(decay)}"
    return f"{_numbers(decay)}/{1 << rules.decay_bits}"


def _current(current: whole.Current, rules: Arithmetic) -> str:
    text = f"{_decay(current.decay, rules)}, {current.reads.value}{_signed(current)}"
    if current.chain is not None:
        factor = f"{_numbers(current.chain.multiplier)}/{1 << rules.decay_bits}"
        text += f", plus {factor} of the {current.chain.reads.value} one before"
    if np.any(current.initial):
        text += f", starts at {_numbers(current.initial)}"
    return text


def _gains(gains: Sequence[whole.Gain]) -> str:
    return "; ".join(f"{_numbers(g.multiplier)}/{1 << g.shift}{_into(g.into)}" for g in gains)


def _kind(population: whole.Population) -> str:
    """Return the kind and its parameters; nothing for canonical neurons."""
    kind = population.kind
    if kind is None:
        return ""
    values = ((f.name, getattr(kind, f.name)) for f in fields(kind))  # type: ignore[arg-type]
    return f"{kind.tag}: {', '.join(f'{name} {_value(value)}' for name, value in values)}"


def _value(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return _numbers(value)
    return str(value.value if isinstance(value, Enum) else value)


def _population(population: whole.Population, rules: Arithmetic) -> Row:
    return (
        population.name,
        _shape(population.shape),
        population.role.value,
        _kind(population),
        str(population.lag),
        _decay(population.decay, rules) if population.kind is None else "",
        "; ".join(_current(current, rules) for current in population.currents),
        _gains(population.gains),
        _fires(population) if population.kind is None else "",
        _reset(population.reset, population.fires),
        _floor(population.floor),
        _biases(population.biases),
        _times(population),
        _tables(population.tables),
        _some(population.initial),
        _numbers(population.units),
        f"{float(population.origin):.6g}" if population.origin.mantissa else "",
    )


def _synapse(synapse: real.Synapse) -> str:
    text = f"{_numbers(synapse.decay)}, {synapse.reads.value}{_signed(synapse)}"
    if np.any(synapse.gain != 1):
        text += f", gain {_numbers(synapse.gain)}"
    if synapse.chain is not None:
        text += (
            f", plus {_numbers(synapse.chain.gain)} of the {synapse.chain.reads.value} one before"
        )
    if np.any(synapse.initial):
        text += f", starts at {_numbers(synapse.initial)}"
    return text


def _real_population(population: real.Population) -> Row:
    return (
        population.name,
        _shape(population.shape),
        _numbers(population.decay),
        _numbers(population.gain) if np.any(population.gain != 1) else "",
        "; ".join(_synapse(synapse) for synapse in population.synapses),
        _fires(population),
        _reset(population.reset, population.fires),
        _floor(population.floor),
        _biases(population.biases),
        _times(population),
        _tables(population.tables),
        _some(population.initial),
        f"{population.origin:.6g}" if population.origin else "",
    )


def _projection(projection: whole.Projection) -> Row:
    return (
        projection.name,
        projection.source,
        projection.target,
        "" if projection.into is None else projection.into.value,
        _map(projection.map),
        *_weights(projection.map),
        projection.sign.value,
        str(projection.shift),
        _numbers(projection.delay),
    )


def _real_projection(projection: real.Projection) -> Row:
    return (
        projection.name,
        projection.source,
        projection.target,
        "" if projection.into is None else projection.into.value,
        _map(projection.map),
        *_weights(projection.map),
        _numbers(projection.delay),
    )


def _map(linear: LinearMap) -> str:
    if isinstance(linear, Composition):
        return " then ".join(_map(stage) for stage in linear.stages)
    if isinstance(linear, Convolution):
        return _convolution(linear)
    if isinstance(linear, Dense):
        return f"dense {_shape(linear.weight.shape)}"
    if isinstance(linear, Scale):
        return f"scale {_shape(linear.factor.shape)}"
    return f"sparse {linear.out_size}x{linear.in_size}"


def _convolution(linear: Convolution) -> str:
    text = f"convolution {_shape(linear.weight.shape)}"
    if linear.stride != (1, 1):
        text += f" stride {_shape(linear.stride)}"
    if any(linear.padding):
        sides = set(linear.padding)
        text += f" padding {_shape(linear.padding if len(sides) > 1 else (sides.pop(),))}"
    if linear.dilation != (1, 1):
        text += f" dilation {_shape(linear.dilation)}"
    return text + (f" groups {linear.groups}" if linear.groups > 1 else "")


def _weights(linear: LinearMap) -> tuple[str, str]:
    """Return the range of the stored weights, and how many of them are not 0."""
    if isinstance(linear, Composition):
        parts = [_weights(stage) for stage in linear.stages]
        return " then ".join(p[0] for p in parts), " then ".join(p[1] for p in parts)
    numbers = linear.numbers()
    if not numbers.size:
        return "none", "0/0"
    ends = [_numbers(np.asarray(end)) for end in (numbers.min(), numbers.max())]
    return f"{ends[0]}..{ends[1]}", f"{np.count_nonzero(numbers)}/{numbers.size}"
