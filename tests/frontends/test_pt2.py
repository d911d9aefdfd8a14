"""torch.export's archives become the layers that torch computes, without torch's loader."""

import io
import json
import os
import random
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from snn_deploy.errors import DeployError, FileDamagedError, UnknownNodeError
from snn_deploy.frontends.ann import evaluate
from snn_deploy.frontends.layers import LayerGraph
from snn_deploy.frontends.pt2 import read_pt2

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel"),
]


def archive(module: Any, x: Any, *, dynamic: bool = False, decomposed: bool = False) -> bytes:
    """Return what torch.export saves of a module."""
    shapes = ({0: torch.export.Dim("n")},) if dynamic else None
    program = torch.export.export(module.eval(), (x,), dynamic_shapes=shapes)
    if decomposed:
        program = program.run_decompositions()
    file = io.BytesIO()
    torch.export.save(program, file)
    return file.getvalue()


def check(module: Any, x: Any, **how: bool) -> LayerGraph:
    """Compare the layers with the module; return them."""
    graph = read_pt2(archive(module, x, **how), "m.pt2")
    with torch.no_grad():
        wanted = module(x)
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    given = evaluate(graph, dict.fromkeys(graph.inputs, x.numpy()), dtype=np.float64)
    for source, value in zip(graph.outputs.values(), wanted, strict=True):
        np.testing.assert_allclose(given[source], value.numpy(), rtol=1e-4, atol=1e-5)
    return graph


class Network(nn.Module):  # type: ignore[name-defined,misc]
    """Most operations once."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU6())
        self.same = nn.Conv2d(4, 4, (2, 3), padding="same", bias=False)
        self.pool = nn.AvgPool2d(2)
        self.largest = nn.MaxPool2d(2)
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.drop = nn.Dropout()
        self.out = nn.Linear(8, 3)

    def forward(self, x: Any) -> Any:
        x = self.first(x / 2 + 0.1)
        x = torch.relu(self.same(x) + x - 0.2 * x)
        x = torch.cat([self.largest(x), -self.pool(x)], 1)
        flat = self.drop(self.mean(x)).flatten(1)
        return self.out(flat), x.mean((2, 3)).clamp(0, 0.5)


def network() -> Any:
    """Return a network whose normalisation does something."""
    torch.manual_seed(2)
    made = Network()
    made.first[1].running_mean.uniform_(-0.5, 0.5)
    made.first[1].running_var.uniform_(0.5, 2)
    return made


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("decomposed", [False, True])
def test_a_network_gives_what_torch_gives(dynamic: bool, decomposed: bool) -> None:
    check(network(), torch.randn(4, 2, 8, 8), dynamic=dynamic, decomposed=decomposed)


class Reshaped(nn.Module):  # type: ignore[name-defined,misc]
    """Shapes that the batch is part of."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Conv1d(1, 3, 4, stride=2)

    def forward(self, x: Any) -> Any:
        x = self.line(x.unsqueeze(1)).relu()
        x = x.view(x.size(0), -1)
        return x.reshape(-1, 3, 4).permute(0, 1, 2).squeeze(1)


@pytest.mark.parametrize("dynamic", [False, True])
def test_shapes_that_hold_the_batch_are_followed(dynamic: bool) -> None:
    check(Reshaped(), torch.randn(5, 10), dynamic=dynamic)


def test_a_softmax_at_the_end_is_left_out_and_said() -> None:
    module = nn.Sequential(nn.Linear(4, 3), nn.Softmax(1))
    graph = read_pt2(archive(module, torch.randn(2, 4)), "m.pt2")
    assert [str(finding) for finding in graph.findings] == [
        "changed    softmax: the softmax at the end is left out; the largest output stays the "
        "largest; the others are no probabilities now"
    ]


