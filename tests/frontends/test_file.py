"""NIR files: what is written is what is read, and damaged or hostile ones give one error."""

import contextlib
import io
import json
import os
import struct
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_deploy.errors import (
    DeployError,
    FileDamagedError,
    FileMissingError,
    GraphError,
    ModelError,
    NotFiniteError,
    OptionError,
)
from snn_deploy.frontends import Overrides, files, load, write_nir
from snn_deploy.frontends.hdf5 import reader as hdf5_reader
from snn_deploy.frontends.layers import Cell, LayerGraph, Linear
from snn_deploy.frontends.nir import file as nir_file
from snn_deploy.frontends.nir.nodes import digest
from snn_deploy.frontends.to_nir import to_nir
from snn_deploy.ir.codecs import Encode, Encoding, EncodingChanges
from snn_deploy.ir.findings import Kind
from snn_deploy.ir.network import Reset
from snn_deploy.ir.neuron import Decode, ResetKind
from snn_deploy.ir.sizes import higher


@pytest.fixture
def small(build, port, out, integrate):
    """Return a graph of one dense layer."""
    return build(
        {
            "input": port(2),
            "fc": nir.Affine(weight=np.eye(2, dtype=np.float32), bias=np.zeros(2, np.int8)),
            "n": integrate(2),
            "output": out(2),
        },
        "input fc n output",
    )


@pytest.fixture
def broken(small, tmp_path):
    """Return a function that writes the small graph, lets `change` spoil it, and reads it."""

    def spoil(change) -> str:
        path = tmp_path / "model.nir"
        path.write_bytes(nir_file.write_graph(small))
        with h5py.File(path, "r+") as file:
            change(file["node"])
        with pytest.raises(ModelError) as caught:
            load(path)
        return str(caught.value)

    return spoil


def replace_dataset(group, name, **options):
    if name in group:
        del group[name]
    group.create_dataset(name, **options)


