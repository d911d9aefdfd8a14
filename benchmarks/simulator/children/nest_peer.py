"""NEST on a case: python nest_peer.py nest FOLDER.

iaf_psc_delta in steps of 1 ms, its exact exponential decay the case's, delta synapses with a delay
of one step; inputs are spike_train_injectors. A batch is that many samples one after another
in one call, without a reset between samples.
"""

from importlib.metadata import version

import nest
import numpy as np
import unrolled
from link import serve

SAMPLES = 400
"""Samples that the input is laid out for."""

NO_LEAK = 1e7
"""Time constant of neurons that do not leak [ms]."""


class Simulator:
    """A case in NEST."""

    modes, batches, threads = ["exact"], [1, 8], [1, 2]

    def __init__(self, name, case):
        unrolled.check(case)
        nest.set_verbosity("M_ERROR")
        self.versions = f"nest-simulator {version('nest-simulator')}"
        self.case, self.steps = case, case.steps + len(case.layers) + 1
        self.built = None

    def prepare(self, batch, threads, mode):
        """Build the network anew where the number of threads changes, and run its first sample."""
        self.batch = batch
        if self.built == threads and self.left >= 4 * batch:
            return
        if self.built:
            nest.Cleanup()
        self.built, self.left = threads, SAMPLES
        self._build(threads)
        nest.Prepare()
        self.run()

    def _build(self, threads):
        """Return the populations of a new kernel."""
        nest.ResetKernel()
        nest.set_verbosity("M_ERROR")
        nest.SetKernelStatus({"resolution": 1.0, "local_num_threads": threads})
        source, populations = self._inputs(), []
        for layer, shape in unrolled.sources(self.case):
            neurons = self._neurons(layer)
            connect(source, neurons, unrolled.triplets(layer, shape))
            if layer.recurrent is not None:
                connect(neurons, neurons, unrolled.feedback(layer))
            populations.append(neurons)
            source = neurons
        return populations

    def _inputs(self):
        values = self.case.inputs[0].reshape(self.case.steps, -1)
        offsets = self.steps * np.arange(SAMPLES)[:, None]
        trains = [
            {"spike_times": (np.flatnonzero(values[:, i]) + 1.0 + offsets).ravel().astype(float)}
            for i in range(values.shape[1])
        ]
        return nest.Create("spike_train_injector", len(trains), params=trains)

    @staticmethod
    def _neurons(layer):
        leak = NO_LEAK if layer.decay == 4096 else -1 / float(np.log(layer.keeps))
        return nest.Create(
            "iaf_psc_delta",
            int(np.prod(layer.shape)),
            params={
                "tau_m": leak, "C_m": 1.0, "E_L": 0.0, "V_reset": 0.0, "V_m": 0.0, "t_ref": 0.0,
                "V_th": layer.threshold + 0.5,  # NEST fires at the threshold, not above it
            },
        )  # fmt: skip

    def run(self):
        """Run a batch more."""
        nest.Run(float(self.steps * self.batch))
        self.left -= self.batch

    def check(self):
        """Return the spikes of each layer in the first sample."""
        recorders = []
        for neurons in self._build(1):
            recorder = nest.Create("spike_recorder")
            nest.Connect(neurons, recorder)
            recorders.append(recorder)
        nest.Simulate(float(self.steps))
        return {"spikes": [float(recorder.n_events) for recorder in recorders]}


def connect(source, target, triplets):
    """Join two populations, synapse by synapse."""
    post, pre, weight = triplets
    first_pre, first_post = source[0].global_id, target[0].global_id
    nest.Connect(
        pre + first_pre,
        post + first_post,
        {"rule": "one_to_one"},
        {"weight": weight.astype(float), "delay": np.ones(len(weight))},
    )


if __name__ == "__main__":
    serve(Simulator)
