"""The user's own code makes a module; what it does wrong is one numbered error."""

from pathlib import Path

import numpy as np
import pytest

from snn_deploy.errors import ModelError, ShapeError
from snn_deploy.frontends.modules import module_from

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

CODE = """
import torch

def plain():
    return torch.nn.Linear(2, 2, bias=False)

class Failing(torch.nn.Linear):
    def load_state_dict(self, state):
        raise KeyError("mine")

def failing():
    return Failing(2, 2)
"""


@pytest.fixture(autouse=True)
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "code_of_a_factory.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)


def test_weights_in_any_order_of_memory_are_taken():
    weight = np.arange(4, dtype=np.float32).reshape(2, 2)[::-1]
    module = module_from("code_of_a_factory:plain", {"weight": weight})
    assert np.array_equal(module.weight.detach().numpy(), weight)


def test_weights_that_are_no_numbers_are_refused():
    weight = np.array([[None, 1], [2, 3]], object)
    with pytest.raises(ModelError) as caught:
        module_from("code_of_a_factory:plain", {"weight": weight})
    assert str(caught.value).startswith("error[SNN200]: torch has no tensor of object: ")
    assert str(caught.value).endswith("\n  at: weight")


def test_weights_of_another_shape_do_not_fit():
    with pytest.raises(ShapeError, match="the weights do not fit the module that code_of_a"):
        module_from("code_of_a_factory:plain", {"weight": np.ones((3, 3), np.float32)})


def test_a_module_that_fails_to_take_its_weights_is_named():
    with pytest.raises(ModelError) as caught:
        module_from("code_of_a_factory:failing", {"weight": np.ones((2, 2), np.float32)})
    assert str(caught.value) == (
        "error[SNN200]: it fails with KeyError: 'mine'\n"
        "  at: code_of_a_factory:failing\n"
        "  fix: call it in Python to see where"
    )
