"""The tables of a plan: one record per input, population, projection, bias, table over time.

A door is a state that something may enter: of canonical neurons the membrane is door 0, synaptic
current k is door k; of other kinds, what projections drive where they state nothing is door 0.
All that changes while a sample runs stands in one array of cells, and all that does not in one
array of numbers; the tables say where. All codes that the kernels compare with stand here, too.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from snn_deploy.backends.event.flat import record
from snn_deploy.backends.event.records import REGISTER_OF
from snn_deploy.ir.arithmetic import Overflow
from snn_deploy.ir.neuron import CURRENTS, State

NEVER, BINARY, COUNT, GRADED, ROUNDED, TERNARY = range(6)
"""Codes of `Fires`."""

NO_RESET, TO_VALUE, SUBTRACT = range(3)
"""Codes of `ResetKind`."""

NOW, NEXT, RETESTED = range(3)
"""Codes of `When`."""

NO_FLOOR, BEFORE_TEST, AFTER_RESET = range(3)
"""Codes of `FloorWhen`."""

NOT_REFRACTORY, INTEGRATES, HELD, CLAMPED = range(4)
"""Codes of `During`."""

WRAP_ONCE, WRAP, SATURATE, SATURATE_FULL = range(4)
"""Codes of `Overflow`."""

OVERFLOWS = {
    Overflow.WRAP_ONCE: WRAP_ONCE,
    Overflow.WRAP: WRAP,
    Overflow.SATURATE: SATURATE,
    Overflow.SATURATE_FULL: SATURATE_FULL,
}

GENERAL, ADAPTIVE, RESONATOR, SIGMA, DELTA, SIGMA_DELTA = range(6)
"""Which kernel advances a population: canonical neurons have the first, kinds the others."""

CROSSING, LEVEL = range(2)
"""Codes of `Resonance`."""

UNIT, RELU = range(2)
"""Codes of `Activation`."""

DOORS = (State.MEMBRANE, *CURRENTS)
"""The doors of canonical neurons."""

DOOR_OF = {state: door for door, state in enumerate(DOORS)}

MEMBRANE, PAYLOAD = REGISTER_OF[State.MEMBRANE], REGISTER_OF[State.PAYLOAD]
COUNTDOWN, STARTED = REGISTER_OF[State.COUNTDOWN], REGISTER_OF[State.STARTED]
CURRENT, THETA = REGISTER_OF[State.CURRENT], REGISTER_OF[State.THRESHOLD]
REFRACTION, IMAGINARY = REGISTER_OF[State.REFRACTION], REGISTER_OF[State.IMAGINARY]
DECODED, ACTIVATION = REGISTER_OF[State.SIGMA], REGISTER_OF[State.ACTIVATION]
RESIDUE, ERROR = REGISTER_OF[State.RESIDUE], REGISTER_OF[State.ERROR]
FIRED = len(REGISTER_OF)
"""Number of the spikes of the last step in which the population acted; no trace shows them."""

REGISTERS = FIRED + 1

DECAY, CHAIN, GAIN, BIAS = (len(DOORS) * number for number in range(4))
"""Numbers of parameters, with one more for each further door. A bias is there only as a table:
constant ones stand in `Plan.biases`."""

THRESHOLD, LOWER, AMOUNT, FLOOR, FACTOR = range(4 * len(DOORS), 4 * len(DOORS) + 5)
PARAMETERS = FACTOR + 1
"""Other kinds number their parameters as they declare them, from 0 on."""

OPTIONS = 4
"""Most choices that are the same for all neurons of a kind."""


class Way(IntEnum):
    """How an edge's weights are laid out."""

    DENSE = 0
    """One row of all targets per source."""

    ROWS = 1
    """Per source its own list of targets."""

    KERNEL = 2
    """A convolution: one row of output channels per input channel and tap."""


SOURCE = record("first", "size", "edge", "edge_end", "history", "kept")
"""An input: its first column, its size, its edges from `edge` to `edge_end`. Where rows are summed
one by one, its payloads of the last `kept` steps are in the cells from `history` on."""

