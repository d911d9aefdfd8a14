"""The tables of layers: one record per node, population, sum of edges, edge.

A node is an input or a population; what it sends in a step is a list of events in its stream. A
population adds up, in each step, the weights of the events that reach each of its neurons, and
then computes these block by block.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Int8, Int32, UInt8

from snn_deploy.backends.event.flat import record

BLOCK = 256
"""Neurons that are computed, or skipped, together; what they need of one step fits the first
cache."""

CURRENT_DECAY, DECAY, THRESHOLD, AMOUNT, FLOOR_BEFORE, FLOOR_AFTER, PARAMETERS = range(7)
"""Numbers of the parameters. A neuron fires above its threshold: where it does at the threshold,
the number that stands here is one less."""

FRACTION = 15
"""Fraction bits of the decay multipliers; those of an arithmetic with fewer are shifted left. Then
the lower bits of a state times a multiplier fit 32 bits."""

BINARY, COUNT, SILENT = range(3)
"""What a neuron sends: a spike, as many as its membrane is worth, or nothing."""


ROW = 16
"""A dense row of weights has a multiple of so many, and a sum of weights room for a multiple of 64
bytes."""


class Way(IntEnum):
    """How an edge's weights are laid out."""

    DENSE = 0
    """One row of all targets per source."""

    ROWS = 1
    """Per source its own list of targets."""

    KERNEL = 2
    """A convolution: per input channel and row of taps the columns, those that lie beside each
    other in the output together and last one first, each with all output channels. A source's rows
    (`EDGE`) say which part of them reaches which targets."""


NODE = record("size", "history", "events", "room", "begins", "binary", "column")
"""A node sends at most `size` events in a step. Its stream holds those of the last `history` steps
and of the steps that run: they begin at `events` and have `room`, and `begins` says where those of
each step do. `binary`: every event is worth 1. `column` is where what enters it stands, in
`Given.spikes` or in `Given.values`."""

LAYER = record(
    *("node", "row", "size", "place", "lag", "edge", "edge_end", "sent"),
    *("narrow_shift", "wide_shift", "most", "spills", "spill"),
    *("has_current", "reads_old", "late", "hard", "leaks", "floors", "sends"),
    *("greater", "most_spikes"),
    *("current", "membrane", "payload", "marks", "quiet", "initial", "epoch", "epoch_end"),
    *("rests", "first_bias"),
    parameters=(np.int64, PARAMETERS),
    strides=(np.int64, PARAMETERS),
)
"""A population: its node, its row in the records, the program's number of each of its neurons
(`place`), its edges, and what all its neurons have in common. Weights add up in 16 or in 32 bits,
and are then shifted left by `narrow_shift` or `wide_shift`. If it `spills`, a sum of 16 bits could
overflow after `most` events, and is added, shifted left by `spill`, to that of 32. The states are
cells from `current`, `membrane` and `payload` on, and one cell for each block, from `quiet` on,
says that all states of the block are 0. `marks` is where the bytes begin that say which neurons
send something; where that is all there is to know, there are no cells of the payload. Parameter p
of block b begins at `parameters[p] + b * strides[p]`. `rests`: a neuron of which all states are 0
stays so without input, until the step `first_bias`. A neuron sends `most_spikes` at most. What
others read is in `Given.sent`, from the column `sent` on."""

EDGE = record(
    *("node", "delay", "delays", "way", "narrow", "words", "weight", "size", "row", "post"),
    *("total", "most", "block", "point"),
)
"""A projection from `node`, or its part with one `delay`; of a part, `delays` is where the delays
of all sources begin, and only those with this one count. A dense map has rows of `row` weights,
those behind its targets are 0. `narrow`: it adds up in 16 bits; `words`:
its weights are int32. `total` is where the sums of all weights of each target begin; where more
than `most` sources send a spike, these are added, less the weights of all others. For each source
of lists, `row` is where its targets begin among those from `post` on. For each source of a
kernel, `point` has its channel, of `block` weights each, its place in the picture, and the first
target of its group; for each place, `row` is where its rows begin among those from `post` on; a row
is the first target, the first weight, and how many of both."""

EPOCH = record("start", "current", "membrane")
"""From step `start` on, the biases of the current and the membrane are these, per neuron."""

NARROW, WIDE = 1, 2
"""Sums of 16 and of 32 bits."""


class LayerPlan(NamedTuple):
    """Plain populations for the kernels: tables, and the numbers that they point into."""

    layers: np.ndarray
    edges: np.ndarray
    epochs: np.ndarray
    nodes: np.ndarray
    groups: Int[np.ndarray, "group end"]
    """First and last layer of those that have to run step by step together, and of single ones."""

    rules: Int[np.ndarray, " rule"]
    """`RULES`: half a register's range, what is surely no overflow of it, and what it does there;
    then how many steps run through one layer before the next, and how much room a sample takes."""

    numbers: Int[np.ndarray, " number"]
    """Parameters, initial states, targets of synapses, delays, positions; int32."""

    bytes: Int8[np.ndarray, " weight"]
    words: Int[np.ndarray, " weight"]
    """Weights that fit 8 bits, and those that need up to 32."""


RULES = (
    *("HALF_CURRENT", "SAFE_CURRENT", "CURRENT_OVERFLOW"),
    *("HALF_MEMBRANE", "SAFE_MEMBRANE", "MEMBRANE_OVERFLOW"),
    *("CHUNK", "WIDEST", "CELLS", "MARKS", "EVENTS", "BEGINS"),
)
HALF_CURRENT, SAFE_CURRENT, CURRENT_OVERFLOW, HALF_MEMBRANE, SAFE_MEMBRANE = range(5)
MEMBRANE_OVERFLOW, CHUNK, WIDEST, CELLS, MARKS, EVENTS, BEGINS = range(5, len(RULES))

MOST_SAFE_CURRENT, MOST_SAFE_MEMBRANE = 2**28, 2**30
"""Sizes below which a state is surely what the sum of 32 bits says. A membrane of up to 2**31 and
all that one step adds (less than 2**28 + 2**27) may leave 32 bits; what is left of it there is
larger than 2**30."""


class Streams(NamedTuple):
    """The states and events of some samples while they run, one row for each."""

    cells: Int[np.ndarray, "lane cell"]
    marks: UInt8[np.ndarray, "lane mark"]
    """1 where a neuron has sent something in its last step, else 0."""

    events: Int[np.ndarray, "lane event"]
    """Which neuron, in the order of its population in the plan."""

    values: Int[np.ndarray, "lane event"]
    """What it sent; of nodes that are not binary."""

    begins: Int[np.ndarray, "lane begin"]


class Given(NamedTuple):
    """What enters layers in some steps, and what of theirs others read: each node has columns."""

    spikes: UInt8[np.ndarray, "lane step neuron"]
    """Of binary nodes. Kernels look for numbers that are not 0 in one line after the other: what
    they search here, and in `Streams.marks`, has a whole number of lines, and behind a node's own
    numbers anything."""

    values: Int32[np.ndarray, "lane step neuron"]
    """Of all others."""

    sent: Int32[np.ndarray, "lane step neuron"]
    """All 0 before."""