def test_every_node_type_survives_writing_and_reading(build, port, out):
    two = np.array([2, 2])
    conv = {"input_shape": None, "stride": 1, "dilation": 1, "groups": 1}
    ones = np.ones(2)
    nodes = {
        "input": port(1, 2, 2),
        "conv": nir.Conv2d(weight=np.ones((1, 1, 1, 1)), bias=np.zeros(1), padding="same", **conv),
        "sum": nir.SumPool2d(kernel_size=two // 2, stride=two // 2, padding=two * 0),
        "avg": nir.AvgPool2d(kernel_size=two, stride=two, padding=two * 0),
        "flat": nir.Flatten(input_type=None, start_dim=0),
        "fc": nir.Affine(weight=np.ones((2, 1), np.float16), bias=np.zeros(2)),
        "lin": nir.Linear(weight=np.eye(2, dtype=np.int32)),
        "scale": nir.Scale(scale=ones),
        "delay": nir.Delay(delay=ones * 0),
        "threshold": nir.Threshold(threshold=ones),
        "if": nir.IF(r=ones, v_threshold=ones),
        "lif": nir.LIF(tau=ones, r=ones, v_leak=ones, v_threshold=ones),
        "cubalif": nir.CubaLIF(
            tau_syn=ones, tau_mem=ones, r=ones, v_leak=ones, v_threshold=ones, w_in=ones
        ),
        "i": nir.I(r=ones),
        "li": nir.LI(tau=ones, r=ones, v_leak=ones),
        "cubali": nir.CubaLI(tau_syn=ones, tau_mem=ones, r=ones, v_leak=ones),
        "o1": out(2),
        "o2": out(2),
        "o3": out(2),
    }
    graph = build(
        nodes,
        "input conv sum avg flat fc lin scale delay threshold if lif cubalif li o1",
        "cubalif i o2",
        "cubalif cubali o3",
    )
    first = load(graph, dialect="nir", overrides=Overrides(dt=0.5))
    again = load(first.nir_bytes)
    assert again.nir_bytes == first.nir_bytes
    assert again.findings == ()
    assert str(again.network) == str(first.network)
    assert again.graph.nodes["lin"].weight.dtype == np.int32
    assert again.graph.nodes["fc"].weight.dtype == np.float16
    by_nir = nir.read(io.BytesIO(first.nir_bytes))
    assert digest(by_nir) == digest(again.graph)


def test_a_file_that_nir_wrote_is_read(small, tmp_path):
    path = tmp_path / "by_nir.nir"
    nir.write(path, small)
    imported = load(path, dialect="nir")
    assert imported.network.name == "by_nir"
    assert digest(imported.graph) == digest(load(small, dialect="nir").graph)
    assert load(str(path), dialect="nir").nir_bytes == imported.nir_bytes


def test_a_grouped_convolution_that_nir_refuses_is_read(build, port, tmp_path):
    conv = nir.Conv2d(
        input_shape=(4, 4),
        weight=np.ones((2, 1, 3, 3)),
        stride=1,
        padding=0,
        dilation=1,
        groups=2,
        bias=np.zeros(2),
    )
    graph = build(
        {"input": port(2, 4, 4), "conv": conv, "output": nir.Output(np.array([2, 2, 2]))},
        "input conv output",
    )
    path = tmp_path / "depthwise.nir"
    nir.write(path, graph)
    with pytest.raises(ValueError, match="type mismatch"):
        nir.read(path)
    assert load(path, dialect="nir").network.population("output").shape == (2, 2, 2)


def test_metadata_of_others_stays(small):
    small.metadata = {"author": "me", "inner": {"rate": np.array([1.0, 2.0])}, "tags": ["a", "b"]}
    small.nodes["fc"].metadata = {"note": "x"}
    again = load(load(small).nir_bytes)
    assert again.graph.metadata["author"] == "me"
    assert again.graph.metadata["inner"]["rate"].tolist() == [1.0, 2.0]
    assert again.graph.metadata["tags"] == ["a", "b"]
    assert again.graph.nodes["fc"].metadata == {"note": "x"}


def test_our_metadata_is_a_text(small):
    small.metadata = {"snn_deploy": np.array([1.0])}
    with pytest.raises(FileDamagedError) as caught:
        load(small)
    assert str(caught.value) == (
        "error[SNN202]: our metadata is not a text\n  at: graph: metadata 'snn_deploy'"
    )


def test_a_file_beyond_the_limit_is_not_opened(small, tmp_path, monkeypatch):
    path = tmp_path / "model.nir"
    path.write_bytes(nir_file.write_graph(small))
    monkeypatch.setattr(files, "LARGEST_FILE", 100)
    with pytest.raises(FileDamagedError) as caught:
        load(path)
    assert str(caught.value) == (
        f"error[SNN202]: the file has {path.stat().st_size} bytes; at most 100 are read\n"
        f"  at: model.nir\n  fix: {higher(path.stat().st_size, 100)}"
    )


def test_everything_an_override_states_is_kept_in_the_file(small):
    encoding = Encoding(how=Encode.RATE, steps=16, seed=3, low=-1, high=4, unit=0.25)
    changes = EncodingChanges(how=Encode.RATE, steps=16, seed=3, low=-1, high=4, unit=0.25)
    overrides = Overrides(dt=1e-3, decode=Decode.FIRST_SPIKE, encoding=changes, floor=-2.0)
    first = load(small, dialect="sinabs", overrides=Overrides(encoding=changes))
    assert first.encoding == load(first.nir_bytes).encoding == encoding
    second = load(load(small, dialect="norse", overrides=overrides).nir_bytes)
    assert second.network.outputs[0].decode is Decode.FIRST_SPIKE
    assert second.network.dt == 1e-3
    assert second.network.populations[0].floor.value == -2


def test_a_dialect_is_not_used_where_the_metadata_speaks(small):
    again = load(load(small, dialect="norse").nir_bytes, dialect="sinabs")
    assert [str(f) for f in again.findings] == [
        "changed    (network): --dialect sinabs is not used; the file's own metadata says how its "
        "neurons compute"
    ]
    assert again.network.populations[0].max_spikes == 1


def test_a_file_whose_weights_were_changed_later_is_noticed(small, tmp_path):
    path = tmp_path / "edited.nir"
    path.write_bytes(load(small, dialect="norse").nir_bytes)
    with h5py.File(path, "r+") as file:
        file["node/nodes/fc/weight"][0, 0] = 2
    edited = load(path)
    assert [str(f) for f in edited.findings if f.kind is Kind.GUESSED] == [
        "guessed    (network): its metadata belongs to other weights or edges; the file was "
        "changed after it was written; write it again to say it still holds"
    ]
    assert load(edited.nir_bytes).findings == ()


def test_writing_by_hand_is_what_loading_writes(small):
    imported = load(small, dialect="norse")
    assert write_nir(imported.graph, imported.annotation) == imported.nir_bytes


def told(path):
    with pytest.raises(FileMissingError) as caught:
        load(path)
    return str(caught.value)


def test_a_missing_file_is_named_with_the_folder_and_the_nearest_name(tmp_path, monkeypatch):
    (tmp_path / "network.nir").write_bytes(b"")
    assert told(tmp_path / "none.nir") == (
        f"error[SNN201]: there is no such model file in '{tmp_path}'\n"
        f"  at: {tmp_path / 'none.nir'}\n"
        "  fix: give the path of a file"
    )
    monkeypatch.chdir(tmp_path)
    assert told("netwrok.nir") == (
        f"error[SNN201]: there is no such model file in '{tmp_path}'\n"
        "  at: netwrok.nir\n"
        "  fix: is 'network.nir' meant?"
    )
    assert told("models/network.nir") == (
        "error[SNN201]: there is no such model file: there is no folder "
        f"'{tmp_path / 'models'}'\n"
        "  at: models/network.nir\n"
        "  fix: give the path of a file"
    )


def test_a_folder_is_no_model_and_is_told_one_that_is_in_it(tmp_path):
    assert told(tmp_path) == (
        "error[SNN201]: a model is a file, and this is a folder\n"
        f"  at: {tmp_path}\n"
        "  fix: give the path of a file"
    )
    (tmp_path / "notes.txt").write_bytes(b"")
    (tmp_path / "network.PT").write_bytes(b"")
    assert told(tmp_path) == (
        "error[SNN201]: a model is a file, and this is a folder\n"
        f"  at: {tmp_path}\n"
        f"  fix: such as '{tmp_path / 'network.PT'}'"
    )


def test_a_name_that_no_file_can_have_is_refused():
    assert told("x" * 300).startswith("error[SNN201]: ")
    assert told("net\0.nir").startswith("error[SNN201]: ")


def test_something_that_is_no_model_is_refused():
    with pytest.raises(OptionError) as caught:
        load(3)
    assert str(caught.value) == (
        "error[SNN102]: no model can be read from an object of type int\n"
        "  fix: give a path, a nir.NIRGraph, a LayerGraph, or a torch module of known layers"
    )


@pytest.mark.parametrize("content", [b"", b"not HDF5", b"\x89HDF\r\n\x1a\n" + bytes(90)])
def test_what_is_not_hdf5_is_refused(tmp_path, content):
    path = tmp_path / "model.nir"
    path.write_bytes(content)
    with pytest.raises(FileDamagedError) as caught:
        load(path)
    assert str(caught.value) == (
        "error[SNN202]: the file is not HDF5, or it is truncated or damaged\n"
        "  at: model.nir\n"
        "  fix: copy or download it again; NIR files are written by nir.write"
    )


def test_hdf5_that_is_not_nir_is_refused(tmp_path):
    path = tmp_path / "model.nir"
    with h5py.File(path, "w") as file:
        file["x"] = 1
    with pytest.raises(FileDamagedError) as caught:
        load(path)
    assert str(caught.value) == (
        "error[SNN202]: an HDF5 file, but not a NIR graph\n  at: model.nir"
    )


def test_a_file_of_a_single_node_is_refused(tmp_path):
    path = tmp_path / "model.nir"
    nir.write(path, nir.Linear(weight=np.eye(2)))
    with pytest.raises(FileDamagedError) as caught:
        load(path)
    assert str(caught.value) == (
        "error[SNN202]: the file holds a single Linear node, not a graph\n  at: model.nir"
    )


def set_text(group, name, text):
    replace_dataset(group, name, data=text, dtype=h5py.string_dtype())


SPOILED = {
    "unknown type": (
        lambda node: set_text(node["nodes/fc"], "type", "Afine"),
        "error[SNN203]: node type 'Afine' is not one of NIR's that we read\n"
        "  at: model.nir: fc\n"
        "  fix: is 'Affine' meant?",
    ),
    "foreign type": (
        lambda node: set_text(node["nodes/fc"], "type", "Quux"),
        "error[SNN203]: node type 'Quux' is not one of NIR's that we read\n"
        "  at: model.nir: fc\n"
        "  fix: known are Input, Output, Affine, Linear, Scale, Conv1d, Conv2d, SumPool2d, "
        "AvgPool2d, Flatten, Delay, Threshold, I, IF, LI, LIF, CubaLI, CubaLIF, NIRGraph",
    ),
    "no type": (
        lambda node: node["nodes/fc"].pop("type"),
        "error[SNN202]: a node without a type\n  at: model.nir: fc",
    ),
    "unknown field": (
        lambda node: node["nodes/fc"].create_dataset("wieght", data=1.0),
        "error[SNN203]: a Affine node has no field 'wieght'\n"
        "  at: model.nir: fc\n"
        "  fix: is 'weight' meant?",
    ),
    "missing field": (
        lambda node: node["nodes/fc"].pop("bias"),
        "error[SNN202]: a Affine node lacks its field 'bias'\n"
        "  at: model.nir: fc\n"
        "  fix: write the file again with nir 1.0 or newer",
    ),
    "NaN": (
        lambda node: node["nodes/fc/weight"].write_direct(
            np.array([[1, 0], [np.nan, np.inf]], np.float32)
        ),
        "error[SNN205]: 2 of 4 values are NaN or infinite\n"
        "  at: model.nir: fc.weight[1, 0], first of 2\n"
        "  fix: train again, or repair the file: no chip stores NaN",
    ),
    "complex numbers": (
        lambda node: replace_dataset(node["nodes/fc"], "weight", data=np.eye(2) * 1j),
        "error[SNN202]: complex128 is no type of number\n  at: model.nir: fc.weight",
    ),
    "text for numbers": (
        lambda node: set_text(node["nodes/fc"], "weight", "heavy"),
        "error[SNN202]: 'heavy' where real numbers belong\n  at: model.nir: fc.weight",
    ),
    "a group for numbers": (
        lambda node: (node["nodes/fc"].pop("weight"), node["nodes/fc"].create_group("weight")),
        "error[SNN202]: 'weight' is a group where a number belongs\n  at: model.nir: fc",
    ),
    "a weight of one axis": (
        lambda node: replace_dataset(node["nodes/fc"], "weight", data=np.ones(2)),
        "error[SNN204]: a weight of shape (2,) where (..., out, in) belongs\n"
        "  at: model.nir: fc.weight",
    ),
    "parameters that differ": (
        lambda node: replace_dataset(node["nodes/n"], "r", data=np.ones(3)),
        "error[SNN204]: the parameters differ in shape: r (3,), v_threshold (2,), v_reset (2,)\n"
        "  at: model.nir: n",
    ),
    "half a size": (
        lambda node: replace_dataset(node["nodes/input"], "shape", data=[2.5]),
        "error[SNN204]: [2.5] where whole numbers belong\n  at: model.nir: input.shape",
    ),
    "no size": (
        lambda node: replace_dataset(node["nodes/input"], "shape", data=[0]),
        "error[SNN204]: shape [0], but every axis has at least one value\n"
        "  at: model.nir: input.shape",
    ),
    "a size beyond 32 bits": (
        lambda node: replace_dataset(node["nodes/input"], "shape", data=[2**40]),
        "error[SNN204]: [1099511627776] exceeds 2147483647\n  at: model.nir: input.shape",
    ),
    "a weight that does not fit": (
        lambda node: replace_dataset(node["nodes/fc"], "weight", data=np.ones((2, 3))),
        "error[SNN204]: input gives 2 values (2,), but fc reads 3 (3,)\n  at: input -> fc",
    ),
    "a soft link": (
        lambda node: node["nodes/fc"].__setitem__("bias2", h5py.SoftLink("/node")),
        "error[SNN202]: 'bias2' is a link that leads elsewhere, which NIR files never have\n"
        "  at: model.nir: fc",
    ),
    "an external link": (
        lambda node: node["nodes"].__setitem__("x", h5py.ExternalLink("/etc/passwd", "/")),
        "error[SNN202]: 'x' is a link that leads elsewhere, which NIR files never have\n"
        "  at: model.nir: x",
    ),
    "values in another file": (
        lambda node: replace_dataset(
            node["nodes/fc"],
            "weight",
            shape=(2, 2),
            dtype="f4",
            external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)],
        ),
        "error[SNN202]: its values are kept in another file\n  at: model.nir: fc.weight",
    ),
    "arrays larger than memory": (
        lambda node: replace_dataset(
            node["nodes/fc"], "weight", shape=(2**20, 2**20), dtype="f4", chunks=(1, 1)
        ),
        "error[SNN202]: its arrays take more than 16777216 bytes\n  at: model.nir: fc.weight\n"
        "  fix: SNN_DEPLOY_LIMITS=1024 is the most that limits are raised by: make it smaller",
    ),
    "edges of numbers": (
        lambda node: replace_dataset(node, "edges", data=np.ones((3, 2))),
        "error[SNN202]: edges are float64 of shape (3, 2); they must be at most 1000000 pairs of "
        "names\n  at: model.nir",
    ),
    "no edges": (
        lambda node: node.pop("edges"),
        "error[SNN202]: a graph without edges\n  at: model.nir",
    ),
    "no nodes": (
        lambda node: node.pop("nodes"),
        "error[SNN202]: a graph without nodes\n  at: model.nir",
    ),
    "a dataset for a node": (
        lambda node: node["nodes"].create_dataset("x", data=1),
        "error[SNN202]: a dataset where a node belongs\n  at: model.nir: x",
    ),
    "a field of the graph": (
        lambda node: node.create_dataset("colour", data=1),
        "error[SNN203]: a NIRGraph node has no field 'colour'\n"
        "  at: model.nir\n"
        "  fix: known are nodes, edges",
    ),
    "an edge to nowhere": (
        lambda node: set_edges(node, ("input", "fc"), ("fc", "m"), ("m", "k")),
        "error[SNN206]: an edge names 'k', but there is no such node\n"
        "  at: the graph\n"
        "  fix: known are fc, input, n, output",
    ),
    "an edge twice": (
        lambda node: set_edges(node, ("input", "fc"), ("fc", "n"), ("fc", "n"), ("n", "output")),
        "error[SNN206]: an edge stands twice\n  at: fc -> n\n  fix: double the weight instead",
    ),
    "a name that does not print": (
        lambda node: node["nodes"].move("fc", "fc\n"),
        "error[SNN206]: the node name 'fc\\n' cannot be used\n"
        "  at: model.nir\n"
        "  fix: name nodes with 1 to 200 printable characters other than '/'",
    ),
    "several texts for one": (
        lambda node: replace_dataset(
            node["nodes/fc"], "type", data=["Affine"] * 2, dtype=h5py.string_dtype()
        ),
        "error[SNN202]: text of shape (2,)\n  at: model.nir: fc.type",
    ),
    "nothing at all for numbers": (
        lambda node: replace_dataset(node["nodes/fc"], "weight", data=h5py.Empty("f4")),
        "error[SNN202]: an empty dataset without a shape\n  at: model.nir: fc.weight",
    ),
    "numbers wider than any": (
        lambda node: replace_dataset(node["nodes/fc"], "weight", data=np.eye(2, dtype="g")),
        "error[SNN202]: float128 where real numbers of at most 64 bits belong\n"
        "  at: model.nir: fc.weight",
    ),
    "a shape of two axes": (
        lambda node: replace_dataset(node["nodes/input"], "shape", data=[[2]]),
        "error[SNN202]: int64 of shape (1, 1) where whole numbers belong\n"
        "  at: model.nir: input.shape",
    ),
    "an empty list of edges": (
        lambda node: replace_dataset(node, "edges", shape=(0, 2), dtype=h5py.string_dtype()),
        "error[SNN206]: no input reaches this node, so its shape is not known\n"
        "  at: output\n"
        "  fix: join it to an Input, or take it out",
    ),
    "a graph within itself": (
        lambda node: node["nodes"].__setitem__("self", node),
        "error[SNN202]: more than 32 graphs within graphs\n  at: model.nir: "
        + ".".join(["self"] * 32),
    ),
}


