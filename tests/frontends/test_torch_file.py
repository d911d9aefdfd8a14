"""torch's files: what we read of them without torch is what torch wrote."""

import collections
import dataclasses
import enum
import io
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from snn_deploy.errors import FileDamagedError, ModelError, UnknownNodeError
from snn_deploy.frontends.registry import class_name
from snn_deploy.frontends.torch_file import Reference, StateDict, Stub, full_name, read_torch_file
from snn_deploy.frontends.torch_file.archive import ArchiveKind, archive_kind
from snn_deploy.frontends.torch_file.reading import PickledModule
from snn_deploy.frontends.torch_file.safetensors import KINDS, read_safetensors

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.torch

ZIPPED = [{"pickle_protocol": protocol} for protocol in (2, 3, 4, 5)]
FORMATS = [*ZIPPED, {"_use_new_zipfile_serialization": False}]
IDENTITIES = ["protocol2", "protocol3", "protocol4", "protocol5", "legacy"]

DTYPES = [
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.uint16,
    torch.uint32,
    torch.uint64,
    torch.bool,
    torch.complex64,
    torch.complex128,
]


@pytest.fixture(params=FORMATS, ids=IDENTITIES)
def written(request):
    """Return a function that gives the bytes of torch.save in one of its formats."""

    def write(saved: object) -> bytes:
        file = io.BytesIO()
        torch.save(saved, file, **request.param)
        return file.getvalue()

    return write


@pytest.fixture
def reread(written):
    """Return a function that saves with torch and reads with us."""
    return lambda saved: read_torch_file(written(saved), "model.pt")


def zipped(saved: object) -> bytes:
    file = io.BytesIO()
    torch.save(saved, file)
    return file.getvalue()


def numpy_of(tensor):
    tensor = tensor.detach()
    return (tensor.float() if tensor.dtype is torch.bfloat16 else tensor).numpy()


def complaint(content: bytes) -> str:
    with pytest.raises(ModelError) as caught:
        read_torch_file(content, "model.pt")
    return str(caught.value)


def assert_tensor(read, tensor):
    expected = numpy_of(tensor)
    assert isinstance(read, np.ndarray)
    assert read.dtype == expected.dtype
    assert read.shape == expected.shape
    assert not read.flags.writeable
    np.testing.assert_array_equal(read, expected)


def assert_equal(read, live):  # noqa: PLR0912 - one case for each kind of value
    """Assert that what was read is the record of `live`, all the way down."""
    match live:
        case torch.nn.Module():
            assert class_name(read) == class_name(live)
            assert [name for name, _ in read.named_children()] == [
                name for name, _ in live.named_children()
            ]
            for name, value in vars(live).items():
                assert_equal(getattr(read, name), value)
            for home in (live._parameters, live._buffers, live._modules):
                for name, value in home.items():
                    assert_equal(getattr(read, name), value)
        case torch.Tensor():
            assert_tensor(read, live)
        case dict():
            assert list(read) == list(live)
            for key, value in live.items():
                assert_equal(read[key], value)
        case list() | tuple():
            assert len(read) == len(live)
            assert isinstance(read, tuple) == isinstance(live, tuple)
            for inner, value in zip(read, live, strict=True):
                assert_equal(inner, value)
        case torch.dtype():
            assert read.type_name == str(live)
        case _ if isinstance(live, type) or (callable(live) and hasattr(live, "__qualname__")):
            assert isinstance(read, Reference)
            assert full_name(read) == full_name(live)
            assert read.__name__ == live.__name__
        case _ if hasattr(live, "__dict__"):
            assert class_name(read) == class_name(live)
            for name, value in vars(live).items():
                assert_equal(getattr(read, name), value)
        case _:
            assert type(read) is type(live)
            assert read == live


# State dicts and checkpoints


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_numbers_of_every_type_come_back_as_they_were(reread, dtype):
    tensor = (torch.arange(24) % 7).to(dtype).view(2, 3, 4)
    if dtype.is_floating_point:
        tensor = tensor * 0.3
    read = reread({"x": tensor})
    assert isinstance(read, StateDict)
    assert_tensor(read.tensors["x"], tensor)


