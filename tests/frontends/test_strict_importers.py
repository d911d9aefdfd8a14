"""Other tools that read NIR get our spikes from the plain files that are said to be exact."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from framework_networks import one_thread

from snn_deploy.frontends import Imported, load
from snn_deploy.frontends.layers import Cell, Convolution, Flatten, LayerGraph, Linear
from snn_deploy.frontends.nir import checked_graph, import_graph
from snn_deploy.frontends.strict import Saying, plain
from snn_deploy.frontends.to_nir import to_nir
from snn_deploy.ir.network import Reset, Synapse
from snn_deploy.ir.neuron import Compare, ResetKind, State, When
from snn_deploy.ir.simulate import simulate
from snn_deploy.ir.trace import Values

pytestmark = pytest.mark.torch

torch = pytest.importorskip("torch")

STEPS = 200

# What each importer cannot read, or reads as something else: norse 1.1.0, SpikingJelly 2.0.0.
NORSE_R = "norse takes r of LIF as 1"
NORSE_RESET = "norse takes v_reset as 0"
NORSE_FLATTEN = "norse counts the batch among the axes of Flatten"
NORSE_GATES = "norse has no LI, Threshold or Scale"
JELLY_LEAK = "SpikingJelly reads only neurons that leak to where they are reset"
JELLY_GAIN = "SpikingJelly reads only r = tau / dt of CubaLIF"
JELLY_GATES = "SpikingJelly has no LI, Threshold or Scale"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network whose plain file others read."""

    make: Callable[[], Imported]
    limits: Mapping[str, str] = field(default_factory=dict)
    """Why an importer does not give our spikes."""

    how: frozenset[Saying] = frozenset({Saying.EXACT})


def number(value: float) -> np.ndarray:
    return np.asarray(float(value))


def to_value(amount: float) -> Reset:
    return Reset(kind=ResetKind.VALUE, amount=number(amount))


def imported(graph: LayerGraph) -> Imported:
    form = to_nir(graph)
    return import_graph(
        checked_graph(form.graph, ""), name="net", where="net", annotation=form.annotation
    )


def dense(cell: Cell, *, recurrent: bool = False, scale: float = 1.0) -> Imported:
    rng = np.random.default_rng(7)
    graph = LayerGraph(inputs={"x": (20,)})
    fc1 = rng.normal(0.1, 0.3, (32, 20)) * scale
    graph.add("fc1", Linear(weight=fc1, bias=rng.normal(0, 0.05, 32) * scale), "x")
    graph.add("n1", cell, "fc1")
    if recurrent:
        graph.add("rec", Linear(weight=rng.normal(0, 0.1, (32, 32)) * scale), "n1")
        graph.feed_back("rec", "n1")
    graph.add("fc2", Linear(weight=rng.normal(0.1, 0.3, (10, 32)) * scale), "n1")
    graph.add("n2", cell, "fc2")
    graph.outputs["out"] = "n2"
    return imported(graph)


def convolutional(*, flattened: bool) -> Imported:
    rng = np.random.default_rng(8)
    graph = LayerGraph(inputs={"x": (2, 8, 8)})
    neurons = Cell(decay=number(1), reset=to_value(0))
    first = Convolution(
        weight=rng.normal(0.05, 0.2, (4, 2, 3, 3)), stride=(1, 1), padding=(1, 1), dilation=(1, 1)
    )
    graph.add("conv1", first, "x")
    graph.add("n1", neurons, "conv1")
    second = Convolution(
        weight=rng.normal(0.05, 0.2, (6, 4, 3, 3)), stride=(2, 2), padding=(0, 0), dilation=(1, 1)
    )
    graph.add("conv2", second, "n1")
    graph.add("n2", neurons, "conv2")
    graph.outputs["out"] = "n2"
    if flattened:
        graph.add("flat", Flatten(), "n2")
        graph.add("fc", Linear(weight=rng.normal(0.05, 0.2, (10, 54))), "flat")
        graph.add("n3", neurons, "fc")
        graph.outputs["out"] = "n3"
    return imported(graph)


def module(build: Callable[[], Any]) -> Callable[[], Imported]:
    """Return a function that reads a module of `build`, its weights drawn from one seed."""

    def make() -> Imported:
        torch.manual_seed(3)
        return load(build(), sample_shape=(20,))

    return make