def set_edges(node, *edges):
    replace_dataset(node, "edges", data=np.array(edges, object), dtype=h5py.string_dtype())


@pytest.mark.parametrize("fault", SPOILED)
def test_a_spoiled_file_gives_one_error_that_says_where(broken, fault):
    change, message = SPOILED[fault]
    assert broken(change) == message


@pytest.mark.parametrize(
    ("home", "limit", "most", "said"),
    [
        (hdf5_reader, "LARGEST_FILE", 100, "the file has {} bytes; at most 100 are read"),
        (hdf5_reader, "MOST_MEMBERS", 3, "a group of 4 members; at most 3 are read"),
        (nir_file, "MOST_NODES", 4, "more than 4 nodes"),
    ],
)
def test_a_file_of_more_than_any_network_has_is_refused(
    small, monkeypatch, home, limit, most, said
):
    image = nir_file.write_graph(small)
    monkeypatch.setattr(home, limit, most)
    with pytest.raises(FileDamagedError) as caught:
        load(image)
    assert caught.value.message == said.format(len(image))


def test_metadata_of_others_is_read_to_a_depth_only(small):
    deep: dict[str, object] = {"number": 1.0}
    for _ in range(40):
        deep = {"more": deep}
    small.metadata = deep
    with pytest.raises(FileDamagedError) as caught:
        load(nir_file.write_graph(small))
    assert caught.value.message == f"metadata more than {nir_file.DEEPEST} deep"