def test_views_come_back_as_they_are_seen(reread):
    base = torch.arange(24.0).view(4, 6)
    views = {
        "whole": base,
        "transposed": base.T,
        "part": base[1:3, 2:5],
        "every_other": base[::2, ::3],
        "diagonal": base.diagonal(),
        "repeated": base[0, :1].expand(5, 3),
        "one": base[2, 3],
        "none": base[:0],
        "bfloat16": torch.arange(12).bfloat16().view(3, 4).T[1:],
        "channels_last": torch.arange(24.0)
        .view(1, 2, 3, 4)
        .contiguous(memory_format=torch.channels_last),
    }
    read = reread(views)
    assert list(read.tensors) == list(views)
    for name, view in views.items():
        assert_tensor(read.tensors[name], view)


def test_views_of_one_storage_are_views_of_one_storage(reread):
    base = torch.arange(6.0)
    read = reread({"all": base, "part": base[2:4]}).tensors
    assert np.shares_memory(read["all"], read["part"])


def test_a_parameter_that_is_used_twice_is_one_array(reread):
    weight = torch.nn.Parameter(torch.ones(3))
    read = reread({"encoder": weight, "decoder": weight}).tensors
    assert read["encoder"] is read["decoder"]


def test_tensors_are_not_copied_from_a_zip_archive():
    content = zipped({"x": torch.arange(1000.0)})
    read = read_torch_file(content, "model.pt").tensors["x"]
    assert np.shares_memory(read, np.frombuffer(content, np.uint8))


def test_a_state_dict_comes_back_in_order(reread):
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.Flatten(), torch.nn.Linear(8, 3)
    )
    read = reread(model.state_dict())
    assert list(read.tensors) == list(model.state_dict())
    assert not read.extras
    for name, tensor in model.state_dict().items():
        assert_tensor(read.tensors[name], tensor)


def test_of_a_lightning_checkpoint_the_weights_are_read_and_the_rest_is_data(reread):
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    checkpoint = {
        "epoch": 3,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": model.state_dict(),
        "optimizer_states": [optimizer.state_dict()],
        "hyper_parameters": {"beta": 0.9, "threshold": torch.tensor(1.5)},
        "hparams_name": "kwargs",
        "callbacks": {},
    }
    read = reread(checkpoint)
    assert list(read.tensors) == ["weight", "bias"]
    assert_tensor(read.tensors["weight"], model.weight)
    assert read.extras["epoch"] == 3
    assert read.extras["hyper_parameters"]["beta"] == 0.9
    assert "optimizer_states" in read.extras


@pytest.mark.parametrize("key", ["model_state_dict", "model", "net"])
def test_a_checkpoint_keeps_its_state_dict_under_a_usual_name(reread, key):
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), momentum=0.9)
    read = reread({"epoch": 1, "optimizer": optimizer.state_dict(), key: model.state_dict()})
    assert list(read.tensors) == ["weight", "bias"]
    assert set(read.extras) == {"epoch", "optimizer"}


def test_names_of_dicts_within_dicts_are_joined(reread):
    one = torch.ones(2)
    read = reread({"encoder": {"fc": {"weight": one}, "depth": 2}, "bias": one, "dt": 0.1})
    assert list(read.tensors) == ["encoder.fc.weight", "bias"]
    assert dict(read.extras) == {"encoder": {"depth": 2}, "dt": 0.1}


