"""snnTorch, norse, sinabs and SpikingJelly on a case: python torch_peer.py NAME FOLDER.

Real-valued networks with the integer weights and thresholds of the case, each framework's own
neuron, the same topology and input. Nothing in a step waits for another projection (the programs
have one step of delay per projection, which shifts spikes and adds none). Frameworks that fire at
the threshold, not above it, get a threshold half a step higher.

Modes: "layers" runs one layer over all steps before the next (its map over all steps at once),
"steps" runs all layers in each step. A constant image passes its first map once.
"""

from importlib.metadata import version

import numpy as np
import torch
from link import ImpossibleError, serve
from torch import nn

BATCHES = [1, 8, 64, 256]
MOST_BYTES = 3e9
"""Of the largest layer's activity over all steps; larger batches are left out."""


class Pooled(nn.Module):
    """The map of a layer: sum pooling, then dense, convolution or sparse."""

    def __init__(self, layer, weight, index, scale, pre):
        super().__init__()
        self.layer = layer
        weight = torch.as_tensor(np.asarray(weight, np.float32) * scale)
        if index is None:
            self.weight = nn.Parameter(weight, requires_grad=False)
            return
        size = (int(np.prod(layer.shape)), pre)
        coo = torch.sparse_coo_tensor(torch.as_tensor(index.astype(np.int64)), weight, size)
        csr = coo.coalesce().to_sparse_csr()
        rows, columns = csr.crow_indices().int(), csr.col_indices().int()  # twice as fast as int64
        self.weight = torch.sparse_csr_tensor(rows, columns, csr.values(), size)

    def forward(self, x):
        """Return the map of x [n, ...]."""
        layer = self.layer
        if layer.pool > 1:
            x = nn.functional.avg_pool2d(x, layer.pool, divisor_override=1)
        if layer.kind == "convolution":
            return nn.functional.conv2d(x, self.weight, stride=layer.stride, padding=layer.padding)
        if self.weight.layout == torch.sparse_csr:
            return (self.weight @ x.T).T
        return nn.functional.linear(x.flatten(1), self.weight)


class Feedback(Pooled):
    """The map from a layer to itself."""

    def forward(self, x):
        """Return the map of x [n, neuron]."""
        if self.weight.layout == torch.sparse_csr:
            return (self.weight @ x.T).T
        return nn.functional.linear(x, self.weight)


class SnnTorch:
    """snn.Leaky, which resets in the step of the spike."""

    package = "snntorch"
    modes = ("layers", "steps")

    def __init__(self, layer):
        import snntorch  # noqa: PLC0415 - one framework a process

        self.neuron = snntorch.Leaky(
            beta=layer.keeps, threshold=float(layer.threshold), reset_mechanism="zero"
        )

    scale = staticmethod(lambda layer: 1.0)

    def start(self):
        """Return the state before the first step."""
        return self.neuron.reset_mem()

    def step(self, current, state):
        """Return spikes and state."""
        return self.neuron(current, state)


class Norse:
    """LIFBoxCell, or IAFCell where nothing leaks."""

    package = "norse"
    modes = ("layers", "steps")

    def __init__(self, layer):
        import norse.torch as norse  # noqa: PLC0415 - one framework a process

        threshold, zero = torch.tensor(float(layer.threshold)), torch.tensor(0.0)
        if layer.decay == 4096:
            self.neuron = norse.IAFCell(norse.IAFParameters(v_th=threshold, v_reset=zero))
            return
        parameters = norse.LIFBoxParameters(
            tau_mem_inv=torch.tensor(1 - layer.keeps), v_leak=zero, v_th=threshold, v_reset=zero
        )
        self.neuron = norse.LIFBoxCell(parameters, dt=1.0)

    @staticmethod
    def scale(layer):
        """Return what weights are multiplied by: norse scales its input by dt / tau."""
        return 1.0 if layer.decay == 4096 else 1 / (1 - layer.keeps)

    def start(self):
        """Return the state before the first step."""

    def step(self, current, state):
        """Return spikes and state."""
        return self.neuron(current, state)


class SpikingJelly:
    """LIFNode and IFNode; multi-step in the mode "layers"."""

    package = "spikingjelly"
    modes = ("layers", "steps")

    def __init__(self, layer):
        from spikingjelly.activation_based import neuron  # noqa: PLC0415 - one framework a process

        threshold = layer.threshold + 0.5
        leaky = {"tau": 1 / (1 - layer.keeps) if layer.keeps < 1 else None, "decay_input": False}
        make = neuron.IFNode if layer.decay == 4096 else neuron.LIFNode
        extra = {} if layer.decay == 4096 else leaky
        self.neuron = make(v_threshold=threshold, v_reset=0.0, **extra).eval()

    scale = staticmethod(lambda layer: 1.0)

    def start(self):
        """Forget the state of the last run."""
        self.neuron.step_mode = "s"
        self.neuron.reset()

    def step(self, current, state):
        """Return spikes; the neuron keeps its state."""
        return self.neuron(current), None

    def all_steps(self, currents):
        """Return the spikes of all steps [step, sample, ...]."""
        self.neuron.reset()
        self.neuron.step_mode = "m"
        return self.neuron(currents)