def test_metadata_that_no_file_can_hold_is_refused(small):
    small.metadata = {"time": np.datetime64("2026-01-01")}
    with pytest.raises(GraphError) as caught:
        nir_file.write_graph(small)
    assert caught.value.message == "metadata 'time' is neither text nor numbers"


def test_a_reset_that_an_older_file_has_not_is_zero(small, tmp_path):
    path = tmp_path / "model.nir"
    path.write_bytes(nir_file.write_graph(small))
    with h5py.File(path, "r+") as file:
        del file["node/nodes/n/v_reset"]
    assert load(path).nir_bytes == load(small).nir_bytes


def test_a_node_of_a_class_of_ones_own_is_refused(small):
    class Mine(nir.Linear):
        pass

    small.nodes["fc"] = Mine(weight=np.eye(2))
    with pytest.raises(ModelError) as caught:
        load(small)
    assert caught.value.message == "node type 'Mine' is not one of NIR's that we read"


def test_a_digest_is_also_of_what_inner_graphs_hold(small, build):
    outer = build({"inner": small})
    before = digest(outer)
    assert digest(outer) == before
    small.nodes["fc"].weight = 2 * small.nodes["fc"].weight
    assert digest(outer) != before


def test_a_filter_that_would_load_a_plug_in_is_refused(small, tmp_path):
    path = tmp_path / "model.nir"
    path.write_bytes(nir_file.write_graph(small))
    with h5py.File(path, "r+") as file:
        group = file["node/nodes/fc"]
        del group["weight"]
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((2, 2))
        plist.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((2, 2))
        h5py.h5d.create(group.id, b"weight", h5py.h5t.NATIVE_FLOAT, space, dcpl=plist)
    with pytest.raises(FileDamagedError) as caught:
        load(path)
    assert str(caught.value) == (
        "error[SNN202]: HDF5 filter 32015 is not a standard one\n  at: model.nir: fc.weight"
    )