def norse_of(cell: str, parameters: str, recurrent: str = "", **values: float) -> Any:
    nt = pytest.importorskip("norse.torch")
    p = getattr(nt, parameters)(**{k: torch.tensor(v) for k, v in values.items()})
    make = getattr(nt, cell)
    first = [getattr(nt, recurrent)(20, 32, p)] if recurrent else [torch.nn.Linear(20, 32), make(p)]
    return nt.SequentialState(*first, torch.nn.Linear(32, 10), make(p))


def snntorch_of() -> Any:
    snn = pytest.importorskip("snntorch")

    def neurons() -> Any:
        return snn.Leaky(beta=0.9, threshold=0.3, reset_mechanism="zero", init_hidden=True)

    return torch.nn.Sequential(
        torch.nn.Linear(20, 32), neurons(), torch.nn.Linear(32, 10), neurons()
    )


def sinabs_of() -> Any:
    sinabs = pytest.importorskip("sinabs")
    layers = pytest.importorskip("sinabs.layers")

    def neurons() -> Any:
        return layers.IAF(
            spike_threshold=0.5,
            spike_fn=sinabs.activation.SingleSpike,
            reset_fn=sinabs.activation.MembraneReset(),
            min_v_mem=None,
        )

    return torch.nn.Sequential(
        torch.nn.Linear(20, 32), neurons(), torch.nn.Linear(32, 10), neurons()
    )


def jelly_of(kind: str, **options: Any) -> Any:
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")

    def neurons() -> Any:
        return getattr(neuron, kind)(**options)

    return torch.nn.Sequential(
        torch.nn.Linear(20, 32), neurons(), torch.nn.Linear(32, 10), neurons()
    )


LEAKY = number(0.875)
IF = Cell(decay=number(1), reset=to_value(0))
LIF = Cell(decay=LEAKY, reset=to_value(0))
SHARED = Cell(decay=LEAKY, gain=number(0.125), reset=to_value(0), threshold=number(0.25))
CUBA = Cell(decay=LEAKY, reset=to_value(0), synapse=Synapse(decay=number(0.5)))
AT = {"how": frozenset({Saying.EXACT, Saying.DECOMPOSED})}

CASES: Mapping[str, Case] = {
    "IF": Case(make=lambda: dense(IF)),
    "IF in convolutions": Case(make=lambda: convolutional(flattened=False)),
    "IF behind a flattening": Case(
        make=lambda: convolutional(flattened=True), limits={"norse": NORSE_FLATTEN}
    ),
    "LIF, r = 1": Case(make=lambda: dense(SHARED)),
    "LIF, r = tau / dt": Case(make=lambda: dense(LIF), limits={"norse": NORSE_R}),
    "LIF that is reset to 0.25": Case(
        make=lambda: dense(
            Cell(decay=LEAKY, gain=number(0.125), reset=to_value(0.25), threshold=number(0.3))
        ),
        limits={"norse": NORSE_RESET, "spikingjelly": JELLY_LEAK},
    ),
    "LIF that leaks to 0.25": Case(
        make=lambda: dense(
            Cell(
                decay=LEAKY,
                gain=number(0.125),
                reset=to_value(0.25),
                bias=number(0.125 * 0.25),
                initial=number(0.25),
                threshold=number(0.5),
            )
        ),
        limits={"norse": NORSE_RESET},
    ),
    "CubaLIF": Case(make=lambda: dense(CUBA, scale=0.5)),
    "CubaLIF without a leak": Case(
        make=lambda: dense(
            Cell(decay=number(1), reset=to_value(0), synapse=Synapse(decay=number(0.5))), scale=0.5
        )
    ),
    "CubaLIF, recurrent": Case(make=lambda: dense(CUBA, recurrent=True, scale=0.5)),
    "IF, recurrent": Case(make=lambda: dense(IF, recurrent=True)),
    "IF that fires at its threshold": Case(
        make=lambda: dense(Cell(decay=number(1), reset=to_value(0), compare=Compare.GREATER_EQUAL)),
        **AT,
    ),
    "late subtracting LIF": Case(
        make=lambda: dense(
            Cell(
                decay=LEAKY,
                reset=Reset(kind=ResetKind.SUBTRACT, amount=number(1), when=When.NEXT),
            )
        ),
        limits={"norse": NORSE_GATES, "spikingjelly": JELLY_GATES},
        **AT,
    ),
    "norse LIFBoxCell": Case(
        make=module(
            lambda: norse_of("LIFBoxCell", "LIFBoxParameters", tau_mem_inv=100.0, v_th=0.05)
        )
    ),
    "norse LIFCell": Case(
        make=module(lambda: norse_of("LIFCell", "LIFParameters", v_th=0.2)),
        limits={"spikingjelly": JELLY_GAIN},
    ),
    "norse LIFRecurrentCell": Case(
        make=module(lambda: norse_of("LIFCell", "LIFParameters", "LIFRecurrentCell", v_th=0.2)),
        limits={"spikingjelly": JELLY_GAIN},
    ),
    "norse IAFCell": Case(make=module(lambda: norse_of("IAFCell", "IAFParameters", v_th=1.0))),
    "snnTorch Leaky, zero": Case(make=module(snntorch_of), limits={"norse": NORSE_R}),
    "sinabs IAF, one spike, reset to a value": Case(make=module(sinabs_of), **AT),
    "SpikingJelly IFNode": Case(make=module(lambda: jelly_of("IFNode", v_threshold=0.5)), **AT),
    "SpikingJelly LIFNode": Case(
        make=module(lambda: jelly_of("LIFNode", tau=4.0, v_threshold=0.05)), **AT
    ),
    "SpikingJelly LIFNode, input not decayed": Case(
        make=module(lambda: jelly_of("LIFNode", tau=4.0, decay_input=False, v_threshold=0.3)),
        limits={"norse": NORSE_R},
        **AT,
    ),
}


