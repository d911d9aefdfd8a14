"""rockpool's torch modules: LIF neurons with exponential synapses, filters, weights, combinators.

Source: rockpool 3.1.0, `nn/modules/torch/`, run and compared spike by spike. A `LIFTorch` computes
in each step, in this order:

    i = beta * (i + x + w_rec' s)        one i per synapse, s the spikes of the step before
    v = alpha * v + sum of i + bias
    s = min(floor(v / threshold), max_spikes_per_dt) where v >= threshold
    v = v - s * threshold

`alpha = exp(-dt / tau_mem)` and `beta = exp(-dt / tau_syn)`, or those very numbers, or
1 - 2**-dash; `LIFBitshiftTorch` rounds log2(tau / dt) to a whole dash and so decays by numbers of
few bits. The states of a module that has run are not read: every sample starts from 0, as after
`reset_state()`.
"""

from typing import Any

import numpy as np

from snn_deploy.errors import DynamicsError, UnknownNodeError
from snn_deploy.frontends.decays import decay_of
from snn_deploy.frontends.dynamics import Unit
from snn_deploy.frontends.layers import Cell, LayerGraph, Linear, Parameter, Sum
from snn_deploy.frontends.modules import read_nested
from snn_deploy.frontends.registry import Frontend, children_of, frontend, short_name
from snn_deploy.frontends.tensors import array_of, real_of
from snn_deploy.frontends.unbounded import largest_count
from snn_deploy.ir.network import Reset, Synapse
from snn_deploy.ir.neuron import Compare, Fires, ResetKind

_UNBOUND = 2**16
"""rockpool's default of `max_spikes_per_dt`: a number that no neuron reaches."""

_SPIKE_FUNCTIONS = ("StepPWL", "PeriodicExponential")
"""Both compute the same spikes; they differ in how they are differentiated."""


def _lif(graph: LayerGraph, name: str, module: Any, source: str) -> str:
    """Read LIFTorch and LIFBitshiftTorch."""
    _enter(graph, name, module)
    neurons, synapses = int(module.size_out), int(module.n_synapses)
    beta = _wide(module.beta, (neurons, synapses))
    weight = real_of(module.w_rec).T
    if np.all(beta == beta[:, :1]):
        # Synapses of equal decay add up to one.
        together = _sum_of(neurons, synapses)
        if synapses > 1:
            source = graph.add(f"{name}.synapses", Linear(weight=together), source)
            weight = together @ weight
        decay = np.array(beta[:, 0])
        synapse = Synapse(decay=decay, gain=decay)
        graph.add(name, _spiking(graph, name, module, real_of(module.alpha), synapse), source)
        _feed_back(graph, name, name, weight)
        return name
    filters = _synapses(graph, name, beta, source)
    joined = Linear(weight=_sum_of(neurons, synapses))
    graph.add(f"{name}.sum", joined, filters)
    graph.add(name, _spiking(graph, name, module, real_of(module.alpha), None), f"{name}.sum")
    _feed_back(graph, name, filters, weight)
    return name


def _adaptive_lif(graph: LayerGraph, name: str, module: Any, source: str) -> str:
    """Read aLIFTorch: as LIFTorch, and each spike starts a current of its own neuron.

    i_ahp = gamma * (i_ahp + w_ahp * s), added to the membrane
    """
    _enter(graph, name, module)
    neurons, synapses = int(module.size_out), int(module.n_synapses)
    filters = _synapses(graph, name, _wide(module.beta, (neurons, synapses)), source)
    graph.add(f"{name}.sum", Linear(weight=_sum_of(neurons, synapses)), filters)
    graph.add(name, _spiking(graph, name, module, real_of(module.alpha), None), f"{name}.sum")
    _feed_back(graph, name, filters, real_of(module.w_rec).T)
    gamma = real_of(decay_of(module.tau_ahp, float(module.dt)))
    # It takes in the spikes of this step, which is one step too early, and gives its current to
    # the next.
    current = Cell(decay=gamma, gain=gamma * real_of(module.w_ahp), fires=Fires.NEVER)
    graph.feed_back(graph.add(f"{name}.ahp", current, name), name)
    return name


