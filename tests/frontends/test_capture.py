"""Modules of classes of one's own: they are run, their spikes are ours at every step, and what
cannot be followed is refused."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from snn_deploy.errors import GraphError, ModelError, OptionError, UnknownNodeError
from snn_deploy.frontends import Imported, load
from snn_deploy.frontends.capture import Comparison, Layout, compare_with_module
from snn_deploy.frontends.capture.module import capture, sample_of
from snn_deploy.ir.codecs import Encode
from snn_deploy.ir.neuron import Decode

torch = pytest.importorskip("torch")
nn = torch.nn

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

WAY_OUT = (
    "use layers that are read, sums, factors, concatenations and views only, or write the network "
    "as NIR and load that"
)

Module = Any


@pytest.fixture
def snn() -> Any:
    return pytest.importorskip("snntorch")


@pytest.fixture(autouse=True)
def same_weights() -> None:
    torch.manual_seed(3)


@contextmanager
def as_it_was(module: Module) -> Iterator[None]:
    """Check that a module is afterwards what it was before."""
    parts = [child for _, child in module.named_modules()]
    before = [dict(vars(part)) for part in parts]
    numbers = {name: value.clone() for name, value in module.state_dict().items()}
    yield
    for part, held in zip(parts, before, strict=True):
        assert vars(part).keys() == held.keys()
        assert all(vars(part)[name] is value for name, value in held.items())
        assert not part._forward_hooks
        assert not part._forward_pre_hooks
    assert module.training
    assert all(torch.equal(numbers[name], value) for name, value in module.state_dict().items())


def check(
    module: Module, *shape: int, steps: int = 16, gain: float = 3.0, active: float = 0.005
) -> tuple[Imported, Comparison]:
    """Load a module, compare every spike with ours on another sample, and return both."""
    with as_it_was(module):
        imported = load(module, sample=gain * sample_of(shape, steps))
        generator = np.random.default_rng(9)
        values = np.float32(gain) * generator.random((steps, *shape)).astype(np.float32)
        values *= generator.random((steps, *shape)) < 0.6
        compared = compare_with_module(module, imported.network, values)
    assert compared.exact, compared
    for population in compared.populations:
        share = population.sent / population.neurons / compared.steps
        assert share >= active, f"{population.name} sends in {share:.1%} of steps: it shows nothing"
    return imported, compared


def edges(imported: Imported) -> set[tuple[str, str, int]]:
    """Return (source, target, delay) of each projection."""
    return {(p.source, p.target, int(np.max(p.delay))) for p in imported.network.projections}


# ------------------------------------------------------------------ snnTorch


def classic(snn: Any) -> type:
    """Return the class of snnTorch's tutorials: a loop over time with states handed on."""

    class Classic(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1 = nn.Linear(6, 12)
            self.lif1 = snn.Leaky(beta=0.9, threshold=0.5)
            self.fc2 = nn.Linear(12, 4)
            self.lif2 = snn.Leaky(beta=0.8, threshold=0.3)

        def forward(self, x: Any) -> Any:
            mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
            spk2_rec, mem2_rec = [], []
            for step in range(x.size(0)):
                spk1, mem1 = self.lif1(self.fc1(x[step]), mem1)
                spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
                spk2_rec.append(spk2)
                mem2_rec.append(mem2)
            return torch.stack(spk2_rec, dim=0), torch.stack(mem2_rec, dim=0)

    return Classic


def looped(snn: Any, body: Callable[..., Any], **layers: Module) -> Module:
    """Return a `Classic` with more layers whose forward is `body(self, x, mem1, mem2)`."""

    class Looped(classic(snn)):
        def __init__(self) -> None:
            super().__init__()
            for name, layer in layers.items():
                setattr(self, name, layer)

        def forward(self, x: Any) -> Any:
            return body(self, x, self.lif1.reset_mem(), self.lif2.reset_mem())

    return Looped()


def stepping(snn: Any, body: Callable[..., Any], **layers: Module) -> Module:
    """Return a module whose layers keep their states, and whose forward is `body(self, x)`."""

    class Stepping(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1 = nn.Linear(6, 8)
            self.lif1 = snn.Leaky(beta=0.9, threshold=0.4, init_hidden=True)
            self.fc2 = nn.Linear(8, 4)
            self.lif2 = snn.Leaky(beta=0.8, threshold=0.2, init_hidden=True)
            for name, layer in layers.items():
                setattr(self, name, layer)

        def forward(self, x: Any) -> Any:
            return body(self, x)

    return Stepping()


def test_a_loop_over_time_as_in_snntorchs_tutorials_is_followed(snn):
    imported, compared = check(classic(snn)(), 6)
    assert compared.layout is Layout.TIME_FIRST
    assert edges(imported) == {("input", "lif1", 0), ("lif1", "lif2", 0)}
    assert [(o.name, o.population, o.decode) for o in imported.network.outputs] == [
        ("output", "lif2", Decode.COUNT)
    ]
    assert [finding.layer for finding in imported.findings] == ["lif2"]  # too silent to compare


def test_a_loop_that_shows_one_image_in_each_step_is_a_constant_current(snn):
    def forward(self: Any, x: Any, mem1: Any, mem2: Any) -> Any:
        spikes = []
        for _ in range(20):
            spk1, mem1 = self.lif1(self.fc1(x.view(x.size(0), -1)), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
        return torch.stack(spikes)

    imported, compared = check(looped(snn, forward), 2, 3)
    assert compared.layout is Layout.CONSTANT
    assert (imported.encoding.how, imported.encoding.steps) == (Encode.CURRENT, 20)


def test_time_may_be_the_second_axis_and_a_record_filled_in_place(snn):
    def forward(self: Any, x: Any, mem1: Any, mem2: Any) -> Any:
        record = torch.zeros(x.shape[0], x.shape[1], 4)
        for step in range(x.shape[1]):
            spk1, mem1 = self.lif1(self.fc1(x[:, step]), mem1)
            record[:, step], mem2 = self.lif2(self.fc2(spk1), mem2)
        return record.sum(1)

    imported, compared = check(looped(snn, forward), 6)
    assert compared.layout is Layout.BATCH_FIRST
    assert imported.annotation.outputs["output"].value is Decode.COUNT


@pytest.mark.parametrize("zeros", [True, False])
def test_recurrence_by_hand_is_fed_back_and_its_bias_acts_when_it_did(snn, zeros):
    def forward(self: Any, x: Any, mem1: Any, mem2: Any) -> Any:
        spk1 = torch.zeros(x.shape[1], 12) if zeros else None
        spikes = 0
        for x_t in x:
            current = self.fc1(x_t)
            if spk1 is not None:
                current = current + self.rec(spk1)
            spk1, mem1 = self.lif1(current, mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes = spikes + spk2
        return spikes / len(x)

    imported, _ = check(looped(snn, forward, rec=nn.Linear(12, 12)), 6)
    assert edges(imported) == {("input", "lif1", 0), ("lif1", "lif1", 1), ("lif1", "lif2", 0)}
    starts = {bias.start for bias in imported.network.population("lif1").biases}
    assert starts == ({0} if zeros else {0, 1})


def test_input_and_last_spikes_side_by_side_enter_one_layer(snn):
    def forward(self: Any, x: Any, mem1: Any, mem2: Any) -> Any:
        spk1, spikes = torch.zeros(x.shape[1], 12), []
        for step in range(len(x)):
            both = torch.cat([x[step], spk1], dim=-1)
            spk1, mem1 = self.lif1(self.joint(both), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
        return spikes

    imported, _ = check(looped(snn, forward, joint=nn.Linear(18, 12)), 6)
    assert edges(imported) == {("input", "lif1", 0), ("lif1", "lif1", 1), ("lif1", "lif2", 0)}


def test_layers_may_feed_each_other_across_steps(snn):
    def forward(self: Any, x: Any, mem1: Any, mem2: Any) -> Any:
        spk2, spikes = torch.zeros(1, 4), []
        for step in range(len(x)):
            spk1, mem1 = self.lif1(self.fc1(x[step]) - self.back(spk2), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
        return torch.stack(spikes).mean(0)

    imported, _ = check(looped(snn, forward, back=nn.Linear(4, 12, bias=False)), 6)
    assert ("lif2", "lif1", 1) in edges(imported)


def test_a_layer_may_read_the_step_before_and_an_input_too(snn):
    def forward(self: Any, x: Any, mem1: Any, mem2: Any) -> Any:
        spk1, last, spikes = torch.zeros(1, 12), torch.zeros(1, 6), []
        for step in range(len(x)):
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spk1, mem1 = self.lif1(self.fc1(x[step] + 0.5 * last), mem1)
            last = x[step]
            spikes.append(spk2)
        return torch.stack(spikes)

    imported, _ = check(looped(snn, forward), 6)
    assert edges(imported) == {
        ("input", "lif1", 0),
        ("input", "lif1", 1),
        ("lif1", "lif2", 1),
    }


@pytest.mark.parametrize(
    ("read", "decode"),
    [
        (lambda mem: mem[-1], Decode.MEMBRANE_END),
        (lambda mem: mem.mean(0), Decode.MEMBRANE_MEAN),
        (lambda mem: mem.max(0)[0], Decode.MEMBRANE_MAX),
        (lambda mem: torch.amax(mem, dim=0), Decode.MEMBRANE_MAX),
    ],
)
def test_a_membrane_over_time_is_the_readout_that_the_module_makes_of_it(snn, read, decode):
    def forward(self: Any, x: Any, mem1: Any, mem2: Any) -> Any:
        membranes = []
        for step in range(len(x)):
            spk1, mem1 = self.lif1(self.fc1(x[step]), mem1)
            _, mem2 = self.lif2(self.fc2(spk1), mem2)
            membranes.append(mem2)
        return read(torch.stack(membranes))

    imported, _ = check(looped(snn, forward), 6)
    assert imported.annotation.outputs["output"].value is decode
    assert imported.network.outputs[0].population == "lif2"


def test_membranes_of_all_steps_are_read_at_the_end_and_that_is_a_guess(snn):
    def forward(self: Any, x: Any, mem1: Any, mem2: Any) -> Any:
        membranes = []
        for step in range(len(x)):
            spk1, mem1 = self.lif1(self.fc1(x[step]), mem1)
            _, mem2 = self.lif2(self.fc2(spk1), mem2)
            membranes.append(mem2)
        return membranes

    imported, _ = check(looped(snn, forward), 6)
    assert [str(finding) for finding in imported.findings] == [
        "guessed    output: read as membrane-end; the module returns the membrane of every step; "
        "--decode says which of them is the answer",
        "unproven   lif2: it sent nothing in 16 steps; so it was not compared with the module; a "
        "sample= on which it fires would",
    ]


def test_convolutions_normalisation_pools_and_a_recurrent_layer_are_called_step_by_step(snn):
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.front = nn.Sequential(
                nn.Conv2d(1, 4, 3, padding=1),
                nn.BatchNorm2d(4),
                snn.Leaky(beta=0.9, threshold=0.4, init_hidden=True),
                nn.MaxPool2d(2),
                nn.Flatten(),
            )
            self.fc = nn.Linear(64, 10)
            self.rec = snn.RLeaky(beta=0.8, threshold=0.3, linear_features=10, init_hidden=True)
            self.out = nn.Linear(10, 3)

        def forward(self, x: Any) -> Any:
            return self.out(self.rec(self.fc(self.front(x))))

    module = Mixed()
    module.front[1].running_mean.normal_(0, 0.1)
    module.front[1].running_var.uniform_(0.5, 2)
    imported, compared = check(module, 1, 8, 8, steps=8)
    assert compared.layout is Layout.STEPWISE
    assert ("rec", "rec", 1) in edges(imported)


def test_residual_sums_factors_concatenation_views_and_reuse_are_followed(snn):
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(2, 4, 3, padding=1)
            self.shared = nn.Conv2d(4, 4, 3, padding=1)
            self.fc = nn.Linear(32, 5)
            for name in ("l1", "l2", "l3", "l4"):
                neurons = snn.Leaky(beta=0.8, threshold=0.3, init_hidden=True)
                setattr(self, name, neurons)

        def forward(self, x: Any) -> Any:
            first = self.l1(self.stem(2.0 * x))
            second = self.l2(self.shared(first))
            second += first
            third = self.l3(self.shared(second) / 2 - 0.25 * first)
            both = torch.cat([second, third], dim=1)
            both = nn.functional.dropout(both, 0.5, self.training)
            pooled = nn.functional.avg_pool2d(both, 2)
            return self.l4(self.fc(pooled.view(pooled.size(0), -1)))

    imported, _ = check(Residual(), 2, 4, 4, steps=10)
    assert edges(imported) >= {("l1", "l3", 0), ("l2", "l3", 0), ("l1", "l2", 0), ("l2", "l4", 0)}


def test_functions_with_the_modules_parameters_are_its_layers(snn):
    def forward(self: Any, x: Any) -> Any:
        hidden = self.lif1(x @ self.fc1.weight.T)
        return self.lif2(nn.functional.linear(hidden, self.fc2.weight, self.fc2.bias))

    check(stepping(snn, forward), 6, gain=6.0)


def test_a_state_of_the_users_own_is_fed_back(snn):
    def forward(self: Any, x: Any) -> Any:
        current = self.fc1(x)
        if self.last is not None:
            current = current + self.rec(self.last)
        self.last = self.lif1(current)
        return self.lif2(self.fc2(self.last))

    module = stepping(snn, forward, rec=nn.Linear(8, 8))
    module.last = None
    imported, _ = check(module, 6)
    assert ("lif1", "lif1", 1) in edges(imported)


def test_several_outputs_keep_their_order(snn):
    def forward(self: Any, x: Any) -> Any:
        hidden = self.lif1(self.fc1(x))
        return self.lif2(self.fc2(hidden)), hidden

    imported, _ = check(stepping(snn, forward), 6)
    assert [(o.name, o.population) for o in imported.network.outputs] == [
        ("output_0", "lif2"),
        ("output_1", "lif1"),
    ]


def test_layers_called_input_and_output_keep_their_names(snn):
    def forward(self: Any, x: Any) -> Any:
        return self.output(self.lif1(self.fc1(self.input(x))))

    module = stepping(snn, forward, input=nn.Linear(6, 6), output=nn.Linear(8, 3))
    imported, _ = check(module, 6)
    assert [entry.name for entry in imported.network.inputs] == ["inputs"]
    assert [output.name for output in imported.network.outputs] == ["outputs"]


def test_neurons_that_no_output_reads_are_left_out_and_said(snn):
    def forward(self: Any, x: Any) -> Any:
        hidden = self.lif1(self.fc1(x))
        self.lif2(self.fc2(hidden))
        return hidden

    imported, _ = check(stepping(snn, forward), 6)
    assert [str(finding) for finding in imported.findings] == [
        "changed    lif2: left out; no output comes after it"
    ]


def test_the_same_module_gives_the_same_network_twice(snn):
    module = classic(snn)()
    shape = (6,)
    assert load(module, sample_shape=shape).nir_bytes == load(module, sample_shape=shape).nir_bytes


def test_states_left_by_the_training_do_not_count(snn):
    module = stepping(snn, lambda self, x: self.lif2(self.fc2(self.lif1(self.fc1(x)))))
    fresh = load(module, sample_shape=(6,)).nir_bytes
    for _ in range(5):
        module(torch.rand(1, 6))
    left = module.lif1.mem.clone()
    assert torch.any(left != 0)
    assert load(module, sample_shape=(6,)).nir_bytes == fresh
    assert torch.equal(module.lif1.mem, left)


# --------------------------------------------------------------------- norse


@pytest.fixture
def norse() -> Any:
    return pytest.importorskip("norse.torch")


def quick(norse: Any) -> Any:
    return norse.LIFParameters(v_th=torch.tensor(0.15), tau_mem_inv=torch.tensor(300.0))


def explicit(norse: Any) -> type:
    """Return a class that hands norse's states on by itself, in a loop."""

    class Explicit(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(6, 10)
            self.lif = norse.LIFCell(quick(norse))
            self.rec = norse.LIFRecurrentCell(10, 8, p=quick(norse))
            self.out = norse.LILinearCell(8, 3)

        def forward(self, x: Any) -> Any:
            one = two = three = None
            voltages = []
            for step in range(x.shape[0]):
                spikes, one = self.lif(self.fc(x[step]), one)
                spikes, two = self.rec(spikes, two)
                voltage, three = self.out(spikes, three)
                voltages.append(voltage)
            return torch.stack(voltages)

    return Explicit


def test_norse_states_handed_on_in_a_loop_are_no_edges(norse):
    imported, compared = check(explicit(norse)(), 6)
    assert compared.layout is Layout.TIME_FIRST
    assert edges(imported) == {
        ("input", "lif", 0),
        ("lif", "rec", 0),
        ("rec", "rec", 1),
        ("rec", "out", 0),
    }


def test_norse_states_may_be_an_argument_and_a_result(norse):
    class Stepwise(explicit(norse)):
        def forward(self, x: Any, state: Any = None) -> Any:
            one, two, three = (None, None, None) if state is None else state
            spikes, one = self.lif(self.fc(x), one)
            spikes, two = self.rec(spikes, two)
            voltage, three = self.out(spikes, three)
            return voltage, (one, two, three)

    _, compared = check(Stepwise(), 6)
    assert compared.layout is Layout.STEPWISE


def test_a_sequence_with_states_inside_a_class_is_followed(norse):
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = norse.SequentialState(
                nn.Linear(6, 8), norse.LIFCell(quick(norse)), nn.Linear(8, 4), norse.LICell()
            )

        def forward(self, x: Any, state: Any = None) -> Any:
            return self.net(x, state)

    check(Wrapped(), 6)


def test_norse_layers_over_time_take_all_steps_at_once(norse):
    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(6, 10)
            self.lif = norse.LIF(quick(norse))
            self.rec = norse.LIFRecurrent(10, 8, p=quick(norse))
            self.out = norse.LI()

        def forward(self, x: Any) -> Any:
            spikes, _ = self.lif(self.fc(x))
            spikes, _ = self.rec(spikes)
            voltages, _ = self.out(spikes)
            return voltages.max(0).values

    imported, compared = check(Whole(), 6)
    assert compared.layout is Layout.TIME_FIRST
    assert imported.annotation.outputs["output"].value is Decode.MEMBRANE_MAX


# -------------------------------------------------------------------- sinabs


@pytest.fixture
def sinabs() -> Any:
    pytest.importorskip("sinabs")
    return pytest.importorskip("sinabs.layers")


def squeezed(sinabs: Any) -> type:
    class Squeezed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 3, 3)
            self.iaf = sinabs.IAFSqueeze(batch_size=1)
            self.pool = sinabs.SumPool2d(2)
            self.flat = nn.Flatten()
            self.fc = nn.Linear(12, 5)
            self.lif = sinabs.LIFSqueeze(tau_mem=10.0, batch_size=1, spike_threshold=0.1)
            self.conv.weight.data.abs_()
            self.fc.weight.data.abs_()

        def forward(self, x: Any) -> Any:
            return self.lif(self.fc(self.flat(self.pool(self.iaf(self.conv(x))))))

    return Squeezed


def test_sinabs_squeezed_layers_take_samples_and_steps_as_one_axis(sinabs):
    _, compared = check(squeezed(sinabs)(), 1, 6, 6)
    assert compared.layout is Layout.FLAT


def test_a_forward_that_joins_samples_and_steps_itself_is_followed(sinabs):
    class Joining(squeezed(sinabs)):
        def forward(self, x: Any) -> Any:
            samples, steps = x.shape[:2]
            spikes = super().forward(x.flatten(0, 1))
            return spikes.unflatten(0, (samples, steps)).sum(1)

    imported, compared = check(Joining(), 1, 6, 6)
    assert compared.layout is Layout.BATCH_FIRST
    assert imported.annotation.outputs["output"].value is Decode.COUNT


def residual(sinabs: Any) -> type:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(6, 8)
            self.lif = sinabs.LIF(tau_mem=5.0, spike_threshold=0.2)
            self.rec = sinabs.LIFRecurrent(
                tau_mem=5.0, rec_connect=nn.Linear(8, 8), spike_threshold=0.2
            )
            self.last = nn.Linear(8, 3)
            self.leak = sinabs.ExpLeak(tau_mem=10.0)

        def forward(self, x: Any) -> Any:
            spikes = self.lif(self.fc(x))
            return self.leak(self.last(self.rec(spikes) + spikes)).mean(1)

    return Residual


def test_sinabs_layers_take_samples_steps_and_values(sinabs):
    imported, compared = check(residual(sinabs)(), 6)
    assert compared.layout is Layout.BATCH_FIRST
    assert imported.annotation.outputs["output"].value is Decode.MEMBRANE_MEAN


def test_sinabs_layers_may_be_given_one_step_at_a_time(sinabs):
    class Stepwise(residual(sinabs)):
        def forward(self, x: Any) -> Any:
            return self.leak(self.last(self.lif(self.fc(x.unsqueeze(1))))).squeeze(1)

    _, compared = check(Stepwise(), 6)
    assert compared.layout is Layout.STEPWISE


def test_a_recurrent_layer_that_forgets_its_spikes_between_calls_is_caught_by_the_replay(sinabs):
    class Forgetting(residual(sinabs)):
        def forward(self, x: Any) -> Any:
            return self.rec(self.fc(x.unsqueeze(1))).squeeze(1)

    with pytest.raises(GraphError, match="does not compute what the module computes: rec sends"):
        load(Forgetting(), sample=6 * sample_of((6,), 40))


# -------------------------------------------------------------- SpikingJelly


@pytest.fixture
def jelly() -> Any:
    package = "spikingjelly.activation_based"
    for part in ("layer", "neuron", "functional"):
        pytest.importorskip(f"{package}.{part}")
    return pytest.importorskip(package)


def sew_net(jelly: Any, mode: str) -> type:
    """Return the class of a network with a spike-element-wise residual block."""
    layer, neuron = jelly.layer, jelly.neuron

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Sequential(
                layer.Conv2d(4, 4, 3, padding=1, bias=False),
                layer.BatchNorm2d(4),
                neuron.IFNode(v_threshold=0.2),
            )
            self.conv2 = nn.Sequential(
                layer.Conv2d(4, 4, 3, padding=1, bias=False),
                layer.BatchNorm2d(4),
                neuron.LIFNode(v_threshold=0.1),
            )

        def forward(self, x: Any) -> Any:
            out = self.conv2(self.conv1(x))
            out += x
            return out

    class Sew(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Sequential(
                layer.Conv2d(1, 4, 3, padding=1), neuron.IFNode(v_threshold=0.2)
            )
            self.block = Block()
            self.pool = layer.AdaptiveAvgPool2d((1, 1))
            self.flat = layer.Flatten()
            self.fc = layer.Linear(4, 5)
            self.head = neuron.ParametricLIFNode(v_threshold=0.1)
            jelly.functional.set_step_mode(self, mode)

        def forward(self, x: Any) -> Any:
            return self.head(self.fc(self.flat(self.pool(self.block(self.stem(x))))))

    return Sew


def test_a_sew_block_called_step_by_step_is_followed(jelly):
    imported, compared = check(sew_net(jelly, "s")(), 1, 5, 5, steps=8)
    assert compared.layout is Layout.STEPWISE
    assert {("stem.1", "head", 0), ("block.conv2.2", "head", 0)} <= edges(imported)


def test_a_sew_block_that_takes_all_steps_is_followed(jelly):
    class Mean(sew_net(jelly, "m")):
        def forward(self, x: Any) -> Any:
            return super().forward(x).mean(0)

    _, compared = check(Mean(), 1, 5, 5, steps=8)
    assert compared.layout is Layout.TIME_FIRST


def test_a_forward_that_repeats_its_image_is_a_constant_current(jelly):
    class Repeating(sew_net(jelly, "m")):
        def forward(self, x: Any) -> Any:
            return super().forward(x.unsqueeze(0).repeat(7, 1, 1, 1, 1)).mean(0)

    imported, compared = check(Repeating(), 1, 5, 5)
    assert compared.layout is Layout.CONSTANT
    assert (imported.encoding.how, imported.encoding.steps) == (Encode.CURRENT, 7)


def test_a_forward_that_resets_its_net_and_counts_spikes_is_followed(jelly):
    class Counting(sew_net(jelly, "s")):
        def forward(self, x: Any) -> Any:
            jelly.functional.reset_net(self)
            spikes = 0.0
            for step in range(x.shape[0]):
                spikes += super().forward(x[step])
            return spikes / x.shape[0]

    imported, compared = check(Counting(), 1, 5, 5, steps=8)
    assert compared.layout is Layout.TIME_FIRST
    assert imported.annotation.outputs["output"].value is Decode.COUNT


# ------------------------------------------------------------------ rockpool


@pytest.fixture
def rockpool() -> Any:
    return pytest.importorskip("rockpool.nn.modules")


def test_rockpools_own_modules_are_followed(rockpool):
    class Net(rockpool.TorchModule):
        def __init__(self) -> None:
            super().__init__()
            self.lin1 = rockpool.LinearTorch((6, 8), has_bias=True)
            self.lif = rockpool.LIFTorch(8, dt=1e-3, threshold=3.0, has_rec=True)
            self.lif.w_rec.data *= 0.1
            self.lin2 = rockpool.LinearTorch((8, 4))
            self.out = rockpool.ExpSynTorch(4, dt=1e-3)

        def forward(self, x: Any) -> Any:
            x, _, _ = self.lin1(x)
            x, _, _ = self.lif(x)
            x, _, _ = self.lin2(x)
            x, _, _ = self.out(x)
            return x

    imported, compared = check(Net(), 6)
    assert compared.layout is Layout.BATCH_FIRST
    assert ("lif", "lif", 1) in edges(imported)


def test_rockpools_layers_inside_a_torch_module_are_followed(rockpool):
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(6, 8)
            self.lif = rockpool.LIFTorch(8, dt=1e-3, threshold=3.0)

        def forward(self, x: Any) -> Any:
            spikes, _, _ = self.lif(self.fc(x))
            return spikes.sum(1)

    check(Net(), 6)


# ------------------------------------------------------------------ products


@pytest.fixture
def sj() -> Any:
    for part in ("layer", "neuron"):
        pytest.importorskip(f"spikingjelly.activation_based.{part}")
    return pytest.importorskip("spikingjelly.activation_based")


def gated(sj: Any, body: Callable[..., Any], **more: Module) -> Module:
    """Return a module with two layers of spikes of [3, 4, 4], whose forward is
    `body(self, q, k, x)` of what they send in all steps, and of the input."""

    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name in ("q", "k"):
                kernel = sj.layer.Conv2d(3, 3, 1, step_mode="m")
                kernel.weight.data *= 3.0
                neurons = sj.neuron.LIFNode(v_threshold=0.5, step_mode="m")
                setattr(self, name, nn.Sequential(kernel, neurons))
            self.mask = sj.neuron.LIFNode(v_threshold=2.0, step_mode="m")
            for name, layer in more.items():
                setattr(self, name, layer)
            self.last = sj.layer.Conv2d(3, 2, 1, step_mode="m")

        def forward(self, x: Any) -> Any:
            return self.last(body(self, self.q(x), self.k(x), x)).mean(0)

    return Gated()


def masked(self: Any, q: Any, k: Any, x: Any) -> Any:
    return q * self.mask((q * k).sum(dim=(-2, -1), keepdim=True))


def broadcast_first(self: Any, q: Any, k: Any, x: Any) -> Any:
    mask = self.mask((q * k).sum(dim=(3, 4)))
    return mask[..., None, None] * k


@pytest.mark.parametrize("body", [masked, broadcast_first])
def test_a_product_of_spikes_is_followed_as_neurons_that_fire_where_both_do(sj, body) -> None:
    imported, _ = check(gated(sj, body), 3, 4, 4)
    both = [p for p in imported.network.populations if "both" in p.name]
    assert [p.shape for p in both] == [(3, 4, 4), (3, 4, 4)]
    for population in both:
        assert not np.any(population.decay)
        assert population.reset.kind.value == "none"
        assert {p.source for p in imported.network.into(population.name)} <= {
            *("q.1", "k.1", "mask"),
        }


def test_a_product_of_spikes_with_themselves_is_the_spikes(sj) -> None:
    imported, _ = check(gated(sj, lambda self, q, k, x: q * q + 0 * k), 3, 4, 4, active=0.0)
    assert not [p for p in imported.network.populations if "both" in p.name]


def test_a_product_of_pooled_spikes_is_followed(sj) -> None:
    def body(self: Any, q: Any, k: Any, x: Any) -> Any:
        return self.pool(q) * self.pool(k)

    check(gated(sj, body, pool=sj.layer.MaxPool2d(2, step_mode="m")), 3, 4, 4)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("a mean of spikes", lambda self, q, k, x: self.pool(q) * self.pool(k)),
        ("counts of spikes", lambda self, q, k, x: self.levels(3 * q) * k),
        ("a sum of spikes", lambda self, q, k, x: (q + k) * k),
        ("a multiple of spikes", lambda self, q, k, x: (2 * q) * k),
        ("the input itself", lambda self, q, k, x: x * q),
    ],
)
def test_a_product_of_what_is_not_0_or_1_is_refused(sj, name, body) -> None:
    levels = sj.neuron.ILIFNode(step_mode="m")
    module = gated(sj, body, pool=sj.layer.AvgPool2d(2, step_mode="m"), levels=levels)
    with pytest.raises(UnknownNodeError) as caught:
        capture(module, 3 * sample_of((3, 4, 4), 8))
    assert "not both are known to be spikes of 0 and 1" in str(caught.value)


def test_the_mean_and_the_sum_over_all_places_are_followed(sj) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = sj.layer.Conv2d(2, 3, 3, step_mode="m")
            self.lif = sj.neuron.LIFNode(v_threshold=0.2, step_mode="m")
            self.head = sj.layer.Linear(3, 4, step_mode="m")

        def forward(self, x: Any) -> Any:
            spikes = self.lif(self.conv(x))
            return self.head(spikes.mean((-2, -1)) + spikes.flatten(3).sum(-1)).sum(0)

    check(Net(), 2, 6, 6)


# ------------------------------------------------------------------ refusals


def refused(module: Module, *, steps: int = 8, **options: Any) -> str:
    """Return the text of the refusal of a module, which stays as it was."""
    with as_it_was(module), pytest.raises(ModelError) as caught:
        capture(module, 3 * sample_of((6,), steps), **options)
    assert type(caught.value) in (ModelError, GraphError, UnknownNodeError)
    return str(caught.value)


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, membrane: Any) -> Any:
        return torch.ones(1, 8) * 1.0


STEP_REFUSALS: dict[str, tuple[Callable[..., Any], str]] = {
    "a branch on values": (
        lambda self, x: self.lif1(self.fc1(x)) if x.sum() > 1 else self.lif1(2 * self.fc1(x)),
        "error[SNN203]: the module reads values of the network with '__bool__': what follows from "
        f"them cannot be followed\n  at: Stepping\n  fix: {WAY_OUT}",
    ),
    "a number taken out": (
        lambda self, x: self.lif1(self.fc1(x) * self.fc1(x).max().item()),
        "error[SNN203]: the module reads values of the network with 'item': what follows from "
        f"them cannot be followed\n  at: Stepping\n  fix: {WAY_OUT}",
    ),
    "numpy in the middle": (
        lambda self, x: self.lif2(self.fc2(torch.from_numpy(self.lif1(self.fc1(x)).numpy() * 1))),
        "error[SNN203]: the module reads values of the network with 'numpy': what follows from "
        f"them cannot be followed\n  at: Stepping\n  fix: {WAY_OUT}",
    ),
    "an unknown function": (
        lambda self, x: self.lif2(self.fc2(torch.sigmoid(self.lif1(self.fc1(x))))),
        "error[SNN203]: what enters 'fc2' is made by 'sigmoid', which cannot be followed\n"
        f"  at: fc2\n  fix: {WAY_OUT}",
    ),
    "a mean over features": (
        lambda self, x: self.lif1(self.fc1(x - x.mean(1, keepdim=True))),
        "error[SNN203]: what enters 'fc1' is made by 'mean', which cannot be followed: it acts on "
        "axes of values, but not on all behind the channels\n"
        f"  at: fc1\n  fix: {WAY_OUT}",
    ),
    "a product of a spike and a current": (
        lambda self, x: self.lif2(self.fc2(self.lif1(self.fc1(x)) * self.fc1(x))),
        "error[SNN203]: what enters 'fc2' is made by 'mul', which cannot be followed: it "
        "multiplies two values of the network with each other, and not both are known to be spikes "
        "of 0 and 1, straight from neurons: of those a product is followed\n  at: fc2\n"
        f"  fix: {WAY_OUT}",
    ),
    "a product of values": (
        lambda self, x: self.lif1(self.fc1(x) * self.fc1(x)),
        "error[SNN203]: what enters 'lif1' is made by 'mul', which cannot be followed: it "
        "multiplies two values of the network with each other, and not both are known to be spikes "
        f"of 0 and 1, straight from neurons: of those a product is followed\n  at: lif1\n"
        f"  fix: {WAY_OUT}",
    ),
    "a constant added": (
        lambda self, x: self.lif1(self.fc1(x) + torch.ones(8)),
        "error[SNN203]: what enters 'lif1' is made by 'add', which cannot be followed: it adds a "
        "tensor that the network did not make: a bias of a layer can\n"
        f"  at: lif1\n  fix: {WAY_OUT}",
    ),
    "values taken apart": (
        lambda self, x: self.lif1(self.fc1(x.flip(1))),
        "error[SNN203]: what enters 'fc1' is made by 'flip', which cannot be followed\n"
        f"  at: fc1\n  fix: {WAY_OUT}",
    ),
    "some of the features": (
        lambda self, x: self.lif2(self.fc1(x)[:, :4]),
        "error[SNN203]: what enters 'lif2' is made by '__getitem__', which cannot be followed: it "
        f"takes some of the values\n  at: lif2\n  fix: {WAY_OUT}",
    ),
    "a write into values": (
        lambda self, x: self.lif1(self.fc1(x).masked_fill_(x.new_zeros(1, 8).bool(), 0.0)),
        "error[SNN203]: what enters 'lif1' is made by 'masked_fill_', which cannot be followed\n"
        f"  at: lif1\n  fix: {WAY_OUT}",
    ),
    "a function of autograd": (
        lambda self, x: self.lif2(self.fc2(Spike.apply(x))),
        "error[SNN203]: what enters this layer was not made by the network: torch does not show "
        f"where it comes from\n  at: lif2\n  fix: {WAY_OUT}",
    ),
    "random factors": (
        lambda self, x: self.lif1(self.fc1(x) * torch.rand(8)),
        "error[SNN206]: in step 0, these neurons are fed by other layers than in the last step\n"
        "  at: lif1\n  fix: let every step compute the same; nothing may depend on the values or "
        "on the number of the step",
    ),
    "neurons called twice": (
        lambda self, x: self.lif1(self.square(self.lif1(self.fc1(x)))),
        "error[SNN206]: these neurons are called twice in step 0, and keep one state\n"
        "  at: lif1\n  fix: make a layer of neurons for each call, and call it in every step",
    ),
    "the class of the largest": (
        lambda self, x: self.lif1(self.fc1(x)).argmax(1),
        "error[SNN203]: output 0 is made by 'argmax', which cannot be followed\n"
        f"  at: Stepping\n  fix: {WAY_OUT}",
    ),
    "a layer that nobody reads": (
        lambda self, x: self.lif1(self.prelu(self.fc1(x))),
        "error[SNN203]: a layer of class torch.nn.modules.activation.PReLU is not read\n"
        "  at: prelu\n  fix: known of torch are ",
    ),
    "an exception": (
        lambda self, x: self.lif1(self.fc2(x)),
        "error[SNN200]: the module raises RuntimeError: mat1 and mat2 shapes cannot be multiplied "
        "(1x6 and 8x4)\n  at: Stepping\n  fix: it was run on a sample of 8 steps, stepwise; give "
        "sample= as it takes it, and layout= if that is not how",
    ),
    "states set back in every step": (
        lambda self, x: (self.lif1.reset_mem(), self.lif1(self.fc1(x)))[1],
        "error[SNN206]: the states of these neurons are changed between two steps\n"
        "  at: lif1\n  fix: reset states before a sample only",
    ),
}


@pytest.mark.parametrize("case", STEP_REFUSALS)
def test_what_cannot_be_followed_in_a_step_is_refused_by_name(snn, case):
    forward, text = STEP_REFUSALS[case]
    module = stepping(snn, forward, square=nn.Linear(8, 8), prelu=nn.PReLU())
    found = refused(module, layout=Layout.STEPWISE)
    if text.endswith("are "):
        assert found.startswith(text)
    else:
        assert found == text


def over_steps(then: Callable[..., Any]) -> Callable[..., Any]:
    """Return a forward that calls `then(self, x, step, mem1, mem2)` in each step, which returns
    (output, mem1, mem2)."""

    def forward(self: Any, x: Any, mem1: Any, mem2: Any) -> Any:
        outputs = []
        for step in range(len(x)):
            output, mem1, mem2 = then(self, x, step, mem1, mem2)
            outputs.append(output)
        return torch.stack(outputs)

    return forward


def _membrane_into_layer(self: Any, x: Any, step: int, mem1: Any, mem2: Any) -> Any:
    _, mem1 = self.lif1(self.fc1(x[step]), mem1)
    return (*self.lif2(self.fc2(mem1), mem2)[:1], mem1, mem2)


def _membrane_added(self: Any, x: Any, step: int, mem1: Any, mem2: Any) -> Any:
    spk1, mem1 = self.lif1(self.fc1(x[step]), mem1)
    spk2, mem2 = self.lif2(self.fc2(spk1 + mem1), mem2)
    return spk2, mem1, mem2


def _state_scaled(self: Any, x: Any, step: int, mem1: Any, mem2: Any) -> Any:
    spk1, mem1 = self.lif1(self.fc1(x[step]), mem1)
    return spk1, mem1 * 0.5, mem2


def _other_step(self: Any, x: Any, step: int, mem1: Any, mem2: Any) -> Any:
    current = self.fc1(x[step])
    spk1, mem1 = self.lif1(current if step != 3 else current + current, mem1)
    return spk1, mem1, mem2


def _every_other(self: Any, x: Any, step: int, mem1: Any, mem2: Any) -> Any:
    if step % 2:
        return torch.zeros(1, 12), mem1, mem2
    spk1, mem1 = self.lif1(self.fc1(x[step]), mem1)
    return spk1, mem1, mem2


LOOP_REFUSALS: dict[str, tuple[Callable[..., Any], str]] = {
    "a membrane enters a layer": (
        _membrane_into_layer,
        "error[SNN206]: a state of 'lif1' enters this layer, but neurons send spikes only\n"
        "  at: fc2\n  fix: give it the spikes, or put neurons between that never fire",
    ),
    "a membrane is added to spikes": (
        _membrane_added,
        "error[SNN203]: what enters 'fc2' is made by 'add', which cannot be followed: it computes "
        f"with a state of 'lif1'\n  at: fc2\n  fix: {WAY_OUT}",
    ),
    "a state is changed on its way": (
        _state_scaled,
        "error[SNN206]: in step 1, these neurons are given a state that is not their own of the "
        "step before\n  at: lif1\n  fix: start from zeros, and give back the states that the last "
        "call gave",
    ),
    "a step computes otherwise": (
        _other_step,
        "error[SNN206]: in step 3, these neurons are fed by other layers than in the last step\n"
        "  at: lif1\n  fix: let every step compute the same; nothing may depend on the values or "
        "on the number of the step",
    ),
    "neurons are called in some steps": (
        _every_other,
        "error[SNN206]: these neurons are called 4 times in 8 steps, and keep one state\n"
        "  at: lif1\n  fix: make a layer of neurons for each call, and call it in every step",
    ),
}


@pytest.mark.parametrize("case", LOOP_REFUSALS)
def test_what_cannot_be_followed_over_time_is_refused_by_name(snn, case):
    then, text = LOOP_REFUSALS[case]
    assert refused(looped(snn, over_steps(then)), layout=Layout.TIME_FIRST) == text


def test_spikes_of_the_last_step_alone_are_no_answer(snn):
    def forward(self: Any, x: Any, mem1: Any, mem2: Any) -> Any:
        for step in range(len(x)):
            spk1, mem1 = self.lif1(self.fc1(x[step]), mem1)
        return spk1

    assert refused(looped(snn, forward)) == (
        "error[SNN203]: the module returns the last of spikes over all steps\n  at: lif1\n"
        "  fix: return the spikes of every step, or their sum or mean"
    )


def test_a_layer_after_the_count_of_spikes_is_no_layer_of_a_step(snn):
    def forward(self: Any, x: Any, mem1: Any, mem2: Any) -> Any:
        spikes = []
        for step in range(len(x)):
            spk1, mem1 = self.lif1(self.fc1(x[step]), mem1)
            spikes.append(spk1)
        return self.fc2(torch.stack(spikes).sum(0))

    assert refused(looped(snn, forward)) == (
        "error[SNN206]: the sum over all steps enters this layer, which a chip that works step by "
        "step cannot compute\n  at: fc2\n  fix: apply the layer in every step, and return the sum "
        "or mean of what it gives"
    )


def test_a_module_that_computes_something_else_for_another_sample_is_refused(snn):
    def forward(self: Any, x: Any) -> Any:
        self.calls.append(1)
        factor = 1.0 if len(self.runs) < 8 else 2.0
        self.runs.append(1)
        return self.lif1(factor * self.fc1(x))

    module = stepping(snn, forward)
    module.calls = []
    module.runs = Counting()
    with pytest.raises(ModelError) as caught:
        capture(module, 3 * sample_of((6,), 8), layout=Layout.STEPWISE)
    assert str(caught.value) == (
        "error[SNN206]: the module computes something else for another sample\n  at: Stepping\n"
        "  fix: let nothing that is computed depend on the values: no branches, no random choices"
    )
    assert module.calls == []


class Counting:
    """Counts what is appended to it, and is no list that could be put back."""

    def __init__(self) -> None:
        self.count = 0

    def append(self, _: object) -> None:
        self.count += 1

    def __len__(self) -> int:
        return self.count


def test_a_module_of_ones_own_needs_a_sample_and_says_so(snn):
    with pytest.raises(OptionError) as caught:
        load(classic(snn)())
    assert str(caught.value) == (
        f"error[SNN102]: a module of class {__name__}.classic.<locals>.Classic is run to see what "
        "it does, and needs a sample\n  at: sample\n"
        "  fix: sample=numbers [step, ...], or sample_shape=(...) without batch and time"
    )


@pytest.mark.parametrize(
    ("sample", "text"),
    [
        (
            np.zeros((2, 6)),
            "error[SNN102]: a sample of 2 steps does not show whether every step computes the "
            "same\n  at: sample\n  fix: give at least 3 steps",
        ),
        (
            np.array(["a"]),
            "error[SNN102]: a sample of shape (1,) and type <U1\n  at: sample\n"
            "  fix: give numbers [step, ...shape of a step]",
        ),
        (
            np.full((4, 6), np.nan),
            "error[SNN102]: a sample with numbers that are not finite\n  at: sample",
        ),
    ],
)
def test_a_sample_that_cannot_be_one_is_refused(snn, sample, text):
    with pytest.raises(OptionError) as caught:
        load(classic(snn)(), sample=sample)
    assert str(caught.value) == text


def test_a_sample_may_be_several_where_the_shape_is_given(snn):
    samples = np.stack([sample_of((6,), 12), 2 * sample_of((6,), 12)])
    imported = load(classic(snn)(), sample=samples, sample_shape=(6,))
    assert imported.network.inputs[0].shape == (6,)
    with pytest.raises(OptionError) as caught:
        load(classic(snn)(), sample=samples, sample_shape=(5,))
    assert str(caught.value) == (
        "error[SNN102]: a sample of shape (12, 6) has values of shape (6,) in a step, but "
        "sample_shape says (5,)\n  at: sample\n"
        "  fix: give [step, *sample_shape], or [sample, step, *sample_shape]"
    )


def test_the_layout_that_the_user_states_is_taken(snn):
    module = classic(snn)()
    sample = sample_of((6,), 8)
    assert capture(module, sample, layout=Layout.TIME_FIRST).layout is Layout.TIME_FIRST
    text = refused(module, layout=Layout.BATCH_FIRST)
    assert text.startswith("error[SNN203]: what enters 'fc1' is made by '__getitem__', which")