def test_what_a_checkpoint_has_beside_tensors_is_data(reread):
    read = reread(
        {
            "weight": torch.ones(2),
            "array": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
            "swapped": np.array([1, 2], ">i4"),
            "names": np.array(["left", "right"]),
            "scalar": np.float32(0.25),
            "truth": np.bool_(True),
            "size": torch.Size([2, 3]),
            "dtype": torch.float16,
            "device": torch.device("cpu"),
            "set": {1, 2},
            "frozen": frozenset({"a"}),
            "bytes": b"\x00\xff" * 200,
            "changeable": bytearray(b"ab"),
            "complex": 1 - 2j,
            "large": 2**70,
            "default": collections.defaultdict(list, a=[1]),
            "counter": collections.Counter("aab"),
            "queue": collections.deque([1, 2]),
            "nothing": None,
        }
    )
    np.testing.assert_array_equal(read.tensors["array"], np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(read.tensors["swapped"], [1, 2])
    assert read.tensors["swapped"].dtype == np.int32
    assert read.extras["names"].tolist() == ["left", "right"]
    assert read.extras["scalar"] == 0.25
    assert type(read.extras["scalar"]) is np.float32
    assert read.extras["truth"]
    assert read.extras["size"] == (2, 3)
    assert read.extras["dtype"].type_name == "torch.float16"
    assert read.extras["device"].type_name == "torch.device"
    assert read.extras["device"].args == ("cpu",)
    assert read.extras["set"] == {1, 2}
    assert read.extras["frozen"] == {"a"}
    assert read.extras["bytes"] == b"\x00\xff" * 200
    assert read.extras["changeable"] == b"ab"
    assert read.extras["complex"] == 1 - 2j
    assert read.extras["large"] == 2**70
    assert read.extras["default"] == {"a": [1]}
    assert read.extras["counter"] == {"a": 2, "b": 1}
    assert read.extras["queue"] == [1, 2]
    assert read.extras["nothing"] is None


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
def test_what_we_have_no_array_for_stays_a_record(reread):
    read = reread(
        {
            "weight": torch.ones(2),
            "sparse": torch.ones(3).to_sparse(),
            "quantized": torch.quantize_per_tensor(torch.ones(3), 0.1, 1, torch.qint8),
            "objects": np.array([None, "a"], object),
            "when": np.datetime64("2020-01-01"),
        }
    )
    assert list(read.tensors) == ["weight"]
    assert {name: type(value) for name, value in read.extras.items()} == dict.fromkeys(
        ("sparse", "quantized", "objects", "when"), Stub
    )


def test_tensors_with_attributes_are_tensors(reread):
    marked, parameter = torch.ones(2), torch.nn.Parameter(torch.zeros(2))
    marked.note = parameter.note = "mine"
    buffer = torch.nn.Buffer(torch.full((2,), 3.0))
    read = reread({"marked": marked, "parameter": parameter, "buffer": buffer})
    assert [values.tolist() for values in read.tensors.values()] == [[1, 1], [0, 0], [3, 3]]


def test_what_was_saved_on_a_gpu_needs_none():
    content = zipped({"x": torch.arange(3.0)})
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(file, "w") as target:
        for name in source.namelist():
            record = source.read(name)
            target.writestr(
                name, record.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
            )
    read = read_torch_file(file.getvalue(), "model.pt")
    assert read.tensors["x"].tolist() == [0, 1, 2]


def repacked(content: bytes, changes: dict[str, bytes], method=zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as source,
        zipfile.ZipFile(file, "w", method) as target,
    ):
        for name in source.namelist():
            target.writestr(name, changes.get(name.partition("/")[2], source.read(name)))
    return file.getvalue()


def test_an_archive_that_was_packed_again_is_read():
    content = repacked(zipped({"x": torch.arange(300.0)}), {})
    read = read_torch_file(content, "model.pt")
    np.testing.assert_array_equal(read.tensors["x"], np.arange(300))


def test_numbers_of_a_machine_with_the_other_order_of_bytes_are_turned_round():
    values = np.arange(300, dtype=">f4")
    changes = {"byteorder": b"big", "data/0": values.tobytes()}
    read = read_torch_file(repacked(zipped({"x": torch.zeros(300)}), changes), "model.pt")
    np.testing.assert_array_equal(read.tensors["x"], values)
    assert read.tensors["x"].dtype == np.float32


# Whole modules


class Colour(enum.Enum):
    RED = "red"


class Place(collections.namedtuple("Place", ["row", "column"])):
    __slots__ = ()


@dataclasses.dataclass
class Settings:
    beta: float
    colour: Colour
    place: Place


class Slotted:
    __slots__ = ("gain",)

    def __init__(self):
        self.gain = 2.5


class Table(dict):
    pass


class Row(list):
    pass


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(3, 2)
        self.again = self.fc
        self.nothing = None
        self.register_module("absent", None)
        self.register_buffer("scale", torch.tensor([0.5]))
        self.register_buffer("missing", None)
        self.settings = Settings(0.9, Colour.RED, Place(1, 2))
        self.activation = torch.relu
        self.kind = collections.OrderedDict
        self.args = ("mine",)
        self.slotted = Slotted()
        self.table = Table(a=1)
        self.row = Row([1, 2])
        self.me = [self]


@pytest.fixture
def own_classes(monkeypatch):
    """Let pickle find the classes of this file, which is no module of a package."""
    monkeypatch.setitem(sys.modules, Net.__module__, sys.modules[__name__])


@pytest.mark.usefixtures("own_classes")
def test_of_a_module_of_ones_own_everything_can_be_read(reread):
    live = Net()
    read = reread(live)
    assert isinstance(read, PickledModule)
    root = read.root
    assert root.type_name == class_name(root) == class_name(live)
    assert [name for name, _ in root.named_children()] == ["fc"]
    assert root.fc is root.again
    assert_equal(root.fc, live.fc)
    assert root.nothing is None
    assert root.absent is None
    assert root.scale.tolist() == [0.5]
    assert root.missing is None
    assert root.settings.beta == 0.9
    assert class_name(root.settings.colour) == f"{Colour.__module__}.Colour"
    assert root.settings.colour.args == ("red",)
    assert root.settings.place.args == (1, 2)
    assert class_name(root.settings.place) == f"{Place.__module__}.Place"
    assert root.activation.type_name.endswith(".relu")
    assert root.activation.__name__ == "relu"
    assert root.kind.type_name == "collections.OrderedDict"
    assert root.args == ("mine",)
    assert root.slotted.gain == 2.5
    assert root.me[0] is root
    assert root.training is True


@pytest.mark.usefixtures("own_classes")
def test_an_attribute_that_is_not_there_is_missing_clearly(reread):
    root = reread(Net()).root
    with pytest.raises(AttributeError) as caught:
        root.beta  # noqa: B018 - it is the looking up that fails
    assert str(caught.value) == "'Net' object of the file has no attribute 'beta'"
    assert getattr(root, "beta", 7) == 7
    assert repr(root) == f"<record of a {Net.__module__}.Net>"
    assert repr(root.kind) == "<reference to collections.OrderedDict>"


def test_torchs_modules_come_back(reread):
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, stride=2, padding=1, groups=1, bias=False),
        torch.nn.BatchNorm2d(4),
        torch.nn.ReLU(),
        torch.nn.AvgPool2d(2),
        torch.nn.Upsample(scale_factor=2),
        torch.nn.Flatten(),
        torch.nn.Dropout(0.3),
        torch.nn.ModuleDict({"a": torch.nn.Linear(4, 2)}),
        torch.nn.ModuleList([torch.nn.Identity()]),
        torch.nn.ParameterList([torch.nn.Parameter(torch.ones(2))]),
    )
    assert_equal(reread(model).root, model)