def _lif_neuron(graph: LayerGraph, name: str, module: Any, source: str) -> str:
    """Read LIFNeuronTorch, which has no synapses: v = alpha * v + x + bias"""
    _enter(graph, name, module)
    alpha = real_of(decay_of(module.tau_mem, float(module.dt)))
    return graph.add(name, _spiking(graph, name, module, alpha, None), source)


def _exponential(graph: LayerGraph, name: str, module: Any, source: str) -> str:
    """Read ExpSynTorch: i = beta * (i + x), which is also what it gives."""
    _enter(graph, name, module)
    beta = real_of(decay_of(module.tau, float(module.dt)))
    return graph.add(name, Cell(decay=beta, gain=beta, fires=Fires.NEVER), source)


def _linear(graph: LayerGraph, name: str, module: Any, source: str) -> str:
    """Read LinearTorch, whose weight is [pre, post]."""
    weight = array_of(module.weight).T
    bias = None
    if module.bias is not None:
        bias = np.array(np.broadcast_to(array_of(module.bias), weight.shape[:1]))
    return graph.add(name, Linear(weight=weight, bias=bias), source)


def _residual(graph: LayerGraph, name: str, module: Any, source: str) -> str:
    """Read Residual: its modules one after another, plus what enters the first."""
    given = source
    for child, inner in children_of(module):
        given = read_nested(graph, f"{name}.{child}", inner, given)
    return graph.add(f"{name}.sum", Sum(), given, source)


def _stack(graph: LayerGraph, name: str, module: Any, source: str) -> str:
    """Read FFwdStack: modules with weights [pre, post] between them."""
    first, *others = module._submodule_names
    source = read_nested(graph, f"{name}.{first}", getattr(module, first), source)
    for weight, inner in zip(module._weight_names, others, strict=True):
        matrix = Linear(weight=array_of(getattr(module, weight)).T)
        source = graph.add(f"{name}.{weight}", matrix, source)
        source = read_nested(graph, f"{name}.{inner}", getattr(module, inner), source)
    return source


def _patched(graph: LayerGraph, name: str, module: Any, source: str) -> str:
    """Read a layer of torch that stands between rockpool's modules: a subclass made of it.

    Raises:
        UnknownNodeError: it is no layer of torch, or none that is read.
    """
    made_of = type(module).__mro__[1]
    known = frontend("torch")
    if made_of.__module__.partition(".")[0] != "torch" or made_of.__name__ not in known.layers:
        raise UnknownNodeError(
            f"a layer of class {made_of.__module__}.{made_of.__qualname__} is not read between "
            "rockpool's modules",
            where=name,
            fix="use LinearTorch, or a network of torch's and another framework's layers",
        )
    return known.layers[made_of.__name__](graph, name, module, source)


def _dropout(graph: LayerGraph, name: str, module: Any, source: str) -> str:
    """Read a dropout, which passes its input unchanged once a network is trained."""
    return source


def _enter(graph: LayerGraph, name: str, module: Any) -> None:
    """Give the network a module's time step.

    Raises:
        UnknownNodeError: the module adds noise.
        DynamicsError: another module has another time step.
    """
    if np.any(array_of(module.noise_std) != 0):
        raise UnknownNodeError(
            f"{short_name(module)} with noise_std={float(module.noise_std):g} is not read: its "
            "spikes are random",
            where=name,
            fix="set noise_std to 0, which is how a trained network is used",
        )
    dt = float(module.dt)
    if graph.unit is Unit.SECOND and graph.dt != dt:
        raise DynamicsError(
            f"modules have different time steps: {min(dt, graph.dt):g}, {max(dt, graph.dt):g} s",
            where=name,
            fix="give all modules the same dt",
        )
    graph.dt, graph.unit = dt, Unit.SECOND


def _spiking(
    graph: LayerGraph, name: str, module: Any, decay: Parameter, synapse: Synapse | None
) -> Cell:
    """Return the neurons of a module: what they integrate decays by `decay`."""
    _check_spikes(name, module)
    threshold = real_of(module.threshold)
    if np.any(threshold <= 0):
        raise DynamicsError(
            f"a threshold of {threshold.min():g}, by which the membrane is divided to count spikes",
            where=f"{name}.threshold",
            fix="use positive thresholds",
        )
    most = _most_spikes(graph, name, module)
    return Cell(
        decay=decay,
        synapse=synapse,
        fires=Fires.BINARY if most == 1 else Fires.COUNT,
        threshold=threshold,
        compare=Compare.GREATER_EQUAL,
        max_spikes=most,
        reset=Reset(kind=ResetKind.SUBTRACT, amount=threshold),
        bias=real_of(module.bias),
    )


