"""The emulator of nengo-loihi on a case: python nengo_peer.py nengo-loihi FOLDER.

Blocks are built by hand from integers. A run is one sample more of the same input, without a reset
between samples. Nothing is probed; the check reads the emulator's voltages after the first sample.
"""

from importlib.metadata import version

import numpy as np
import unrolled
from link import serve
from nengo_loihi.block import Axon, LoihiBlock, Synapse
from nengo_loihi.builder import Model
from nengo_loihi.emulator import EmulatorInterface
from nengo_loihi.inputs import SpikeInput

STATE = 2**23 - 1
"""Where the emulator clips v."""

SHIFT = 6


class Repeated(SpikeInput):
    """Input that starts again after some steps."""

    period = 0

    def spike_idxs(self, ti):
        """Return the sources that spike in step ti, which counts from 1."""
        return self.spikes[(ti - 1) % self.period + 1]


class Simulator:
    """A case in the emulator."""

    modes, batches, threads = ["emulator"], [1], [1]

    def __init__(self, name, case):
        unrolled.check(case)
        self.versions = f"nengo-loihi {version('nengo-loihi')}, numpy {np.__version__}"
        self.case, self.steps = case, case.steps + len(case.layers)
        model = Model()
        source = Repeated(int(np.prod(case.shape)))
        source.period = self.steps
        values = case.inputs[0].reshape(case.steps, -1)
        for step in range(self.steps):
            row = np.flatnonzero(values[step]) if step < case.steps else np.zeros(0, int)
            source.add_spikes(step + 1, row, permanent=True)
        model.add_input(source)
        self.blocks = []
        for layer, shape in unrolled.sources(case):
            block = neurons(layer)
            model.add_block(block)
            connect(source, block, int(np.prod(shape)), unrolled.triplets(layer, shape))
            if layer.recurrent is not None:
                connect(block, block, block.n_neurons, unrolled.feedback(layer))
            self.blocks.append(block)
            source = block
        self.emulator = EmulatorInterface(model, seed=0)
        self.run()
        compartment = self.emulator.compartment
        slices = [self.emulator.block_info.slices[block] for block in self.blocks]
        self.first = [compartment.voltage[part].copy() for part in slices]

    def prepare(self, batch, threads, mode):
        """Nothing to do."""

    def run(self):
        """Run one sample more."""
        self.emulator.run_steps(self.steps)

    def check(self):
        """Return whether the membranes after the first sample are the reference's."""
        pairs = zip(self.case.layers, self.first, strict=True)
        equal = [
            np.array_equal(v, self.case.expected[f"{layer.name}.membrane"].ravel())
            for layer, v in pairs
        ]
        return {"equal": all(equal), "what": "membranes of all layers after one sample"}


def neurons(layer):
    """Return a block of a layer's neurons."""
    size = int(np.prod(layer.shape))
    block = LoihiBlock(size, label=layer.name)
    part = block.compartment

    def each(value):
        return np.full(size, value, np.int32)

    part.decay_u, part.decay_v = each(4095), each(4096 - layer.decay)
    part.vth, part.bias = each(layer.threshold << SHIFT), each(0)
    part.refract_delay = each(1)
    part.scale_u = part.scale_v = False
    part.vmin, part.vmax = -STATE, STATE
    return block


def connect(source, target, size, synapses):
    """Join a source of `size` neurons to a block."""
    post, pre, weight = synapses
    start = np.searchsorted(pre, np.arange(1, size))
    synapse = Synapse(size)
    shifted = weight.astype(np.int32) << SHIFT
    synapse.weights = [row[None] for row in np.split(shifted, start)]
    synapse.indices = [row[None] for row in np.split(post, start)]
    target.add_synapse(synapse)
    axon = Axon(size)
    axon.target = synapse
    source.add_axon(axon)


if __name__ == "__main__":
    serve(Simulator)
