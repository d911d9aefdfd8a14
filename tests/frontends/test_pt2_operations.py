"""Each operation of torch.export's archives gives what torch's operator gives, or is refused."""

import io
import zipfile
from collections.abc import Callable

import numpy as np
import pytest

from snn_deploy.errors import DeployError
from snn_deploy.frontends.ann import evaluate
from snn_deploy.frontends.pt2 import file as pt2_file
from snn_deploy.frontends.pt2 import read_pt2
from snn_deploy.ir.sizes import higher

torch = pytest.importorskip("torch")
from exported import Entry, Op, Raw, Ref, X, archive, expected, op  # noqa: E402  needs torch

pytestmark = pytest.mark.torch

Array = np.ndarray


def numbers(*shape: int) -> Array:
    """Return float32 numbers around 0, no two alike."""
    size = int(np.prod(shape))
    return ((np.arange(size) * 7 % size - size / 2) / size).reshape(shape).astype(np.float32)


CONSTANTS = {
    "plane": numbers(3, 2, 3, 3),
    "line": numbers(3, 2, 3),
    "bias": numbers(3),
    "one": numbers(1, 1, 1) + 1,
    "channels": numbers(2, 1, 1),
    "mean": numbers(2),
    "spread": numbers(2) + 1,
    "square": numbers(6, 6),
}

PLANE = (1, 2, 6, 6)
LINE = (1, 2, 6)
FLAT = (1, 6)

OPERATIONS: dict[str, tuple[tuple[int, ...], list[Op]]] = {
    "valid padding": (
        PLANE,
        [op("y", "conv2d.padding", input=X, weight=Ref("plane"), padding="valid")],
    ),
    "the same side": (
        LINE,
        [op("y", "conv1d.padding", input=X, weight=Ref("line"), padding="same", dilation=[2])],
    ),
    "a bias that is none": (
        PLANE,
        [op("y", "conv2d.default", input=X, weight=Ref("plane"), bias=None, stride=[2])],
    ),
    "no upper limit": (PLANE, [op("y", "clamp.default", self=X, min=0, max=None)]),
    "a stated stride": (
        PLANE,
        [op("y", "avg_pool2d.default", self=X, kernel_size=[2], stride=[], divisor_override=None)],
    ),
    "a constant less values": (PLANE, [op("y", "sub.Tensor", self=Ref("channels"), other=X)]),
    "a number less values": (PLANE, [op("y", "rsub.Scalar", self=X, other=1)]),
    "a constant and values": (PLANE, [op("y", "add.Tensor", self=Ref("channels"), other=X)]),
    "a constant times values": (PLANE, [op("y", "mul.Tensor", self=Ref("channels"), other=X)]),
    "values times a number": (PLANE, [op("y", "mul.Tensor", self=X, other=0.5)]),
    "padding of a plane": (PLANE, [op("y", "constant_pad_nd.default", self=X, pad=[1, 2, 0, 3])]),
    "dropouts in place": (
        PLANE,
        [
            op("d", "dropout_.default", self=X, p=0.5, train=False),
            op("e", "feature_dropout_.default", self=Ref("d"), p=0.5, train=False),
            op("y", "neg.default", self=Ref("e")),
        ],
    ),
    "a copy of what is changed in place": (
        PLANE,
        [
            op("n", "neg.default", self=X),
            op("c", "clone.default", self=Ref("n")),
            op("r", "relu_.default", self=Ref("n")),
            op("y", "add.Tensor", self=Ref("c"), other=Ref("r")),
        ],
    ),
    "padding as it is exported": (
        PLANE,
        [op("y", "pad.default", self=X, pad=[2, 1], mode="constant", value=None)],
    ),
    "padding of its rows": (PLANE, [op("y", "constant_pad_nd.default", self=X, pad=[1, 2])]),
    "a normalisation without factors": (
        PLANE,
        [
            op(
                "y a b",
                "_native_batch_norm_legit_no_training.default",
                input=X,
                weight=None,
                bias=None,
                running_mean=Ref("mean"),
                running_var=Ref("spread"),
                momentum=0.1,
                eps=1e-3,
            )
        ],
    ),
    "indices that nobody reads": (
        PLANE,
        [op("y i", "max_pool2d_with_indices.default", self=X, kernel_size=[2, 2], stride=[2, 2])],
    ),
    "axes counted from the end": (
        (1, 2, 1, 6),
        [
            op("p", "permute.default", self=X, dims=[0, -2, -3, -1]),
            op("y", "flatten.using_ints", self=Ref("p"), start_dim=-2),
        ],
    ),
    "a matrix turned": (
        FLAT,
        [
            op("t", "permute.default", self=Ref("square"), dims=[1, 0]),
            op("y", "mm.default", self=X, mat2=Ref("t")),
        ],
    ),
    "the mean of a row that keeps its axis": (
        PLANE,
        [op("y", "mean.dim", self=X, dim=[-1], keepdim=True)],
    ),
    "parts side by side": (
        PLANE,
        [op("r", "relu.default", self=X), op("y", "cat.default", tensors=[X, Ref("r")], dim=-3)],
    ),
}


