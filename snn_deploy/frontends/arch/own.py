"""Layers of an architecture file in our own words: neurons, sums, concatenations and connections.

All that can be said of "Neurons"; what is left out is as `ir.network.Population` has it:

    decay, gain, initial, bias, floor, floor_when      numbers, or lists of one for each channel
    synapse_decay, synapse_gain, synapse_reads, synapse_initial      the first current
    synapses = [{decay, gain, reads, initial, into_membrane, chain, chain_reads}]   those behind it
    fires = true | false | "binary" | "count" | "rounded" | "ternary" | "graded"
    threshold, lower, compare, max_spikes
    reset = "none" | "value" | "subtract" | "late-value" | "late-subtract"
    reset_to, reset_amount                             of "subtract", by default the threshold
    refractory = 3 | "once"; refractory_during; window = [first, behind]; restart = [every, offset]
    biases = [{value, into, start, waits}]
    tables = [{what, rows, into, start, repeats}]

A layer of type "Into", between a layer and neurons, says the state of theirs that it drives:

    state = "current-2" | "membrane" | ...
"""

from collections.abc import Callable, Mapping
from typing import Any

from snn_deploy.errors import FileDamagedError
from snn_deploy.frontends.arch.table import Table
from snn_deploy.frontends.dynamics import ResetRule
from snn_deploy.frontends.layers import Cell, Concatenation, Into, Layer, Sum
from snn_deploy.ir import timing
from snn_deploy.ir.network import Bias, Chain, Floor, Reset, Synapse
from snn_deploy.ir.neuron import (
    Compare,
    During,
    Fires,
    FloorWhen,
    Reads,
    ResetKind,
    State,
    Tabled,
)


def own_layer(kind: str, options: Mapping[str, Any], where: str) -> Layer:
    """Return a layer of `OWN` with the options of the file.

    Raises:
        FileDamagedError: an option that it does not have, or that means nothing.
    """
    table = Table(dict(options), where)
    layer = OWN[kind](table)
    table.finish()
    return layer


def _sum(table: Table) -> Sum:
    return Sum()


def _concatenation(table: Table) -> Concatenation:
    return Concatenation(axis=table.take("axis", int, 0))


def _into(table: Table) -> Into:
    state = table.word("state", State)
    if state is None:
        raise FileDamagedError(
            "it does not say which state of the neurons behind it is driven",
            where=table.where,
            fix='state = "current-2", say',
        )
    return Into(state=state)


def _neurons(table: Table) -> Cell:
    """Return neurons; a list of numbers has one for each channel, the first axis."""
    floor = table.numbers_if_any("floor")
    floor_when = table.word("floor_when", FloorWhen) or FloorWhen.AFTER_RESET
    return Cell(
        decay=table.numbers("decay", 1.0),
        gain=table.numbers("gain", 1.0),
        synapse=_synapse(table),
        further=tuple(_further(one) for one in _parts(table, "synapses")),
        floor=None if floor is None else Floor(value=floor, when=floor_when),
        bias=table.numbers("bias", 0.0),
        biases=tuple(_bias(one) for one in _parts(table, "biases")),
        tables=tuple(_table(one) for one in _parts(table, "tables")),
        initial=table.numbers("initial", 0.0),
        refractory=_refractory(table),
        window=_window(table),
        restart=_restart(table),
        per_channel=True,
        **_firing(table),
    )


def _synapse(table: Table) -> Synapse | None:
    decay = table.numbers_if_any("synapse_decay")
    if decay is None:
        return None
    return Synapse(
        decay=decay,
        gain=table.numbers("synapse_gain", 1.0),
        reads=table.word("synapse_reads", Reads) or Reads.NEW,
        initial=table.numbers("synapse_initial", 0.0),
        into_membrane=table.take("synapse_into_membrane", int, 1),
    )


def _further(table: Table) -> Synapse:
    gain = table.numbers_if_any("chain")
    reads = table.word("chain_reads", Reads) or Reads.NEW
    made = Synapse(
        decay=table.numbers("decay"),
        gain=table.numbers("gain", 1.0),
        reads=table.word("reads", Reads) or Reads.NEW,
        initial=table.numbers("initial", 0.0),
        into_membrane=table.take("into_membrane", int, 1),
        chain=None if gain is None else Chain(gain=gain, reads=reads),
    )
    table.finish()
    return made