DOOR = record(
    *("register", "slots", "ring", "arrived", "feed", "feed_end"),
    *("reads_old", "into_membrane", "chained", "chain_old", "gain_shift", "bias", "waiting"),
)
"""One state of a population that something may enter. What arrives is summed in the cells of a ring
of `slots` steps at `ring`, with one flag per step at `arrived`; where rows are summed one by one,
it has the feeds from `feed` to `feed_end` instead. `bias` and `waiting` are the cells with the sums
of its biases that act, and that wait."""

POPULATION = record(
    *("size", "place", "edge", "edge_end", "history", "kept"),
    *("kernel", "lag", "entry", "fires", "greater", "most", "payload_shift"),
    *("reset", "when", "floor", "during", "refractory", "opens", "shuts"),
    *("restart_every", "restart_at", "waits", "register", "registers_end", "initial"),
    *("moving", "rests", "first_bias", "door_end", "sent"),
    doors=(DOOR, len(DOORS)),
    registers=(np.int64, REGISTERS),
    parameters=(np.int64, PARAMETERS),
    tabled=(np.int64, PARAMETERS),
    options=(np.int64, OPTIONS),
)
"""A population. It has the doors before `door_end`, of which projections drive `entry` where they
state none. `refractory`: what a countdown starts from, and 0 where it never ends. It may fire from
step `opens` until `shuts`. Its states are the cells from `register` on, each of `registers` at its
own place, and what they start from stands at `initial`. Each of `parameters` begins at a place of
its own, `tabled` says which table replaces it; `options` are a kind's own choices. The cell
`moving` says whether some state is not 0; `rests`: if none is, no input and no bias leave it so,
until `first_bias`, the first step in which one acts. What it sends goes to `sent`, too, for those
who read it elsewhere."""

EDGE = record(
    *("way", "size", "slots", "ring", "arrived", "weight", "row", "post", "delay", "delay_stride"),
    *("point", "per_group", "outs", "kernel_y", "kernel_x", "stride_y", "stride_x"),
    *("dilation_y", "dilation_x", "top", "left", "height", "width"),
    *("step_o", "step_y", "step_x"),
)
"""A projection, or the part of it with one delay, into the ring of a door of `size` neurons;
`weight`, `row`, `post`, `delay` and `point` are where its own begin. A kernel reads `per_group`
channels and gives `outs` in each group; one channel, row or column further in its target is
`step_o`, `step_y` or `step_x` neurons further."""

FEED = record("edge", "edge_end", "size", "order", "least", "history", "kept")
"""A projection whose rows are summed one by one: its edges, the `size` of its source, where the
source's neurons in the program's order stand, its shortest delay, and its source's history."""

BIAS_ROW = record("first", "size", "value", "start")
"""A bias on the `size` sums from cell `first` on; its values begin at `value`."""

TABLE = record("start", "repeats", "rows", "values", "width", "stride")
"""A parameter over time: rows of `width` numbers at `values`; the number of the next neuron is
`stride` further, 0 where all have the same."""

RULES = record(
    *("current_half", "current_overflow", "membrane_half", "membrane_overflow"),
    *("accumulator_half", "accumulator_overflow", "change_half", "change_overflow"),
    *("decay_bits", "decays_by_shift"),
    *("adds_first", "by_row", "period"),
    *("widest", "event", "value", "old", "total", "entering", "added", "row", "cells"),
)
"""The arithmetic; half is 2**(bits - 1), and 0 where there is no such register. Then the places of
room to compute in, each for as many numbers as the `widest` input or population has, and how many
cells there are: which neurons sent something in this step (`event`), and what (`value`); the states
behind the doors as the last step left them (`old`, door after door); what arrives at a door
(`total`), its state while it is computed (`entering`), its biases (`added`), and what one source
gives (`row`)."""


class Plan(NamedTuple):
    """A program for the kernels: tables, and the numbers that they point into.

    Few arrays, because every function that is given a plan is given all of them one by one.
    """

    rules: np.ndarray
    """One `RULES`."""

    inputs: np.ndarray
    populations: np.ndarray
    edges: np.ndarray
    feeds: np.ndarray
    biases: np.ndarray
    tables: np.ndarray
    numbers: Int[np.ndarray, " number"]
    """Parameters, initial states, targets of synapses, delays, positions."""

    weights: np.ndarray
    """Weights, already shifted; int32 where all of them fit, else int64."""