@pytest.mark.parametrize("case", OPERATIONS)
def test_an_operation_gives_what_torch_gives(case: str) -> None:
    shape, ops = OPERATIONS[case]
    graph = read_pt2(archive(ops, CONSTANTS, shape), "m.pt2")
    x = numbers(3, *shape[1:])
    (source,) = graph.outputs.values()
    given = evaluate(graph, {"x": x}, dtype=np.float64)[source]
    np.testing.assert_allclose(given, expected(ops, CONSTANTS, x), rtol=1e-5, atol=1e-6)


def refused(content: bytes) -> str:
    """Return the error of an archive, as a user sees it."""
    with pytest.raises(DeployError) as caught:
        read_pt2(content, "m.pt2")
    return str(caught.value)


COMPLAINTS: dict[str, tuple[list[Op], str]] = {
    "an argument of a strange kind": (
        [op("y", "mean.dim", self=X, dim=Raw({"as_device": "cpu"}))],
        "error[SNN203]: torch.ops.aten.mean.dim with dim as as_device is not read\n  at: m.pt2: y",
    ),
    "a size that is none": (
        [op("y", "view.default", self=X, size=Raw({"as_sym_ints": [{"as_name": "mean"}]}))],
        "error[SNN202]: torch.ops.aten.view.default has arguments that it cannot have\n"
        "  at: m.pt2: y",
    ),
    "an operation of constants": (
        [op("y", "relu.default", self=Ref("mean"))],
        "error[SNN203]: torch.ops.aten.relu.default of constants is not read\n  at: m.pt2: y",
    ),
    "weights that depend on the input": (
        [op("y", "linear.default", input=X, weight=X)],
        "error[SNN203]: torch.ops.aten.linear.default with weights that depend on the "
        "input is not read\n"
        "  at: m.pt2: y",
    ),
    "a transposed convolution": (
        [op("y", "convolution.default", input=X, weight=Ref("plane"), transposed=True)],
        "error[SNN203]: torch.ops.aten.convolution.default with transposed=True is not read\n"
        "  at: m.pt2: y",
    ),
    "strides of other axes": (
        [op("y", "conv2d.default", input=X, weight=Ref("plane"), stride=[1, 1, 1])],
        "error[SNN202]: torch.ops.aten.conv2d.default has arguments that it cannot have\n"
        "  at: m.pt2: y",
    ),
    "an unknown padding": (
        [op("y", "conv2d.padding", input=X, weight=Ref("plane"), padding="mirror")],
        "error[SNN202]: torch.ops.aten.conv2d.padding has arguments that it cannot have\n"
        "  at: m.pt2: y",
    ),
    "a bias of another size": (
        [op("y", "linear.default", input=X, weight=Ref("square"), bias=Ref("bias"))],
        "error[SNN204]: a bias of shape (3,) for 6 values\n  at: m.pt2: y",
    ),
    "statistics of other channels": (
        [
            op(
                "y",
                "batch_norm.default",
                input=X,
                weight=None,
                bias=None,
                training=False,
                running_mean=Ref("bias"),
                running_var=Ref("bias"),
            )
        ],
        "error[SNN204]: normalisations of 3 channels for values of shape (2, 6, 6)\n  at: m.pt2: y",
    ),
    "a dilated pooling": (
        [op("y", "max_pool2d.default", self=X, kernel_size=[2, 2], dilation=[2, 2])],
        "error[SNN203]: a pooling with a dilation is not read\n  at: m.pt2: y",
    ),
    "an adaptive pooling of no side": (
        [op("y", "adaptive_avg_pool2d.default", self=X, output_size=[0, 1])],
        "error[SNN204]: it pools to (0, 1), but is given (2, 6, 6)\n  at: m.pt2: y",
    ),
    "padded channels": (
        [op("y", "constant_pad_nd.default", self=X, pad=[0, 0, 0, 0, 1, 1])],
        "error[SNN203]: padding of channels is not read\n  at: m.pt2: y",
    ),
    "padding with ones": (
        [op("y", "pad.default", self=X, pad=[1, 1], mode="constant", value=1.0)],
        "error[SNN203]: padding with other numbers than 0 is not read\n  at: m.pt2: y",
    ),
    "mirrored padding": (
        [op("y", "pad.default", self=X, pad=[1, 1], mode="reflect")],
        "error[SNN203]: torch.ops.aten.pad.default with mode=reflect is not read\n  at: m.pt2: y",
    ),
    "a factor of a difference": (
        [op("y", "rsub.Scalar", self=X, other=1, alpha=2)],
        "error[SNN203]: torch.ops.aten.rsub.Scalar with alpha=2 is not read\n  at: m.pt2: y",
    ),
    "the last axis first": (
        [op("y", "permute.default", self=X, dims=[0, -1, 1, 2])],
        "error[SNN203]: a permutation by [0, 3, 1, 2] of values of shape (1, 2, 6, 6) is "
        "not read\n"
        "  at: m.pt2: y\n"
        "  fix: export a network with channels first",
    ),
    "a mean over the batch": (
        [op("y", "mean.dim", self=X, dim=[0])],
        "error[SNN203]: a mean over the batch is not read\n  at: m.pt2: y",
    ),
    "a squeeze of the batch": (
        [op("y", "squeeze.dim", self=X, dim=0)],
        "error[SNN203]: a squeeze of the batch is not read\n  at: m.pt2: y",
    ),
    "no permutation": (
        [op("y", "permute.default", self=X, dims=[0, 1, 2, 2])],
        "error[SNN202]: torch.ops.aten.permute.default has arguments that it cannot have\n"
        "  at: m.pt2: y",
    ),
    "channels last": (
        [op("y", "permute.default", self=X, dims=[0, 2, 3, 1])],
        "error[SNN203]: a permutation by [0, 2, 3, 1] of values of shape (1, 2, 6, 6) is "
        "not read\n"
        "  at: m.pt2: y\n"
        "  fix: export a network with channels first",
    ),
    "another number of values": (
        [op("y", "view.default", self=X, size=[1, 5])],
        "error[SNN204]: values of shape (2, 6, 6) cannot take shape (5,)\n  at: m.pt2: y",
    ),
    "samples side by side": (
        [op("y", "cat.default", tensors=[X, X])],
        "error[SNN203]: a cat of samples or constants is not read\n  at: m.pt2: y",
    ),
    "constants side by side": (
        [op("y", "cat.default", tensors=[X, Ref("one")], dim=1)],
        "error[SNN203]: a cat of samples or constants is not read\n  at: m.pt2: y",
    ),
    "a softmax within": (
        [op("s", "softmax.int", self=X, dim=1), op("y", "relu.default", self=Ref("s"))],
        "error[SNN203]: a softmax within a network is not read\n  at: m.pt2: s",
    ),
    "an upper limit of 0": (
        [op("y", "clamp.default", self=X, min=0, max=0.0)],
        "error[SNN203]: an activation between 0 and 0\n  at: m.pt2: y",
    ),
    "indices of a pooling": (
        [
            op("p i", "max_pool2d_with_indices.default", self=X, kernel_size=[2, 2]),
            op("y", "add.Tensor", self=Ref("p"), other=Ref("i")),
        ],
        "error[SNN203]: a second output of torch.ops.aten.max_pool2d_with_indices.default "
        "is not read\n"
        "  at: m.pt2: p",
    ),
    "a list of values": (
        [op("y", "split.Tensor", self=X, split_size=Raw({"as_int": 1}))],
        "error[SNN203]: the operation torch.ops.aten.split.Tensor is not read\n"
        "  at: m.pt2: y\n"
        "  fix: networks of convolutions, matrix products, sums, poolings and ReLU are read",
    ),
    "an output of a constant": (
        [op("y", "detach.default", self=Ref("mean"))],
        "error[SNN206]: an output that is no layer's\n  at: m.pt2: y",
    ),
}