def _bias(table: Table) -> Bias:
    made = Bias(
        value=table.numbers("value"),
        into=table.word("into", State) or State.MEMBRANE,
        start=table.take("start", int, 0),
        waits=table.take("waits", bool, False),
    )
    table.finish()
    return made


def _table(table: Table) -> timing.Table:
    what = table.word("what", Tabled)
    if what is None:
        raise FileDamagedError(
            "a table says what it replaces",
            where=table.where,
            fix=f"what = one of {', '.join(each.value for each in Tabled)}",
        )
    rows = table.numbers("rows")
    if rows.ndim == 0:
        raise FileDamagedError(
            "a table has a row for each step", where=table.where, fix="rows = [1.0, 0.5, ...]"
        )
    made = timing.Table(
        what=what,
        rows=rows,
        into=table.word("into", State),
        start=table.take("start", int, 0),
        repeats=table.take("repeats", bool, False),
    )
    table.finish()
    return made


def _parts(table: Table, key: str) -> list[Table]:
    """Return the tables of a list."""
    entries = table.take(key, list, [])
    if not all(isinstance(entry, dict) for entry in entries):
        raise FileDamagedError(f"{key} is a list of tables", where=table.where)
    return [Table(dict(e), f"{table.where}: {key}[{n}]") for n, e in enumerate(entries)]


def _refractory(table: Table) -> timing.Refractory | None:
    steps = table.take("refractory", (int, str), None)
    during = table.word("refractory_during", During) or During.INTEGRATES
    if steps is None:
        return None
    if isinstance(steps, str) and steps != "once":
        raise FileDamagedError(
            f"refractory = {steps!r:.60}", where=table.where, fix='a number of steps, or "once"'
        )
    return timing.Refractory(steps=None if steps == "once" else steps, during=during)


def _window(table: Table) -> timing.Window | None:
    ends = _pair(table, "window")
    return None if ends is None else timing.Window(first=ends[0], behind=ends[1])


def _restart(table: Table) -> timing.Restart | None:
    pair = _pair(table, "restart")
    return None if pair is None else timing.Restart(interval=pair[0], offset=pair[1])


def _pair(table: Table, key: str) -> tuple[int, int] | None:
    value = table.take(key, list, None)
    if value is None:
        return None
    if len(value) != 2 or not all(type(v) is int and v >= 0 for v in value):
        raise FileDamagedError(f"{key} = {value!r:.60} is no pair of steps", where=table.where)
    return value[0], value[1]


def _firing(table: Table) -> dict[str, Any]:
    """Return when neurons fire, and what a spike does to their membrane."""
    said = table.take("fires", (bool, str), True)
    if said is False:
        spiking = ("threshold", "lower", "compare", "max_spikes")
        table.refuse((*spiking, "reset", "reset_to", "reset_amount"), "with fires = false")
        return {"fires": Fires.NEVER}
    threshold = table.numbers("threshold", 1.0)
    rule = table.word("reset", ResetRule) or ResetRule.VALUE
    if rule.kind is not ResetKind.VALUE:
        table.refuse(("reset_to",), f"with reset = {rule.value!r}")
    if rule.kind is not ResetKind.SUBTRACT:
        table.refuse(("reset_amount",), f"with reset = {rule.value!r}")
    own = table.numbers_if_any("reset_amount")
    subtracted = threshold if own is None else own
    amount = subtracted if rule.kind is ResetKind.SUBTRACT else table.numbers("reset_to", 0.0)
    most = table.take("max_spikes", int, 1)
    fires = Fires.BINARY if most == 1 else Fires.COUNT
    if isinstance(said, str):
        fires = Table({"fires": said}, table.where).word("fires", Fires) or fires
    return {
        "fires": fires,
        "threshold": threshold,
        "lower": table.numbers("lower", -1.0),
        "compare": table.word("compare", Compare) or Compare.GREATER,
        "max_spikes": most,
        "reset": Reset(kind=rule.kind, amount=amount, when=rule.when),
    }


OWN: Mapping[str, Callable[[Table], Layer]] = {
    "Neurons": _neurons,
    "Sum": _sum,
    "Concatenation": _concatenation,
    "Into": _into,
}
"""By the type that the file says. They have no tensors."""