def _check_spikes(name: str, module: Any) -> None:
    """Refuse a spike function that is not rockpool's.

    Raises:
        UnknownNodeError: with its name.
    """
    function = module.spike_generation_fn
    owner = getattr(function, "__self__", function)
    package = str(getattr(owner, "__module__", "")).partition(".")[0]
    kind = getattr(owner, "__name__", type(owner).__name__)
    if package != "rockpool" or kind not in _SPIKE_FUNCTIONS:
        raise UnknownNodeError(
            f"the spike function {kind!r} is not read",
            where=f"{name}.spike_generation_fn",
            fix=f"known are {', '.join(_SPIKE_FUNCTIONS)} of rockpool",
        )


def _most_spikes(graph: LayerGraph, name: str, module: Any) -> int:
    """Return the most spikes of one step.

    Raises:
        DynamicsError: it is no number of spikes.
    """
    most = float(array_of(module.max_spikes_per_dt))
    if most >= _UNBOUND:
        return largest_count(graph, "rockpool")
    if most != int(most) or most < 1:
        raise DynamicsError(
            f"{most:g} spikes at most in a step",
            where=f"{name}.max_spikes_per_dt",
            fix="use a whole number from 1 on",
        )
    return int(most)


def _synapses(graph: LayerGraph, name: str, beta: Parameter, source: str) -> str:
    """Add one filter per synapse, all of neuron 0 first; beta is [neuron, synapse]."""
    decay = beta.reshape(-1)
    return graph.add(f"{name}.synapses", Cell(decay=decay, gain=decay, fires=Fires.NEVER), source)


def _sum_of(neurons: int, synapses: int) -> np.ndarray:
    """Return the matrix that adds up the synapses of each neuron."""
    return np.kron(np.eye(neurons), np.ones((1, synapses)))


def _feed_back(graph: LayerGraph, name: str, target: str, weight: np.ndarray) -> None:
    """Feed the spikes of neurons back through [post, pre] weights, if there are any."""
    if np.any(weight):
        graph.feed_back(graph.add(f"{name}.w_rec", Linear(weight=weight), name), target)


def _wide(values: Any, shape: tuple[int, ...]) -> Parameter:
    return np.array(np.broadcast_to(real_of(values), shape))


_CUDA = "it runs on a CUDA device only, by arithmetic of its own: use LIFTorch or ExpSynTorch"
_OTHER = "only rockpool's torch modules are read: use {}"
_OTHERS = {
    "LIF": "LIFTorch",
    "LIFJax": "LIFTorch",
    "Linear": "LinearTorch",
    "LinearJax": "LinearTorch",
    "ExpSyn": "ExpSynTorch",
    "ExpSynJax": "ExpSynTorch",
}

FRONTEND = Frontend(
    name="rockpool",
    packages=("rockpool.nn.modules.torch", "rockpool.nn.combinators"),
    containers=frozenset({"TorchSequential"}),
    layers={
        "LIFTorch": _lif,
        "LIFBitshiftTorch": _lif,
        "aLIFTorch": _adaptive_lif,
        "LIFNeuronTorch": _lif_neuron,
        "ExpSynTorch": _exponential,
        "LinearTorch": _linear,
        "TorchResidual": _residual,
        "TorchFFwdStack": _stack,
        "TorchModulePatch": _patched,
        "UnitDropout": _dropout,
        "TimeStepDropout": _dropout,
    },
    wrong={
        "RateTorch": "its units send rates, not spikes",
        "InstantTorch": "it wraps a function, which may compute anything: use a layer of torch",
        "LowPass": "it takes time as its first axis, before the samples: use ExpSynTorch",
        "UpDownTorch": "it makes spikes of values: give the network its spikes as the input",
        "LIFExodus": _CUDA,
        "LIFMembraneExodus": _CUDA,
        "LIFSlayer": _CUDA,
        "ExpSynExodus": _CUDA,
        "LIFSinabs": "it wraps a layer of sinabs: use that layer, or LIFTorch",
        **{name: _OTHER.format(better) for name, better in _OTHERS.items()},
    },
)
"""rockpool's layers."""