@pytest.mark.parametrize("case", COMPLAINTS)
def test_an_operation_that_cannot_be_read_is_named(case: str) -> None:
    ops, error = COMPLAINTS[case]
    assert refused(archive(ops, CONSTANTS)) == error


CHANGED = [
    op("n", "neg.default", self=X),
    op("v", "view.default", self=Ref("n"), size=[1, 2, 36]),
    op("r", "relu_.default", self=Ref("v")),
]
"""The torch of these changes "n" as well, of which "v" is a view."""

IN_PLACE = (
    "error[SNN203]: a value is read that torch.ops.aten.relu_.default changed in place, through "
    "another view\n"
    "  at: m.pt2: n\n"
    "  fix: save program.run_decompositions(), which changes nothing in place"
)


@pytest.mark.parametrize(
    "ops",
    [
        [*CHANGED, op("y", "neg.default", self=Ref("n"))],
        [
            *CHANGED,
            op("w", "flatten.using_ints", self=Ref("n"), start_dim=2),
            op("y", "add.Tensor", self=Ref("r"), other=Ref("w")),
        ],
    ],
    ids=["its source", "another view"],
)
def test_numbers_changed_in_place_through_another_view_are_refused(ops: list[Op]) -> None:
    assert refused(archive(ops, CONSTANTS)) == IN_PLACE