def test_a_module_within_a_checkpoint_is_found(reread):
    model = torch.nn.Sequential(torch.nn.Linear(2, 2))
    assert_equal(reread({"epoch": 1, "model": model}).root, model)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore:.*weight_norm.*")
def test_the_parts_of_a_normalised_weight_come_back(reread):
    model = torch.nn.utils.weight_norm(torch.nn.Linear(3, 2))
    read = reread(torch.nn.Sequential(model)).root
    ((_, layer),) = read.named_children()
    assert_tensor(layer.weight_g, model.weight_g)
    assert_tensor(layer.weight_v, model.weight_v)
    (hook,) = layer._forward_pre_hooks.values()
    assert (class_name(hook), hook.name, hook.dim) == (
        "torch.nn.utils.weight_norm.WeightNorm",
        "weight",
        0,
    )


def test_sinabs_modules_come_back(reread):
    layers = pytest.importorskip("sinabs.layers")
    activation = pytest.importorskip("sinabs.activation")
    model = torch.nn.Sequential(
        layers.LIF(tau_mem=10.0, tau_syn=5.0, min_v_mem=-1.0, norm_input=False),
        layers.IAF(
            spike_threshold=torch.tensor(0.5),
            spike_fn=activation.SingleSpike,
            reset_fn=activation.MembraneReset(reset_value=0.25),
        ),
        layers.IAFSqueeze(batch_size=2, spike_fn=activation.MaxSpike(3)),
        layers.ExpLeak(tau_mem=7.0),
        layers.LIFRecurrent(tau_mem=10.0, rec_connect=torch.nn.Linear(3, 3)),
        layers.SumPool2d(2),
    )
    root = reread(model).root
    assert_equal(root, model)
    _, iaf, _ = [layer for _, layer in root.named_children()][:3]
    assert class_name(iaf.reset_fn) == "sinabs.activation.reset_mechanism.MembraneReset"
    assert iaf.reset_fn.reset_value == 0.25
    assert iaf.spike_fn.__name__ == "SingleSpike"