def metadata_text(imported, **changes):
    record = json.loads(imported.graph.metadata["snn_deploy"])
    return json.dumps(record | changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 99}, "our metadata is of schema 99, but this version reads 1"),
        ({"dt": -1.0}, "our metadata holds a number out of range"),
        ({"dt": "long"}, "our metadata is damaged: Expected `float`, got `str` - at `$.dt`"),
        (
            {"colour": 1},
            "our metadata is damaged: Object contains unknown field `colour`",
        ),
        (
            {"unit": "hour"},
            "our metadata is damaged: Invalid enum value 'hour' - at `$.unit`",
        ),
    ],
)
def test_damaged_metadata_of_ours_is_refused(small, change, message):
    small.metadata = {"snn_deploy": metadata_text(load(small), **change)}
    with pytest.raises(FileDamagedError) as caught:
        load(small)
    lines = str(caught.value).splitlines()
    assert lines[:2] == [f"error[SNN202]: {message}", "  at: graph: metadata 'snn_deploy'"]


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "3"])
def test_metadata_of_ours_that_is_no_json_is_refused(small, text):
    small.metadata = {"snn_deploy": text}
    with pytest.raises(FileDamagedError):
        load(small)


def test_graphs_made_in_memory_are_checked_as_files_are(small, build):
    small.nodes["fc"].weight = np.array([[np.nan, 0], [0, 0]])
    with pytest.raises(NotFiniteError) as caught:
        load(small)
    assert caught.value.where == "fc.weight[0, 0], first of 1"
    small.nodes["fc"].weight = [[1.0], [1.0, 2.0]]
    with pytest.raises(ModelError) as caught:
        load(small)
    assert caught.value.fix == (
        "give numpy arrays; of a torch tensor, tensor.detach().cpu().numpy()"
    )
    with pytest.raises(GraphError):
        load(build({"a/b": nir.Linear(weight=np.eye(2))}))