def test_an_output_changed_in_place_by_another_view_is_refused() -> None:
    assert refused(archive(CHANGED, outputs=["n", "r"])) == IN_PLACE


def graph_of(model: Entry) -> Entry:
    """Return the operations of a description."""
    return model["graph_module"]["graph"]


def signature_of(model: Entry) -> Entry:
    """Return the inputs and outputs of a description."""
    return model["graph_module"]["signature"]


def no_input(model: Entry, weights: Entry) -> None:
    signature_of(model)["input_specs"].pop()


def a_number_as_input(model: Entry, weights: Entry) -> None:
    signature_of(model)["input_specs"][-1]["user_input"]["arg"] = {"as_int": 3}


def a_token_as_input(model: Entry, weights: Entry) -> None:
    signature_of(model)["input_specs"][-1] = {"token": {"arg": {"name": "x"}}}


def a_changed_buffer(model: Entry, weights: Entry) -> None:
    signature_of(model)["output_specs"][0] = {"buffer_mutation": {"arg": {"name": "y"}}}


def only_a_batch(model: Entry, weights: Entry) -> None:
    del graph_of(model)["tensor_values"]["x"]["sizes"][1:]


def an_open_side(model: Entry, weights: Entry) -> None:
    graph_of(model)["tensor_values"]["x"]["sizes"][1] = {"as_expr": {"expr_str": "s0"}}


def an_empty_side(model: Entry, weights: Entry) -> None:
    graph_of(model)["tensor_values"]["x"]["sizes"][1] = {"as_int": 0}


def a_negative_side(model: Entry, weights: Entry) -> None:
    graph_of(model)["tensor_values"]["x"]["sizes"][1] = {"as_int": -1}


def another_version(model: Entry, weights: Entry) -> None:
    model["schema_version"]["major"] = 9


def complex_weights(model: Entry, weights: Entry) -> None:
    weights["config"]["mean"]["tensor_meta"]["dtype"] = 10


