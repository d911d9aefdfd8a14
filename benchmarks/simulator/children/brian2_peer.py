"""brian2-loihi on a case: python brian2_peer.py brian2-loihi FOLDER.

A batch is that many samples one after another in one call, which prepares code every time; without
a reset between samples. Modes are brian2's two ways to run code within Python: "cython" compiles
it, "numpy" does not.
"""

import shutil
import warnings
from importlib.metadata import version

import brian2_loihi as loihi
import numpy as np
import unrolled
from brian2 import prefs, start_scope
from link import serve

SAMPLES = 200
"""Samples that the input is laid out for."""


class Simulator:
    """A case in brian2-loihi."""

    batches, threads = [1, 8], [1]

    def __init__(self, name, case):
        unrolled.check(case)
        self.versions = f"brian2-loihi {version('brian2-loihi')}, brian2 {version('brian2')}"
        self.modes = ["cython", "numpy"] if shutil.which("cc") else ["numpy"]
        self.case, self.steps = case, case.steps + len(case.layers)
        self.mode = None

    def prepare(self, batch, threads, mode):
        """Build the network anew where the mode changes, and run its first sample."""
        self.batch = batch
        if mode == self.mode and self.left >= 4 * batch:
            return
        warnings.simplefilter("ignore")
        prefs.codegen.target, self.mode = mode, mode
        start_scope()
        step, neuron = np.nonzero(self.case.inputs[0].reshape(self.case.steps, -1))
        steps = (step + self.steps * np.arange(SAMPLES)[:, None]).ravel()
        size = int(np.prod(self.case.shape))
        source = loihi.LoihiSpikeGeneratorGroup(size, np.tile(neuron, SAMPLES), steps)
        parts, self.groups = [source], []
        for layer, shape in unrolled.sources(self.case):
            group = loihi.LoihiNeuronGroup(
                int(np.prod(layer.shape)),
                refractory=1,
                threshold_v_mant=layer.threshold,
                decay_v=4096 - layer.decay,
                decay_I=4096,
            )
            # a neuron's spike is seen one step later, that of a generator in its own step
            delay = 0 if self.groups else 1
            parts += [group, *connected(source, group, delay, unrolled.triplets(layer, shape))]
            if layer.recurrent is not None:
                parts += connected(group, group, 0, unrolled.feedback(layer))
            self.groups.append(group)
            source = group
        self.network = loihi.LoihiNetwork(*parts)
        self.left = SAMPLES - 1
        self.network.run(self.steps)
        self.first = [np.rint(np.array(group.v)).astype(np.int64) for group in self.groups]

    def run(self):
        """Run a batch more."""
        self.network.run(self.steps * self.batch)
        self.left -= self.batch

    def check(self):
        """Return whether the membranes after the first sample are the reference's."""
        self.prepare(1, 1, self.modes[0])
        pairs = zip(self.case.layers, self.first, strict=True)
        equal = [
            np.array_equal(v, self.case.expected[f"{layer.name}.membrane"].ravel())
            for layer, v in pairs
        ]
        return {"equal": all(equal), "what": "membranes of all layers after one sample"}


def connected(source, target, delay, triplets):
    """Return the synapses between two groups."""
    post, pre, weight = triplets
    synapses = loihi.LoihiSynapses(source, target, delay=delay, sign_mode=1)
    synapses.connect(i=pre, j=post)
    synapses.w = weight
    return [synapses]


if __name__ == "__main__":
    serve(Simulator)