@settings(max_examples=200)
@given(st.data())
def test_a_file_with_changed_bytes_is_read_or_gives_one_error(build, port, out, integrate, data):
    """No damage of the bytes may raise anything else; nor may it hang."""
    image = bytearray(_image(build, port, out, integrate))
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(image) - 1))
        image[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ModelError):
        load(bytes(image), dialect="nir", overrides=Overrides(dt=1.0))


FUZZ = int(os.environ.get("SNN_DEPLOY_FUZZ", "300"))
"""Damaged files that are read; 5,000 take about two minutes."""


def test_damaged_files_with_stated_neurons_give_numbered_errors_only():
    """Bytes are changed, cut and doubled in the file of a network whose metadata states all."""
    image = _stated_image()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(FUZZ):
        damaged = bytearray(image)
        for place in rng.integers(0, len(image), rng.integers(1, 6)):
            damaged[place] = int(rng.integers(256))
        start, stop = sorted(int(i) for i in rng.integers(0, len(image), 2))
        kind = rng.integers(4)
        if kind == 0:
            damaged = damaged[:start]
        elif kind == 1:
            damaged[start:start] = damaged[start : min(stop, start + 64)]
        try:
            load(bytes(damaged), dialect="nir", overrides=Overrides(dt=1.0))
        except DeployError:
            refused += 1
    assert refused > FUZZ / 4