STRUCTURES: dict[Callable[[Entry, Entry], None], str] = {
    no_input: "error[SNN206]: nothing enters the network, or nothing leaves it\n  at: m.pt2",
    a_number_as_input: "error[SNN203]: an input of kind user_input is not read\n  at: m.pt2",
    a_token_as_input: "error[SNN203]: an input of kind token is not read\n  at: m.pt2",
    a_changed_buffer: "error[SNN203]: an output of kind buffer_mutation is not read\n  at: m.pt2",
    only_a_batch: (
        "error[SNN204]: an input of shape (1,); the batch comes first, and only its size "
        "may be open\n"
        "  at: m.pt2: x"
    ),
    an_open_side: (
        "error[SNN204]: an input of shape (1, None, 6, 6); the batch comes first, and only "
        "its size may be open\n"
        "  at: m.pt2: x"
    ),
    an_empty_side: "error[SNN204]: an input of shape (0, 6, 6)\n  at: m.pt2: x",
    a_negative_side: "error[SNN204]: a side of -1\n  at: m.pt2: x",
    another_version: (
        "error[SNN203]: version 9 of torch.export's format is not read; 8 is\n  at: m.pt2"
    ),
    complex_weights: (
        "error[SNN203]: numbers of type 10 of torch.export's format are not read\n  at: m.pt2: mean"
    ),
}


@pytest.mark.parametrize("change", STRUCTURES, ids=lambda change: change.__name__)
def test_a_structure_that_cannot_be_read_is_named(change: Callable[[Entry, Entry], None]) -> None:
    content = archive([op("y", "relu.default", self=X)], CONSTANTS, change=change)
    assert refused(content) == STRUCTURES[change]


def test_an_archive_needs_a_model_but_no_weights() -> None:
    model = archive([op("y", "relu.default", self=X)])
    made = {True: io.BytesIO(), False: io.BytesIO()}
    for described, file in made.items():
        with zipfile.ZipFile(io.BytesIO(model)) as old, zipfile.ZipFile(file, "w") as new:
            kept = [name for name in old.namelist() if name.endswith("model.json") == described]
            for name in kept:
                new.writestr(name, old.read(name))
    assert len(read_pt2(made[True].getvalue(), "m.pt2").nodes) == 1
    assert refused(made[False].getvalue()) == (
        "error[SNN202]: an archive without a model of torch.export\n"
        "  at: m.pt2\n"
        "  fix: torch.export.save(torch.export.export(module.eval(), (sample,)), 'model.pt2')"
    )


def test_kinds_of_outputs_that_nothing_reads_are_passed_over() -> None:
    def change(model: Entry, weights: Entry) -> None:
        graph_of(model)["nodes"][0]["outputs"] += [
            {"as_sym_int": {"as_name": "n"}},
            {"as_tensors": [{"name": "a"}, {"name": "b"}]},
            {"as_none": True},
        ]

    graph = read_pt2(archive([op("y", "relu.default", self=X)], change=change), "m.pt2")
    assert len(graph.nodes) == 1


def test_a_size_of_the_batch_is_followed() -> None:
    def change(model: Entry, weights: Entry) -> None:
        graph_of(model)["nodes"][0]["outputs"] = [{"as_sym_int": {"as_name": "n"}}]

    ops = [
        op("n", "sym_size.int", self=X, dim=0),
        op(
            "s",
            "view.default",
            self=X,
            size=Raw({"as_sym_ints": [{"as_name": "n"}, {"as_int": -1}]}),
        ),
        op("y", "unsqueeze.default", self=Ref("s"), dim=Raw({"as_sym_int": {"as_int": 1}})),
    ]
    graph = read_pt2(archive(ops, shape=(4, 2, 3), change=change), "m.pt2")
    x = numbers(4, 2, 3)
    (source,) = graph.outputs.values()
    assert np.array_equal(evaluate(graph, {"x": x})[source], x.reshape(4, 1, 6))


def test_an_archive_beyond_the_limits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = archive([op("y", "relu.default", self=X)])
    with zipfile.ZipFile(io.BytesIO(content)) as made:
        described = len(made.read("archive/models/model.json"))
    monkeypatch.setattr(pt2_file, "LARGEST_TEXT", 100)
    assert refused(content) == (
        f"error[SNN202]: a description of {described} bytes; at most 100 are read\n"
        f"  at: m.pt2: models/model.json\n  fix: {higher(described, 100)}"
    )
    monkeypatch.setattr(pt2_file, "LARGEST_FILE", 100)
    assert refused(content) == (
        f"error[SNN202]: the file has {len(content)} bytes; at most 100 are read\n"
        f"  at: m.pt2\n  fix: {higher(len(content), 100)}"
    )