def test_spikingjelly_modules_come_back(reread):
    base = pytest.importorskip("spikingjelly.activation_based")
    from spikingjelly.activation_based import layer, neuron, surrogate

    assert base
    model = torch.nn.Sequential(
        layer.Conv2d(1, 2, 3, step_mode="m"),
        neuron.IFNode(v_threshold=0.5, v_reset=None),
        neuron.LIFNode(tau=3.0, decay_input=False, surrogate_function=surrogate.ATan()),
        neuron.ParametricLIFNode(init_tau=4.0, step_mode="m"),
        layer.LinearRecurrentContainer(neuron.LIFNode(), 3, 3),
    )
    root = reread(model).root
    assert_equal(root, model)
    node = dict(root.named_children())["1"]
    assert (node.v_threshold, node.v_reset, node.v) == (0.5, None, model[1].v)


def test_snntorch_modules_come_back(reread):
    snn = pytest.importorskip("snntorch")
    model = torch.nn.Sequential(
        torch.nn.Linear(3, 4),
        snn.Leaky(beta=0.9, threshold=0.7, reset_mechanism="zero", surrogate_disable=True),
        snn.Synaptic(alpha=0.8, beta=torch.full((4,), 0.5), surrogate_disable=True),
        snn.RLeaky(beta=0.9, linear_features=4, learn_threshold=True, surrogate_disable=True),
    )
    root = reread(model).root
    assert_equal(root, model)
    leaky = dict(root.named_children())["1"]
    assert class_name(leaky) == "snntorch._neurons.leaky.Leaky"
    assert (leaky._reset_mechanism, leaky.reset_delay) == ("zero", True)
    assert leaky.spike_grad.__name__ == "_surrogate_bypass"


@pytest.mark.parametrize("framework", ["snntorch", "sinabs", "spikingjelly"])
def test_state_dicts_of_all_frameworks_come_back(reread, framework):
    pytest.importorskip(framework)
    if framework == "snntorch":
        import snntorch

        model = snntorch.RSynaptic(alpha=0.8, beta=0.9, linear_features=4)
    elif framework == "sinabs":
        import sinabs.layers

        model = sinabs.layers.LIFRecurrent(tau_mem=5.0, rec_connect=torch.nn.Linear(2, 2))
    else:
        from spikingjelly.activation_based import neuron

        model = torch.nn.Sequential(torch.nn.Linear(2, 2), neuron.ParametricLIFNode())
    tensors = reread(model.state_dict()).tensors
    assert list(tensors) == list(model.state_dict())
    for name, tensor in model.state_dict().items():
        assert_tensor(tensors[name], tensor)


@pytest.mark.shared
@pytest.mark.parametrize(
    "name",
    [
        "sinabs/mnist_params.pt",
        "nir-paper/model_noDelay_bias_ref_zero.pt",
        "nir-paper/model_noDelay_noBias_ref_subtract.pt",
    ],
)
def test_published_files_are_read_as_torch_reads_them(shared_data, name):
    path = shared_data / name
    read = read_torch_file(path.read_bytes(), path.name)
    expected = torch.load(path, map_location="cpu", weights_only=True)
    assert isinstance(read, StateDict)
    assert list(read.tensors) == list(expected)
    for key, tensor in expected.items():
        assert_tensor(read.tensors[key], tensor)