@pytest.mark.parametrize(
    ("module", "error"),
    [
        (
            nn.Sigmoid(),
            "error[SNN203]: the operation torch.ops.aten.sigmoid.default is not read\n"
            "  at: m.pt2: sigmoid\n"
            "  fix: networks of convolutions, matrix products, sums, poolings and ReLU are read",
        ),
        (
            nn.Hardtanh(),
            "error[SNN203]: an activation between -1.0 and 1.0 is not read\n"
            "  at: m.pt2: hardtanh\n"
            "  fix: use a lower limit of 0: a ReLU",
        ),
        (
            nn.Flatten(0),
            "error[SNN203]: torch.ops.aten.flatten.using_ints from (2, 4) to (8,) mixes samples\n"
            "  at: m.pt2: flatten\n"
            "  fix: keep the batch as the first axis",
        ),
    ],
)
def test_what_cannot_be_read_is_named(module: Any, error: str) -> None:
    with pytest.raises(UnknownNodeError) as caught:
        read_pt2(archive(module, torch.randn(2, 4)), "m.pt2")
    assert str(caught.value) == error


class Flattened(nn.Module):  # type: ignore[name-defined,misc]
    """A view that is changed in place, and what it is a view of."""

    def forward(self, x: Any) -> Any:
        y = -x
        y.flatten(1).relu_()
        return y + x


def test_a_view_changed_in_place_is_read_once_nothing_is_changed_in_place() -> None:
    x = torch.randn(2, 3, 4)
    with pytest.raises(UnknownNodeError) as caught:
        read_pt2(archive(Flattened(), x), "m.pt2")
    assert str(caught.value) == (
        "error[SNN203]: a value is read that torch.ops.aten.relu_.default changed in place, "
        "through another view\n"
        "  at: m.pt2: neg\n"
        "  fix: save program.run_decompositions(), which changes nothing in place"
    )
    check(Flattened(), x, decomposed=True)


def repacked(content: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    """Return an archive with changed records."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return made.getvalue()


def test_weights_that_are_a_pickle_are_refused() -> None:
    content = archive(nn.Linear(4, 3), torch.randn(2, 4))

    def change(name: str, record: bytes) -> bytes:
        if not name.endswith("model_weights_config.json"):
            return record
        return record.replace(b'"use_pickle": false', b'"use_pickle": true')

    with pytest.raises(UnknownNodeError) as caught:
        read_pt2(repacked(content, change), "m.pt2")
    assert str(caught.value) == (
        "error[SNN203]: its numbers are kept as a pickle, which is not read\n"
        "  at: m.pt2: weight\n"
        "  fix: torch.export.save(torch.export.export(module.eval(), (sample,)), 'model.pt2')"
    )


def test_a_tensor_larger_than_its_numbers_is_refused() -> None:
    content = archive(nn.Linear(4, 3), torch.randn(2, 4))

    def change(name: str, record: bytes) -> bytes:
        if not name.endswith("model_weights_config.json"):
            return record
        config = json.loads(record)
        meta = config["config"]["weight"]["tensor_meta"]
        meta["sizes"] = [{"as_int": 2**20}, {"as_int": 2**20}]
        meta["strides"] = [{"as_int": 0}, {"as_int": 0}]
        return json.dumps(config).encode()

    with pytest.raises(FileDamagedError) as caught:
        read_pt2(repacked(content, change), "m.pt2")
    assert str(caught.value) == (
        "error[SNN202]: a tensor of shape (1048576, 1048576) of 12 stored numbers\n"
        "  at: m.pt2: weight"
    )


FUZZ = int(os.environ.get("SNN_DEPLOY_FUZZ", "300"))


def test_damaged_archives_give_numbered_errors() -> None:
    content = archive(network(), torch.randn(2, 2, 8, 8), dynamic=True)
    rng = random.Random(7)

    def altered(record: bytes) -> bytes:
        data = bytearray(record)
        for _ in range(rng.choice([1, 1, 3, 20])):
            likely = rng.choice(b'0129-{}[]",:ax ')
            data[rng.randrange(len(data))] = rng.choice([likely, likely, rng.randrange(256)])
        return bytes(data)

    refused = 0
    for index in range(FUZZ):
        if index % 3 == 0:
            damaged = altered(content)
        elif index % 3 == 1:
            damaged = content[: rng.randrange(len(content))]
        else:
            damaged = repacked(
                content,
                lambda name, record: (
                    altered(record) if record and name.endswith((".json", "weight_0")) else record
                ),
            )
        try:
            read_pt2(damaged, "m.pt2")
        except DeployError:
            refused += 1
    assert refused > FUZZ / 2
