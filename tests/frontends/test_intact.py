"""Code beside a module's classes that changes what it gives: no such module is read as if it
were not there."""

import numpy as np
import pytest

from snn_deploy.errors import ModelError
from snn_deploy.frontends import Overrides, ResetRule, load
from snn_deploy.frontends.convert import Conversion
from snn_deploy.ir.neuron import ResetKind

torch = pytest.importorskip("torch")
neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
prune = pytest.importorskip("torch.nn.utils.prune")
nn = torch.nn

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def row():
    """Return a dense layer and neurons."""
    return nn.Sequential(nn.Linear(6, 4), neuron.LIFNode(tau=2.0))


def refusal(module, **options) -> str:
    """Return the whole error that a module gives."""
    with pytest.raises(ModelError) as caught:
        load(module, **options)
    return str(caught.value)


def thrice(module, inputs, output):
    return 3 * output


def test_a_hook_that_changes_an_output_is_refused():
    module = row()
    module[0].register_forward_hook(thrice)
    assert refusal(module) == (
        "error[SNN203]: a hook of Linear may change what it gives, and is code: thrice\n"
        "  at: 0\n"
        "  fix: remove it; of pruning, torch.nn.utils.prune.remove(layer, name) keeps its effect"
    )


def test_a_pickled_hook_is_refused_too(tmp_path):
    module = row()
    prune.l1_unstructured(module[0], "weight", 0.5)
    torch.save(module, tmp_path / "model.pt")
    assert "a hook of Linear may change what it gives" in refusal(tmp_path / "model.pt")
    prune.remove(module[0], "weight")
    torch.save(module, tmp_path / "model.pt")
    weight = load(tmp_path / "model.pt").network.projections[0].map.numbers()
    assert np.count_nonzero(weight) == weight.size / 2


def test_a_pickled_hook_is_refused_under_an_architecture_too(tmp_path):
    module = row()
    prune.l1_unstructured(module[0], "weight", 0.5)
    torch.save(nn.ModuleDict({"fc": module[0], "lif": module[1]}), tmp_path / "model.pt")
    (tmp_path / "a.toml").write_text(
        'input = [6]\n[[layers]]\nname = "fc"\n[[layers]]\nname = "lif"\n'
    )
    said = refusal(tmp_path / "model.pt", arch=tmp_path / "a.toml")
    assert "a hook of Linear may change what it gives" in said


def test_what_a_user_wants_otherwise_is_no_fault_of_the_reading():
    module = row()
    torch.manual_seed(0)
    sample = np.random.default_rng(0).random((20, 6)) * 8
    found = load(module, sample=sample, overrides=Overrides(reset=ResetRule.NONE))
    assert found.network.populations[0].reset.kind is ResetKind.NONE


def test_a_replaced_forward_is_refused():
    module = row()
    module[1].forward = lambda x: x
    assert refusal(module) == (
        "error[SNN203]: a LIFNode whose forward was replaced is not read\n"
        "  at: 1\n"
        "  fix: make the change a layer of its own, or a class of your own"
    )


def test_a_part_that_is_written_in_place_is_refused():
    class Written(Ann):
        def forward(self, values):
            hidden = torch.relu(self.first(values))
            hidden.data[:, :2] = 1.0
            return self.second(hidden)

    values = np.random.default_rng(0).random((40, 6), np.float32)
    options = {"calibration": values, "conversion": Conversion(steps=8), "sample_shape": (6,)}
    assert refusal(Written(secret=False), **options).startswith(
        "error[SNN203]: what enters 'second' is made by '__setitem__', which cannot be followed: "
        "it writes into a part of a tensor"
    )


def test_arithmetic_of_16_bits_is_refused():
    assert refusal(row().bfloat16()) == (
        "error[SNN203]: the module computes in bfloat16, which rounds after every operation\n"
        "  at: 0.weight\n"
        "  fix: module.float(): the same weights, in the arithmetic that is compared"
    )


class Ann(nn.Module):
    """An ANN of two layers, which with a secret does something else in each call."""

    def __init__(self, secret: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(6, 5), nn.Linear(5, 3)
        self.secret, self.calls = secret, 0

    def forward(self, values):
        hidden = torch.relu(self.first(values))
        if self.secret:
            self.calls += 1
            hidden = hidden * float(self.calls)
        return self.second(hidden)


def test_an_ann_is_compared_with_its_module_before_it_is_converted():
    values = np.random.default_rng(0).random((40, 6), np.float32)
    options = {"calibration": values, "conversion": Conversion(steps=8), "sample_shape": (6,)}
    assert load(Ann(secret=False), **options).network.populations
    assert refusal(Ann(secret=True), **options).startswith(
        "error[SNN206]: the network that was read does not give what the module gives: the outputs "
        "differ by up to "
    )