def _stated_image() -> bytes:
    """Return the file of a small recurrent network of stated neurons."""
    graph = LayerGraph(inputs={"input": (3,)})
    graph.add("fc", Linear(weight=np.eye(4, 3, dtype=np.float32)), "input")
    reset = Reset(kind=ResetKind.SUBTRACT, amount=np.ones(()))
    graph.add("n", Cell(decay=np.full(4, 0.875), reset=reset), "fc")
    graph.feed_back(graph.add("rec", Linear(weight=np.eye(4)), "n"), "n")
    graph.outputs["output"] = "n"
    form = to_nir(graph)
    return write_nir(form.graph, form.annotation)


def _image(build, port, out, integrate):
    graph = build(
        {
            "input": port(2),
            "fc": nir.Linear(weight=np.eye(2, dtype=np.float32)),
            "n": integrate(2),
            "output": out(2),
        },
        "input fc n output",
    )
    return load(graph, dialect="nir", overrides=Overrides(dt=1.0)).nir_bytes


NOT_HDF5 = (
    "error[SNN202]: the file is not HDF5, or it is truncated or damaged\n"
    "  at: model.nir\n"
    "  fix: copy or download it again; NIR files are written by nir.write"
)


@pytest.mark.parametrize(
    "damage",
    [
        (16, bytes(16)),  # a free object of size 0, at which the library stands still for ever
        (24, b"\xff" * 8),  # an object that reaches beyond the file
        (8, b"\xff" * 8),  # a heap that does
    ],
)
def test_a_heap_that_the_library_would_not_get_through_is_refused(small, damage):
    image = bytearray(nir_file.write_graph(small))
    heap = image.find(b"GCOL")
    place, content = damage
    image[heap + place : heap + place + len(content)] = content
    with pytest.raises(FileDamagedError) as caught:
        load(bytes(image))
    assert str(caught.value) == NOT_HDF5