def by_norse(file: Path, dt: float) -> Any:
    nir = pytest.importorskip("nir")
    norse = pytest.importorskip("norse.torch")
    return norse.from_nir(nir.read(file), dt=dt, ignore_warnings=True)


def by_spikingjelly(file: Path, dt: float) -> Any:
    exchange = pytest.importorskip("spikingjelly.activation_based.nir_exchange")
    return exchange.import_from_nir(file, dt=dt, dtype=torch.float64)


IMPORTERS: Mapping[str, tuple[Callable[[Path, float], Any], Any]] = {
    "norse": (by_norse, torch.float32),
    "spikingjelly": (by_spikingjelly, torch.float64),
}


@pytest.fixture(autouse=True)
def quietly() -> Iterator[None]:
    """Let the other tools warn of what they will drop one day, and use one thread."""
    with warnings.catch_warnings(), one_thread():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("importer", IMPORTERS)
@pytest.mark.parametrize("case", CASES)
def test_importers_give_our_spikes(case: str, importer: str, tmp_path: Path) -> None:
    if importer in CASES[case].limits:
        pytest.skip(CASES[case].limits[importer])
    model = CASES[case].make()
    ours, theirs = both(model, importer, tmp_path, how=CASES[case].how)
    assert 0.02 <= np.mean(ours != 0) <= 0.6, "the test shows nothing"
    assert np.count_nonzero(ours != theirs) == 0


@pytest.mark.parametrize(
    ("case", "importer"), [(case, who) for case in CASES for who in CASES[case].limits]
)
def test_the_limits_of_importers_are_real(case: str, importer: str, tmp_path: Path) -> None:
    model = CASES[case].make()
    try:
        ours, theirs = both(model, importer, tmp_path, how=CASES[case].how)
    except (ValueError, TypeError, KeyError, RuntimeError):
        return  # refused
    assert np.count_nonzero(ours != theirs) > 0


def both(
    model: Imported, importer: str, folder: Path, *, how: frozenset[Saying]
) -> tuple[np.ndarray, np.ndarray]:
    """Return what our network sends, and what an importer makes of its plain file."""
    written = plain(model)
    assert {said.saying for said in written.sayings.nodes} <= how
    file = folder / "plain.nir"
    file.write_bytes(written.required())
    entry, output = model.network.inputs[0], model.network.outputs[0]
    rng = np.random.default_rng(9)
    shape = (1, STEPS, *entry.shape)
    values = (rng.random(shape) * (rng.random(shape) < 0.4)).astype(np.float32)
    trace = simulate(model.network, [Values(name=entry.name, values=values)])
    ours = trace[output.population].state(State.PAYLOAD)[0]
    read, dtype = IMPORTERS[importer]
    network, state, theirs = read(file, written.sayings.dt), None, []
    with torch.no_grad():
        for step in range(STEPS):
            sent, state = network(torch.tensor(values[:, step], dtype=dtype), state)
            theirs.append(sent.numpy().reshape(ours.shape[1:]))
    return ours, np.stack(theirs)