def test_a_module_is_read_where_there_is_no_torch(tmp_path):
    path = tmp_path / "model.pt"
    torch.save(torch.nn.Sequential(torch.nn.Linear(2, 3)), path)
    script = (
        "import sys; from pathlib import Path; sys.modules['torch'] = None\n"
        "from snn_deploy.frontends.torch_file import read_torch_file\n"
        f"root = read_torch_file(Path({str(path)!r}).read_bytes(), 'model.pt').root\n"
        "print([(name, layer.weight.shape) for name, layer in root.named_children()])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[('0', (3, 2))]\n"


# safetensors


def safetensors(header: object, body: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def test_safetensors_files_come_back():
    library = pytest.importorskip("safetensors.torch")
    names = {v: k for k, v in KINDS.items()}
    dtypes = [dtype for dtype in DTYPES if str(dtype).removeprefix("torch.") in names]
    tensors = {str(dtype): (torch.arange(6) % 2).to(dtype).view(2, 3) for dtype in dtypes}
    tensors["scalar"], tensors["none"] = torch.tensor(2.5), torch.zeros(0, 3)
    read = read_torch_file(library.save(tensors, {"made": "here"}), "model.safetensors")
    assert isinstance(read, StateDict)
    assert dict(read.extras) == {"made": "here"}
    assert set(read.tensors) == set(tensors)
    for name, tensor in tensors.items():
        assert_tensor(read.tensors[name], tensor)


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("header", "body", "what"),
    [
        ({"x": 1}, b"", "a tensor without dtype, shape and data_offsets"),
        (
            {"x": ENTRY},
            b"\0" * 4,
            "a tensor that does not follow the one before, or the file's end",
        ),
        ({"x": ENTRY}, b"\0" * 9, "1 bytes behind the last tensor"),
        ({"x": ENTRY, "y": ENTRY}, b"\0" * 8, "a tensor that does not follow the one before, or "),
        ({"x": {**ENTRY, "shape": [3]}}, b"\0" * 8, "8 bytes for float32 values of shape (3,)"),
        ({"x": {**ENTRY, "shape": [-2]}}, b"\0" * 8, "a size, stride or offset that is none"),
        ({"x": {**ENTRY, "shape": [True]}}, b"\0" * 8, "a size, stride or offset that is none"),
        (
            {"x": {**ENTRY, "shape": [2**62] * 4}},
            b"\0" * 8,
            "a size, stride or offset that is none",
        ),
        ({"x": {**ENTRY, "data_offsets": [8, 0]}}, b"\0" * 8, "a tensor that does not follow"),
        ({"x": {**ENTRY, "dtype": "F8_E4M3"}}, b"\0" * 8, "numbers of type F8_E4M3 are not read"),
        (
            {"x": {**ENTRY, "dtype": "BOOL", "shape": [8]}},
            b"\2" * 8,
            "a truth value that is neither",
        ),
        ({"__metadata__": {"a": 1}}, b"", "remarks that are no texts"),
    ],
)
def test_a_wrong_safetensors_header_is_refused(header, body, what):
    assert what in complaint(safetensors(header, body))


@pytest.mark.parametrize(
    "text",
    [b"{" * 50_000, b'{"a": 1, "a": 2}', "{ }".encode("utf-16-le"), b'{"a": ' + b"9" * 9999 + b"}"],
)
def test_a_safetensors_header_that_is_no_json_is_refused(text):
    content = len(text).to_bytes(8, "little") + text
    assert "a header that is no JSON, or has a name twice" in complaint(content)


def test_a_safetensors_header_is_a_table():
    with pytest.raises(FileDamagedError, match="a header that is no table of tensors"):
        read_safetensors(safetensors([1]), "model.safetensors")


# What is something else


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_torchscript_archive_is_refused_with_the_way_out():
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 3)), file)
    assert archive_kind(file.getvalue()) is ArchiveKind.SCRIPT
    assert complaint(file.getvalue()) == (
        "error[SNN202]: the file is a TorchScript archive\n"
        "  at: model.pt\n"
        "  fix: export the model to ONNX, or save the state dict: "
        "torch.save(model.state_dict(), 'model.pt')"
    )


@pytest.mark.filterwarnings("ignore")
def test_an_archive_of_torch_export_is_known():
    file = io.BytesIO()
    torch.export.save(torch.export.export(torch.nn.Linear(2, 3), (torch.ones(1, 2),)), file)
    assert archive_kind(file.getvalue()) is ArchiveKind.EXPORTED
    assert complaint(file.getvalue()) == (
        "error[SNN202]: the file is an archive of torch.export\n"
        "  at: model.pt\n"
        "  fix: name it model.pt2: such archives are read by that name"
    )


def numpy_archive() -> bytes:
    file = io.BytesIO()
    np.savez(file, x=np.ones(2))
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", ArchiveKind.UNKNOWN),
        (b"hello", ArchiveKind.UNKNOWN),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 99, ArchiveKind.UNKNOWN),
        (b"PK\x05\x06" + b"\0" * 18, ArchiveKind.UNKNOWN),
        (b"\0" * 257 + b"ustar" + b"\0" * 250, ArchiveKind.TAR),
        (b"\x80\x04}.", ArchiveKind.PICKLE),
        (numpy_archive(), ArchiveKind.NUMPY),
        (safetensors({}), ArchiveKind.SAFETENSORS),
    ],
)
def test_the_kind_of_a_file_is_known_by_its_start(content, kind):
    assert archive_kind(content) is kind