class Sinabs:
    """LIF or IAF, one spike a step, reset to 0; LIFRecurrent where there is feedback."""

    package = "sinabs"
    modes = ("layers",)

    def __init__(self, layer):
        import sinabs.activation as act  # noqa: PLC0415 - one framework a process
        import sinabs.layers as sl  # noqa: PLC0415 - one framework a process

        how = {
            "spike_threshold": torch.tensor(layer.threshold + 0.5),
            "spike_fn": act.SingleSpike,
            "reset_fn": act.MembraneReset(),
        }
        if layer.decay == 4096:
            self.neuron = sl.IAF(**how)
            return
        how |= {"tau_mem": -1 / float(np.log(layer.keeps)), "norm_input": False}
        if layer.recurrent is None:
            self.neuron = sl.LIF(**how)
        else:
            feedback = Feedback(
                layer, layer.recurrent, layer.recurrent_index, 1.0, int(np.prod(layer.shape))
            )
            self.neuron = sl.LIFRecurrent(rec_connect=feedback, **how)

    scale = staticmethod(lambda layer: 1.0)

    def all_steps(self, currents):
        """Return the spikes of all steps [step, sample, ...]; sinabs wants the sample first."""
        self.neuron.reset_states()
        return self.neuron(currents.transpose(0, 1)).transpose(0, 1)


FRAMEWORKS = {
    "snntorch": SnnTorch,
    "norse": Norse,
    "spikingjelly": SpikingJelly,
    "sinabs": Sinabs,
}


class Simulator:
    """A case in one of the frameworks."""

    def __init__(self, name, case):
        torch.set_flush_denormal(True)  # membranes that fade away
        torch.manual_seed(1)
        framework = FRAMEWORKS[name]
        self.case = case
        self.versions = f"{name} {version(framework.package)}, torch {torch.__version__}"
        self.modes, self.threads = list(framework.modes), [1, 2]
        sizes = [int(np.prod(case.shape)), *(int(np.prod(layer.shape)) for layer in case.layers)]
        self.batches = [b for b in BATCHES if b * case.steps * max(sizes) * 4 < MOST_BYTES]
        self.maps, self.neurons, self.feedback = [], [], []
        pre = sizes[0]
        for layer in case.layers:
            scale = framework.scale(layer)
            self.maps.append(Pooled(layer, layer.weight, layer.index, scale, pre))
            self.neurons.append(framework(layer))
            pre = int(np.prod(layer.shape))
            own = layer.recurrent is not None and name != "sinabs"
            index = layer.recurrent_index
            self.feedback.append(
                Feedback(layer, layer.recurrent, index, scale, pre) if own else None
            )
        self.prepared = None

    def prepare(self, batch, threads, mode):
        """Put the input in place."""
        if self.prepared != (batch, threads, mode):
            torch.set_num_threads(threads)
            values = torch.as_tensor(np.array(self.case.batch(batch)), dtype=torch.float32)
            self.x = values.transpose(0, 1).contiguous()
            self.prepared, self.mode = (batch, threads, mode), mode

    @torch.inference_mode()
    def run(self, counts=None):
        """Return how often each output neuron fired [sample, neuron]."""
        run = self._layers if self.mode == "layers" else self._steps
        return run(self.x, counts)

    def _mapped(self, linear, x):
        """Return the map of all steps [step, sample, ...] at once."""
        return linear(x.flatten(0, 1)).unflatten(0, x.shape[:2])

    def _first(self, linear, x):
        if self.case.constant:
            return linear(x[0]).expand(len(x), *([-1] * (1 + len(self.case.layers[0].shape))))
        return self._mapped(linear, x)

    def _layers(self, x, counts):
        mapped = self._first
        for linear, neuron, feedback in zip(self.maps, self.neurons, self.feedback, strict=True):
            currents = mapped(linear, x)
            if feedback is None and hasattr(neuron, "all_steps"):
                x = neuron.all_steps(currents)
            else:
                x = self._over_time(neuron, feedback, currents)
            mapped = self._mapped
            if counts is not None:
                counts.append(float(x.sum()) / x.shape[1])
        return x.sum(0)

    def _over_time(self, neuron, feedback, currents):
        state, spikes, sent = neuron.start(), None, []
        for current in currents:
            given = current if spikes is None or feedback is None else current + feedback(spikes)
            spikes, state = neuron.step(given, state)
            sent.append(spikes)
        return torch.stack(sent)

    def _steps(self, x, counts):
        first = self.maps[0](x[0]) if self.case.constant else None
        states = [neuron.start() for neuron in self.neurons]
        sent = [None] * len(states)
        total = 0
        for values in x:
            spikes = values
            for i, (linear, neuron) in enumerate(zip(self.maps, self.neurons, strict=True)):
                current = first if i == 0 and first is not None else linear(spikes)
                if self.feedback[i] is not None and sent[i] is not None:
                    current = current + self.feedback[i](sent[i])
                spikes, states[i] = neuron.step(current, states[i])
                sent[i] = spikes
            total = total + spikes
        return total

    def check(self):
        """Return the spikes of each layer in the first sample."""
        self.prepare(1, 1, "layers")
        counts = []
        self.run(counts)
        return {"spikes": counts}


if __name__ == "__main__":
    if FRAMEWORKS.keys().isdisjoint(__import__("sys").argv[1:2]):
        raise ImpossibleError("no such framework")
    serve(Simulator)