def test_a_text_that_claims_to_be_longer_than_the_file_is_refused(small):
    image = nir_file.write_graph(small)
    heap = image.find(b"GCOL")
    reference = struct.pack("<IQ", len("NIRGraph"), heap)
    assert image.count(reference) == 1
    with pytest.raises(FileDamagedError) as caught:
        load(image.replace(reference, struct.pack("<IQ", 2**31, heap)))
    assert str(caught.value) == NOT_HDF5.replace("model.nir", "model.nir.type")


def test_a_file_of_narrow_addresses_is_refused(small):
    image = bytearray(nir_file.write_graph(small))
    assert image[8] == 2, "superblock of the release 1.8"
    image[9] = 4
    with pytest.raises(FileDamagedError) as caught:
        load(bytes(image))
    assert str(caught.value) == NOT_HDF5


def test_a_name_that_is_no_text_is_refused(small):
    image = nir_file.write_graph(small)
    fields = image.find(b"wei" + b"ght")
    spoiled = image[:fields] + b"\xffeight" + image[fields + 6 :]
    with pytest.raises(FileDamagedError):
        load(spoiled)


def test_nothing_of_the_path_of_a_file_enters_its_bytes(small, tmp_path: Path):
    first, second = tmp_path / "a.nir", tmp_path / "b.nir"
    first.write_bytes(nir_file.write_graph(small))
    second.write_bytes(nir_file.write_graph(small))
    assert load(first).nir_bytes == load(second).nir_bytes