def test_a_plain_pickle_is_refused_with_the_way_out():
    assert complaint(b"\x80\x04}.") == (
        "error[SNN202]: the file is a plain pickle\n"
        "  at: model.pt\n"
        "  fix: save the state dict: torch.save(model.state_dict(), 'model.pt')"
    )


def test_what_is_no_file_of_torch_is_refused_with_the_way_out():
    assert complaint(b"no model") == (
        "error[SNN202]: the file is neither of torch nor a safetensors file\n"
        "  at: model.pt\n"
        "  fix: give a file of torch.save or of safetensors, or a .nir or .onnx file"
    )


@pytest.mark.parametrize(
    ("saved", "what"),
    [
        (torch.ones(3), "the file holds a single tensor, neither a module nor a state dict"),
        ([torch.ones(3)], "the file holds a list, neither a module nor a state dict"),
        (torch.float32, "the file holds a Reference, neither a module nor a state dict"),
        ({"epoch": 1, "lr": 0.1}, "the file holds a dict of epoch, lr, but no tensor"),
        ({}, "the file holds a dict, but no tensor"),
        (torch.device("cpu"), "the file holds a torch.device, neither a module nor a state dict"),
    ],
    ids=["tensor", "list", "dtype", "numbers", "nothing", "device"],
)
def test_a_file_without_a_model_is_refused_with_the_way_out(saved, what):
    assert complaint(zipped(saved)) == (
        f"error[SNN203]: {what}\n"
        "  at: model.pt\n"
        "  fix: save the state dict: torch.save(model.state_dict(), 'model.pt')"
    )


def test_numbers_that_we_do_not_read_are_named():
    with pytest.raises(UnknownNodeError) as caught:
        read_torch_file(zipped({"x": torch.zeros(3, dtype=torch.float8_e4m3fn)}), "model.pt")
    assert str(caught.value) == (
        "error[SNN203]: numbers of type float8_e4m3fn are not read\n"
        "  at: model.pt: data.pkl, byte 190\n"
        "  fix: convert them with tensor.float() before they are saved"
    )


def test_a_file_that_is_cut_off_is_refused():
    content = zipped(torch.nn.Linear(3, 2).state_dict())
    assert complaint(content[:-30]) == (
        "error[SNN202]: a zip archive that is truncated or damaged\n"
        "  at: model.pt\n"
        "  fix: copy or download the file again, or save its state dict again with torch.save"
    )


def test_a_weight_that_was_changed_on_the_way_is_noticed():
    content = bytearray(zipped({"x": torch.full((100,), 3.0)}))
    content[content.index(torch.full((100,), 3.0).numpy().tobytes()) + 42] ^= 1
    assert complaint(bytes(content)) == (
        "error[SNN202]: a record whose checksum does not fit its bytes\n"
        "  at: model.pt: data/0\n"
        "  fix: copy or download the file again; where it was saved after "
        "torch.serialization.set_crc32_options(False), save it again without"
    )


def test_a_file_saved_without_checksums_can_be_saved_again_with_them():
    tensors = {"x": torch.ones(5)}
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        content = zipped(tensors)
    finally:
        torch.serialization.set_crc32_options(before)
    with pytest.raises(FileDamagedError):
        read_torch_file(content, "model.pt")
    again = torch.load(io.BytesIO(content), weights_only=True)
    assert_tensor(read_torch_file(zipped(again), "model.pt").tensors["x"], tensors["x"])


def test_two_tensors_of_one_name_are_refused():
    one = torch.ones(1)
    assert "two tensors of the name 'a.b'" in complaint(zipped({"a.b": one, "a": {"b": one}}))


def test_a_checkpoint_with_the_weights_twice_is_refused():
    module = torch.nn.Linear(2, 2)
    content = zipped({"model": module.state_dict(), "ema": module.state_dict(), "epoch": 3})
    with pytest.raises(UnknownNodeError) as caught:
        read_torch_file(content, "last.ckpt")
    assert str(caught.value) == (
        "error[SNN203]: the checkpoint has the weights of this network twice: 'model' and 'ema'\n"
        "  at: last.ckpt\n"
        "  fix: torch.save(checkpoint['model'], ...), or the other one"
    )
