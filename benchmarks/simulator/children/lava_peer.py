"""Lava's fixed-point process models on a case: python lava_peer.py lava FOLDER, Python 3.10.

Stock processes alone: RingBuffer, Dense, Conv or Sparse, LIF. A batch is that many samples of
the same input one after another in one call, without a reset between samples, which Lava has none
of: time does not depend on it. The
check compares membranes of all layers after the first sample with the reference simulator's.
"""

import numpy as np
import unrolled
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.conv.process import Conv
from lava.proc.dense.process import Dense
from lava.proc.io.source import RingBuffer
from lava.proc.lif.process import LIF
from lava.proc.sparse.process import Sparse
from link import ImpossibleError, serve
from scipy.sparse import csr_matrix

MOST_WEIGHTS = 40_000_000
"""Of a layer; a matrix of 64-bit integers of that size takes 320 MB."""


class Simulator:
    """A case as Lava processes."""

    versions = "lava-nc 0.10.0, fixed_pt, numpy " + np.__version__
    modes, batches, threads = (
        ["processes"],
        [1, 8],
        [1],
    )  # its processes share the cores as they are

    def __init__(self, name, case):
        self.case = case
        self.steps = case.steps + len(case.layers)
        data = np.zeros((int(np.prod(case.shape)), self.steps), np.int32)
        data[:, : case.steps] = case.inputs[0].reshape(case.steps, -1).T
        out, shape, bits = RingBuffer(data=data).s_out, case.shape, 8 if case.high > 1 else 0
        self.neurons = []
        for layer in case.layers:
            size = int(np.prod(layer.shape))
            neuron = LIF(
                shape=(size,), du=4095, dv=4096 - layer.decay, vth=layer.threshold,
                name=layer.name,
            )  # fmt: skip
            joined(out, shape, layer, bits).connect(neuron.a_in)
            if layer.recurrent is not None:
                feedback = made(layer.recurrent, layer.recurrent_index, size, size, 0)
                neuron.s_out.connect(feedback.s_in)
                feedback.a_out.connect(neuron.a_in)
            self.neurons.append(neuron)
            out, shape, bits = neuron.s_out, layer.shape, 0
        self.config = Loihi2SimCfg(select_tag="fixed_pt")
        self.batch = 1
        self.run()
        self.first = [neuron.v.get() for neuron in self.neurons]

    def prepare(self, batch, threads, mode):
        """Choose how many samples a run has."""
        self.batch = batch

    def run(self):
        """Run a batch more."""
        steps = RunSteps(num_steps=self.steps * self.batch)
        self.neurons[0].run(condition=steps, run_cfg=self.config)

    def check(self):
        """Return whether the membranes after the first sample are the reference's."""
        pairs = zip(self.case.layers, self.first, strict=True)
        equal = [
            np.array_equal(v.ravel(), self.case.expected[f"{layer.name}.membrane"].ravel())
            for layer, v in pairs
        ]
        return {"equal": all(equal), "what": "membranes of all layers after one sample"}


def joined(out, shape, layer, bits):
    """Return the port that carries a layer's input."""
    if layer.kind != "convolution":
        weight = layer.weight
        if layer.pool > 1:
            weight = unrolled.widened(weight, shape, layer.pool)
        dense = made(weight, layer.index, int(np.prod(layer.shape)), int(np.prod(shape)), bits)
        out.connect(dense.s_in)
        return dense.a_out
    kernel = unrolled.kernel_of(layer)
    conv = Conv(
        weight=kernel[:, :, ::-1, ::-1].transpose(0, 3, 2, 1).astype(np.int64).copy(),
        input_shape=(shape[2], shape[1], shape[0]),
        padding=layer.padding * layer.pool,
        stride=layer.stride * layer.pool,
        num_message_bits=bits,
    )
    out.reshape(shape).transpose([2, 1, 0]).connect(conv.s_in)
    return conv.a_out.transpose([2, 1, 0]).reshape((int(np.prod(layer.shape)),))


def made(weight, index, post, pre, bits):
    """Return a Dense or Sparse process."""
    if index is None:
        if weight.size > MOST_WEIGHTS:
            raise ImpossibleError(f"a dense matrix of {weight.size:,} weights")
        return Dense(weights=weight.astype(np.int64), num_message_bits=bits)
    matrix = csr_matrix((weight.astype(np.int64), (index[0], index[1])), shape=(post, pre))
    return Sparse(weights=matrix, num_message_bits=bits)


if __name__ == "__main__":
    serve(Simulator)
