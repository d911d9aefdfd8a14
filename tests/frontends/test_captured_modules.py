"""Modules of one's own in odd forms: each is followed spike for spike, or refused by its name."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from snn_deploy.errors import ModelError
from snn_deploy.frontends import load
from snn_deploy.frontends.capture import Layout, compare_with_module, module_trace
from snn_deploy.frontends.capture.calls import Call
from snn_deploy.frontends.capture.functions import HANDLERS
from snn_deploy.frontends.capture.module import capture, sample_of
from snn_deploy.frontends.capture.run import Refused
from snn_deploy.ir.trace import State

torch = pytest.importorskip("torch")
nn = torch.nn
F = torch.nn.functional

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

STEPS = 6
WAY_OUT = (
    "use layers that are read, sums, factors, concatenations and views only, or write the network "
    "as NIR and load that"
)
SAME = (
    "let every step compute the same; nothing may depend on the values or on the number of the step"
)

Body = Callable[..., Any]


@pytest.fixture
def snn() -> Any:
    return pytest.importorskip("snntorch")


@pytest.fixture(autouse=True)
def same_weights() -> None:
    torch.manual_seed(5)


class Net(nn.Module):
    """Layers by name, and `body(self, x)` as the forward."""

    def __init__(self, body: Body, **layers: Any) -> None:
        super().__init__()
        self.body = body
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x: Any) -> Any:
        return self.body(self, x)


def leaky(snn: Any, **options: Any) -> Any:
    """Return neurons that keep their state themselves."""
    return snn.Leaky(**{"beta": 0.8, "threshold": 0.3, "init_hidden": True, **options})


def net(snn: Any, body: Body, **more: Any) -> Net:
    """Return a module with two Linear layers, each with neurons behind it."""
    layers = {
        "fc1": nn.Linear(6, 8),
        "lif1": leaky(snn),
        "fc2": nn.Linear(8, 4),
        "lif2": leaky(snn, threshold=0.2),
    }
    module = Net(body, **layers, **more)
    module.last = None
    module.kept = []
    return module


def values_of(*shape: int, gain: float = 3.0, steps: int = STEPS) -> np.ndarray:
    return gain * sample_of(shape, steps)


def refused(module: Any, layout: Layout = Layout.STEPWISE, shape: tuple[int, ...] = (6,)) -> str:
    """Return the whole error that a module gives."""
    with pytest.raises(ModelError) as caught:
        capture(module, values_of(*shape), layout=layout)
    return str(caught.value)


def followed(module: Any, *shape: int, gain: float = 3.0, least: int = 1, **options: Any) -> Any:
    """Load a module, compare every spike with ours on another sample, and return the network."""
    imported = load(module, sample=values_of(*shape, gain=gain, steps=16), **options)
    generator = np.random.default_rng(9)
    values = gain * generator.random((16, *shape)) * (generator.random((16, *shape)) < 0.6)
    compared = compare_with_module(module, imported.network, values.astype(np.float32))
    assert compared.exact, compared
    assert sum(population.sent for population in compared.populations) >= least
    return imported


def edges(imported: Any) -> set[tuple[str, str, int]]:
    return {(p.source, p.target, int(np.max(p.delay))) for p in imported.network.projections}


# ------------------------------------------------------------------ step by step


def _zeros_only(self: Any, x: Any) -> Any:
    return self.lif1(torch.zeros(1, 8))


def _zeros_beside(self: Any, x: Any) -> Any:
    return self.lif2(self.fc2(self.lif1(self.fc1(x)))), self.more(torch.zeros(1, 4))


def _only_fed_back(self: Any, x: Any) -> Any:
    self.last = self.lif1(self.rec(torch.zeros(1, 8) if self.last is None else self.last))
    return self.last, self.lif3(self.fc1(x))


def _added_inside(self: Any, x: Any) -> Any:
    last = torch.zeros(1, 6) if self.last is None else self.last
    self.last = self.lif1(self.joint(torch.cat([x + last, x], 1)))
    return self.last


def _convolved_beside(self: Any, x: Any) -> Any:
    image = self.first(x).unflatten(1, (2, 4))
    last = torch.zeros(1, 2, 4) if self.last is None else self.last
    self.last = self.lif1(self.kernel(torch.cat([image, last], 1)))
    return self.last


def _both_waits(self: Any, x: Any) -> Any:
    one = self.fc1(x)
    if self.last is None:
        spikes = self.lif1(one)
        other = self.lif2(self.fc2(spikes) + self.back(torch.zeros(1, 4)))
    else:
        spikes = self.lif1(one + self.rec(self.last[0]))
        other = self.lif2(self.fc2(spikes) + self.back(self.last[1]))
    self.last = spikes, other
    return other


def _whole_record(self: Any, x: Any) -> Any:
    self.kept.append(self.lif1(self.fc1(x)))
    return torch.stack(self.kept) if len(self.kept) == STEPS else self.kept[-1]


def _more_outputs(self: Any, x: Any) -> Any:
    spikes = self.lif1(self.fc1(x))
    self.kept.append(spikes)
    return (spikes, spikes) if len(self.kept) == 3 else spikes


def _other_output(self: Any, x: Any) -> Any:
    spikes = self.lif1(self.fc1(x))
    self.kept.append(spikes)
    return spikes + spikes if len(self.kept) == 3 else spikes


def _late_output(self: Any, x: Any) -> Any:
    late = self.plain(torch.zeros(1, 8) if self.last is None else self.last)
    self.last = self.lif1(self.fc1(x))
    return late


def _caught(self: Any, x: Any) -> Any:
    try:
        self.lif1(self.fc1(x)).sum().item()
    except Exception as error:
        raise ValueError("something else") from error


def _a_state_given(self: Any, x: Any) -> Any:
    return self.quick(self.fc1(x), self.fc1(x))[0]


STEPWISE: dict[str, tuple[Body, str]] = {
    "the input is not read": (
        _zeros_only,
        "error[SNN206]: nothing that the module computes reads its input",
    ),
    "a layer is given zeros": (
        _zeros_beside,
        "error[SNN206]: zeros are given to a layer in every step\n  at: more",
    ),
    "a layer reads only itself": (
        _only_fed_back,
        "error[SNN206]: it reads only what is fed back to it\n  at: lif1\n"
        "  fix: let it read something of the present step too",
    ),
    "what is fed back is added inside": (
        _added_inside,
        "error[SNN206]: what is fed back is added to, or put beside, values of the present step "
        "in a way that is not followed\n  at: lif1\n"
        "  fix: give what is fed back a Linear layer of its own, and add what that gives",
    ),
    "what is fed back enters a convolution": (
        _convolved_beside,
        "error[SNN206]: what is fed back is put beside values of the present step, and enters a "
        "layer that is not Linear\n  at: kernel\n"
        "  fix: give what is fed back a layer of its own, and add what that gives",
    ),
    "some biases wait": (
        _both_waits,
        "error[SNN206]: some biases act before the first values are fed back, others do not\n"
        "  at: Net\n  fix: start all of them from zeros that go through the layers, or none",
    ),
    "a record of all steps": (
        _whole_record,
        "error[SNN206]: output 0 is not of one step\n  at: Net",
    ),
    "more outputs in a step": (
        _more_outputs,
        "error[SNN206]: the number of outputs changes from step to step\n  fix: " + WAY_OUT,
    ),
    "another output in a step": (
        _other_output,
        "error[SNN203]: output 0 is made by 'forward', which cannot be followed: step 2 is "
        f"computed otherwise than later ones\n  at: Net\n  fix: {WAY_OUT}",
    ),
    "what the step before gave": (
        _late_output,
        "error[SNN206]: output 0 is what the step before gave\n  at: Net",
    ),
    "the module hides our refusal": (
        _caught,
        "error[SNN203]: the module reads values of the network with 'item': what follows from "
        f"them cannot be followed\n  at: Net\n  fix: {WAY_OUT}",
    ),
    "nothing is returned": (
        lambda self, x: (self.lif1(self.fc1(x)), None)[1],
        "error[SNN206]: what the module returns is not made by its layers\n  at: Net\n"
        f"  fix: {WAY_OUT}",
    ),
    "a layer without a tensor": (
        lambda self, x: (self.same(None), self.lif1(self.fc1(x)))[1],
        "error[SNN206]: Identity is called without a tensor, or gives none\n  at: same\n"
        f"  fix: {WAY_OUT}",
    ),
    "a state that the network made": (
        _a_state_given,
        "error[SNN206]: Leaky takes several values of the network\n  at: quick\n"
        "  fix: add or concatenate them before it",
    ),
    "a synapse is returned": (
        lambda self, x: self.slow(self.fc1(x))[1],
        "error[SNN203]: the module returns the state 'current' of these neurons\n  at: slow\n"
        "  fix: return their spikes or their membrane",
    ),
}


@pytest.mark.parametrize("case", STEPWISE)
def test_what_cannot_be_one_network_is_refused_by_its_name(snn, case):
    body, said = STEPWISE[case]
    module = net(
        snn,
        body,
        rec=nn.Linear(8, 8),
        back=nn.Linear(4, 4),
        more=leaky(snn),
        lif3=leaky(snn),
        joint=nn.Linear(12, 6),
        first=nn.Linear(6, 8),
        kernel=nn.Conv1d(4, 2, 3, padding=1),
        same=nn.Identity(),
        plain=nn.Linear(8, 8, bias=False),
        quick=snn.Leaky(beta=0.0),
        slow=snn.Synaptic(alpha=0.5, beta=0.5, init_hidden=True, output=True),
    )
    assert refused(module) == said


def test_an_error_of_our_own_is_not_the_modules(snn, monkeypatch):
    def broken(follower: Any, call: Call) -> Any:
        return HANDLERS["t"](follower, replace(call, args=()))

    monkeypatch.setitem(HANDLERS, "relu", broken)
    with pytest.raises(IndexError, match="tuple index out of range"):
        capture(net(snn, lambda self, x: self.lif1(self.fc1(torch.relu(x)))), values_of(6))


def test_what_is_fed_back_two_steps_late_comes_two_steps_late(snn):
    def body(self: Any, x: Any) -> Any:
        late = self.kept[-2] if len(self.kept) > 1 else torch.zeros(1, 8)
        self.kept.append(self.lif1(self.fc1(x) + self.rec(late)))
        return self.lif2(self.fc2(self.kept[-1]))

    imported = followed(net(snn, body, rec=nn.Linear(8, 8, bias=False)), 6)
    assert ("lif1", "lif1", 2) in edges(imported)


def test_a_function_of_both_the_input_and_what_is_fed_back_is_two_layers(snn):
    def body(self: Any, x: Any) -> Any:
        last = torch.zeros(1, 8) if self.last is None else self.last
        joined = F.linear(torch.cat([x, last], 1), self.joint.weight, self.joint.bias)
        self.last = self.lif1(joined)
        return self.lif2(self.fc2(self.last))

    imported = followed(net(snn, body, joint=nn.Linear(14, 8)), 6)
    assert edges(imported) == {("input", "lif1", 0), ("lif1", "lif1", 1), ("lif1", "lif2", 0)}


def test_a_bias_waits_for_values_of_a_step_before_that_are_not_fed_back(snn):
    def body(self: Any, x: Any) -> Any:
        spikes = self.lif1(self.fc1(x))
        current = self.fc3(spikes)
        if self.last is not None:
            current = current + self.fc2(self.last)
        self.last = spikes
        return self.lif2(current)

    imported = followed(net(snn, body, fc3=nn.Linear(8, 4, bias=False)), 6)
    assert edges(imported) == {("input", "lif1", 0), ("lif1", "lif2", 0), ("lif1", "lif2", 1)}
    assert {bias.start for bias in imported.network.population("lif2").biases} == {1}


def test_a_counter_of_the_module_is_put_back(snn):
    def body(self: Any, x: Any) -> Any:
        self.count += 1
        return self.lif1(self.fc1(x))

    module = net(snn, body)
    module.register_buffer("count", torch.zeros(()))
    capture(module, values_of(6))
    assert module.count.item() == 0


def test_a_recurrent_layer_may_share_its_weights_with_another_name(snn):
    """Its inner layer is met first under that name, and runs within the recurrent one."""
    shared = nn.Linear(8, 8)
    recurrent = snn.RLeaky(beta=0.8, threshold=0.3, linear_features=8, init_hidden=True)
    recurrent.recurrent = shared
    module = Net(lambda self, x: self.lif(self.fc(x)), shared=shared, fc=nn.Linear(6, 8))
    module.lif = recurrent
    assert ("lif", "lif", 1) in edges(followed(module, 6))


# ----------------------------------------------------------------- functions as layers


def test_functions_on_images_are_the_layers_of_the_same_name(snn):
    """Convolutions, their transposes, normalisation, pooling, resizing and clipping."""

    def body(self: Any, x: Any) -> Any:
        image = F.conv2d(x, self.conv.weight, self.conv.bias, padding="same")
        bn = self.bn
        image = F.batch_norm(image, bn.running_mean, bn.running_var, bn.weight, bn.bias)
        spikes = torch.clamp(F.relu6(self.lif1(image)), 0, 1)
        wide = F.conv_transpose2d(F.max_pool2d(spikes, 2), self.turned, stride=2)
        wide = wide + F.interpolate(F.avg_pool2d(spikes, 2), scale_factor=2)
        plain = F.batch_norm(wide, bn.running_mean, bn.running_var)
        return self.lif2(F.adaptive_avg_pool2d(plain, 2))

    module = net(snn, body, conv=nn.Conv2d(2, 3, 3), bn=nn.BatchNorm2d(3))
    module.bn.running_mean.uniform_(-0.2, 0.2)
    module.bn.running_var.uniform_(0.5, 2)
    module.turned = nn.Parameter(torch.rand(3, 3, 2, 2))
    imported = followed(module, 2, 4, 4)
    assert imported.network.outputs[0].population == "lif2"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            lambda self, q, k: q[:, :1] * k if False else q * k.sum((2, 3), keepdim=True),
            "it multiplies two values of the network with each other, and not both are known to "
            "be spikes of 0 and 1, straight from neurons: of those a product is followed",
        ),
        (lambda self, q, k: q * self.single(self.one(q)), "it repeats a value for all channels"),
    ],
)
def test_a_product_that_is_no_product_of_spikes_is_refused(snn, body, said):
    def forward(self: Any, x: Any) -> Any:
        return self.lif2(self.fc(body(self, self.lif1(x), self.lif3(2 * x)).flatten(1)))

    module = net(
        snn,
        forward,
        lif3=leaky(snn),
        one=nn.Conv2d(2, 1, 1),
        single=leaky(snn),
        fc=nn.Linear(32, 4),
    )
    assert refused(module, shape=(2, 4, 4)) == (
        f"error[SNN203]: what enters 'fc' is made by 'mul', which cannot be followed: {said}\n"
        f"  at: fc\n  fix: {WAY_OUT}"
    )


def test_a_product_of_joined_spikes_is_followed(snn):
    def body(self: Any, x: Any) -> Any:
        one, other = self.lif1(self.fc1(x)), self.lif3(self.fc3(x))
        both = torch.cat([one, other], 1) * torch.cat([other, one], 1)
        return self.lif2(self.fc4(both))

    layers = {"fc3": nn.Linear(6, 8), "lif3": leaky(snn), "fc4": nn.Linear(16, 4)}
    imported = followed(net(snn, body, **layers), 6)
    assert [p.name for p in imported.network.populations if "both" in p.name] == ["both"]


# ------------------------------------------------------------------- over time


def looped(snn: Any, step: Body, ending: Body = torch.stack, **more: Any) -> Net:
    """Return a module that calls `step(self, x_t)` for each step, and `ending` of what it gives."""

    def body(self: Any, x: Any) -> Any:
        self.kept = []
        for x_t in x:
            self.kept.append(step(self, x_t))
        return ending(self.kept)

    return net(snn, body, **more)


def spikes_of(self: Any, x: Any) -> Any:
    return self.lif1(self.fc1(x))


OVER_TIME: dict[str, tuple[Body, Body, str]] = {
    "values of the step before": (
        spikes_of,
        lambda kept: torch.stack([torch.zeros(1, 8), *kept[:-1]]),
        f"error[SNN206]: output 0 does not read the present step\n  at: Net\n  fix: {WAY_OUT}",
    ),
    "each neuron weighed": (
        spikes_of,
        lambda kept: sum(kept) * torch.arange(1.0, 9.0),
        "error[SNN206]: output 0 is neither of the last step nor a sum over all steps\n"
        "  at: Net\n  fix: return what the layers gave in every step, or its sum or mean over the "
        "steps",
    ),
    "a step weighed": (
        spikes_of,
        lambda kept: sum(kept[:-2]) + 2 * kept[-2] + kept[-1],
        "error[SNN206]: output 0 is neither of the last step nor a sum over all steps\n"
        "  at: Net\n  fix: return what the layers gave in every step, or its sum or mean over the "
        "steps",
    ),
    "the largest of a function": (
        spikes_of,
        lambda kept: torch.sigmoid(torch.stack(kept)),
        "error[SNN203]: output 0 is made by 'sigmoid', which cannot be followed\n  at: Net\n"
        f"  fix: {WAY_OUT}",
    ),
}


@pytest.mark.parametrize("case", OVER_TIME)
def test_what_is_no_answer_of_a_network_is_refused_by_its_name(snn, case):
    step, ending, said = OVER_TIME[case]
    assert refused(looped(snn, step, ending), Layout.TIME_FIRST) == said


def test_a_count_of_spikes_enters_no_neurons(snn):
    module = looped(snn, spikes_of)
    module.body = lambda self, x: self.lif2(
        torch.stack([self.lif1(self.fc1(x_t)) for x_t in x]).sum(0)
    )
    assert refused(module, Layout.TIME_FIRST) == (
        "error[SNN206]: the sum over all steps enters this layer, which a chip that works step by "
        "step cannot compute\n  at: lif2\n  fix: apply the layer in every step, and return the sum "
        "or mean of what it gives"
    )


def test_a_kernel_over_the_steps_is_refused(snn):
    module = net(snn, lambda self, x: self.kernel(x), kernel=nn.Conv1d(1, 1, 3))
    assert refused(module, Layout.TIME_FIRST) == (
        "error[SNN206]: Conv1d is given a tensor of shape (6, 1, 6), [step, sample, value]: it "
        "takes the samples for values, or values for samples\n  at: kernel\n"
        "  fix: give it [sample, ...] of one step, or join samples and steps before it"
    )


def test_an_image_that_is_shown_twice_shows_too_little(snn):
    module = net(snn, lambda self, x: [self.lif1(self.fc1(x)) for _ in range(2)][-1])
    assert refused(module, Layout.CONSTANT) == (
        "error[SNN206]: the module computes 2 steps only, which does not show whether every step "
        "computes the same\n  at: Net\n  fix: let it compute at least 3 steps"
    )


def test_the_trace_of_a_module_that_shows_an_image_is_what_its_neurons_sent(snn):
    def body(self: Any, x: Any) -> Any:
        self.kept = [self.lif1(self.fc1(x)) for _ in range(5)]
        return torch.stack(self.kept)

    module = net(snn, body)
    sample = values_of(6)
    imported = load(module, sample=sample, layout=Layout.CONSTANT)
    trace = module_trace(module, imported.network, sample, layout=Layout.CONSTANT)
    module.eval()
    module.lif1.reset_mem()
    with torch.no_grad():
        sent = module(torch.as_tensor(sample[:1], dtype=torch.float32))[:, 0].numpy()
    assert sent.any()
    payload = trace["lif1"].state(State.PAYLOAD)
    assert payload is not None
    np.testing.assert_array_equal(payload[0], sent)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_graded_spikes_are_spikes_times_their_factor(snn, factor):
    body = lambda self, x: self.lif2(self.fc2(self.graded(self.fc1(x))))  # noqa: E731 - one body
    imported = followed(net(snn, body, graded=leaky(snn, graded_spikes_factor=factor)), 6)
    assert imported.network.outputs[0].population == "lif2"


@pytest.mark.parametrize("reset", ["none", "zero", "subtract"])
def test_neurons_without_memory_are_followed(snn, reset):
    body = lambda self, x: self.lif2(self.fc2(self.quick(self.fc1(x))))  # noqa: E731 - one body
    quick = leaky(snn, beta=0.0, reset_mechanism=reset)
    followed(net(snn, body, quick=quick), 6, gain=20.0, least=10)


def test_the_refusal_of_the_layout_that_came_furthest_is_given(snn):
    module = net(snn, lambda self, x: torch.sigmoid(self.lif1(self.fc1(x))))
    with pytest.raises(ModelError) as caught:
        capture(module, values_of(6))
    assert isinstance(caught.value.__cause__, Refused)
    assert caught.value.message == "output 0 is made by 'sigmoid', which cannot be followed"


# ------------------------------------------------------------- other frameworks


def test_layers_of_norse_that_take_all_steps_are_called_once(snn):
    norse = pytest.importorskip("norse.torch")
    lif = norse.LIF(p=norse.LIFParameters(v_th=torch.tensor(0.15)))
    module = net(snn, lambda self, x: self.both(self.both(x)[0])[0], both=lif)
    assert refused(module, Layout.TIME_FIRST) == (
        "error[SNN206]: these neurons are called several times and keep one state\n  at: both\n"
        "  fix: make a layer of neurons for each call"
    )


def test_neurons_that_do_not_start_from_zero_are_not_started_from_zeros(snn):
    norse = pytest.importorskip("norse.torch")

    def body(self: Any, x: Any) -> Any:
        if self.last is None:
            zeros = torch.zeros(1, 6)
            self.last = norse.LIFFeedForwardState(v=zeros, i=zeros)
        spikes, self.last = self.cell(x, self.last)
        return spikes

    cell = norse.LIFCell(p=norse.LIFParameters(v_leak=torch.tensor(0.25)))
    assert refused(net(snn, body, cell=cell)) == (
        "error[SNN206]: the module starts these neurons from zeros, but by themselves they start "
        "from 0.25\n  at: cell\n  fix: give them no state in the first step"
    )


def test_squeezed_layers_of_sinabs_may_be_given_one_step_at_a_time(snn):
    pytest.importorskip("sinabs")
    sinabs = pytest.importorskip("sinabs.layers")
    neurons = sinabs.IAFSqueeze(batch_size=1, spike_threshold=0.5)
    module = net(snn, lambda self, x: self.iaf(self.fc1(x)), iaf=neurons)
    imported = followed(module, 6, layout=Layout.STEPWISE)
    assert edges(imported) == {("input", "iaf", 0)}


def test_rockpools_layers_may_be_given_steps_without_a_sample(snn):
    rockpool = pytest.importorskip("rockpool.nn.modules")
    neurons = rockpool.LIFTorch(8, dt=1e-3, threshold=1.0)
    module = net(snn, lambda self, x: self.lif(self.fc1(x))[0], lif=neurons)
    imported = followed(module, 6, layout=Layout.FLAT)
    assert edges(imported) == {("input", "lif", 0)}
