"""What a pickle asks to call: data where Python makes the same, otherwise only a record of it."""

import collections
import importlib
import io
import struct
import zipfile
from typing import Any

import numpy as np
import pytest

from snn_deploy.errors import FileDamagedError, UnknownNodeError
from snn_deploy.frontends.torch_file import (
    Archive,
    Reference,
    StateDict,
    Stub,
    numbers,
    read_torch_file,
    reading,
    safetensors,
    saved,
    set_state,
    tree,
)
from snn_deploy.frontends.torch_file.calls import DTYPE, Budget, call
from snn_deploy.frontends.torch_file.safetensors import read_safetensors
from snn_deploy.frontends.torch_file.storages import Storage
from snn_deploy.frontends.torch_file.stub import add_items, attributes
from snn_deploy.frontends.torch_file.tree import check_tree

SAME_AS_IN_PYTHON: list[tuple[str, tuple[Any, ...]]] = [
    ("collections.OrderedDict", ()),
    ("collections.OrderedDict", ([("a", 1), ["b", 2]],)),
    ("collections.OrderedDict", ((("a", 1),),)),
    ("collections.OrderedDict", ({"a": 1},)),
    ("builtins.dict", ([],)),
    ("collections.Counter", ({"a": 3},)),
    ("builtins.list", ()),
    ("builtins.list", ((1, 2),)),
    ("builtins.tuple", ([1, 2],)),
    ("builtins.list", ({"a": 1},)),
    ("builtins.set", ()),
    ("builtins.set", ([1, 2, 2],)),
    ("builtins.frozenset", ((1, 2),)),
    ("builtins.bytes", ()),
    ("builtins.bytearray", ()),
    ("builtins.bytes", (b"ab",)),
    ("builtins.bytearray", (b"ab",)),
    ("_codecs.encode", ("\xff", "latin1")),
    ("builtins.bytearray", ("\xff", "latin-1")),
    ("builtins.complex", (1, 2.5)),
]


@pytest.mark.parametrize(("name", "args"), SAME_AS_IN_PYTHON)
def test_a_call_gives_what_python_gives(name, args):
    module, _, kind = name.rpartition(".")
    live = getattr(importlib.import_module(module), kind)(*args)
    made = call(name, args, Budget("data.pkl", 100))
    assert made == live
    assert type(made) in (type(live), dict)


def test_a_deque_is_a_list_and_a_default_dict_a_dict():
    budget = Budget("data.pkl", 100)
    assert call("collections.deque", ([1, 2], 5), budget) == list(collections.deque([1, 2], 5))
    ints = Reference("builtins", "int")
    assert call("collections.defaultdict", (ints, {"a": 1}), budget) == {"a": 1}


FLOATS = Stub(DTYPE, ("f4", False, True))
ODD_CALLS: list[tuple[str, tuple[Any, ...]]] = [
    ("collections.OrderedDict", (1,)),
    ("collections.OrderedDict", ([("a", 1)], [("b", 2)])),
    ("builtins.dict", ([("a", 1, 2)],)),
    ("builtins.dict", (["ab"],)),
    ("builtins.list", ("ab",)),
    ("builtins.tuple", (3,)),
    ("builtins.set", ({1: 2},)),
    ("builtins.frozenset", ("ab",)),
    ("builtins.bytes", (3,)),
    ("_codecs.encode", ("a", "utf-8")),
    ("builtins.complex", ("1", "2")),
    ("builtins.complex", (1,)),
    ("builtins.getattr", ("os", "system")),
    ("torch._utils._rebuild_parameter", (1, True)),
    ("torch._utils._rebuild_parameter", ()),
    ("torch._tensor._rebuild_from_type_v2", (Reference("os", "system"), FLOATS, ("ls",), None)),
    (
        "torch._tensor._rebuild_from_type_v2",
        (Reference("os", "system"), Reference("torch", "Tensor"), ("ls",), None),
    ),
    ("numpy.core.multiarray.scalar", (FLOATS, 1.0)),
    ("numpy.core.multiarray.scalar", (Stub("mine.dtype", ("f4",)), b"1234")),
    ("numpy.core.multiarray.scalar", (Stub(DTYPE, ()), b"1234")),
    ("numpy.core.multiarray.scalar", (Stub(DTYPE, (4,)), b"1234")),
    ("numpy._core.numeric._frombuffer", (b"1234", FLOATS, (1,), "A")),
    ("numpy._core.numeric._frombuffer", (b"1234", "f4", (1,), "C")),
    ("os.system", ("ls",)),
]


@pytest.mark.parametrize(("name", "args"), ODD_CALLS)
def test_a_call_with_other_arguments_is_a_record_of_it(name, args):
    made = call(name, args, Budget("data.pkl", 100))
    assert type(made) is Stub
    assert (made.type_name, made.args) == (name, args)


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_of_bytes_has_the_order_that_it_says(order):
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    args = (values.tobytes(order), FLOATS, (2, 3), order)
    made = call("numpy._core.numeric._frombuffer", args, Budget("data.pkl", 100))
    np.testing.assert_array_equal(made, values)


def test_a_number_of_numpy_is_that_number():
    content = np.float32(1.5).tobytes()
    made = call("numpy._core.multiarray.scalar", (FLOATS, content), Budget("data.pkl", 100))
    assert made == np.float32(1.5)


# ------------------------------------------------------------------ pickles


def archive(body: bytes, *, extra: bytes = b"") -> bytes:
    """Return an archive of torch with a pickle of protocol 4 and four numbers."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as target:
        target.writestr("archive/", b"")
        for name, content in {
            "data.pkl": b"\x80\x04" + body + b".",
            "data/0": np.arange(4, dtype=np.float32).tobytes(),
        }.items():
            entry = zipfile.ZipInfo(f"archive/{name}")
            entry.extra = extra
            target.writestr(entry, content)
    return file.getvalue()


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


def named(module: str, name: str) -> bytes:
    return text(module) + text(name) + b"\x93"


STORAGE = (
    b"(" + text("storage") + named("torch", "FloatStorage") + text("0") + text("cpu") + b"K\x04tQ"
)
TENSOR = (
    named("torch._utils", "_rebuild_tensor_v2")
    + (b"(" + STORAGE + b"K\x00K\x04\x85K\x01\x85\x89}t")
    + b"R"
)


def weights(**more: bytes) -> bytes:
    """Return the pickle of a dict with a tensor, and more."""
    items = {"weight": TENSOR, **more}
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def complaint(content: bytes, kind: type[Exception] = FileDamagedError) -> str:
    with pytest.raises(kind) as caught:
        read_torch_file(content, "model.pt")
    return caught.value.message


def test_members_are_added_to_a_set_and_to_a_record_of_one():
    """The opcode is that of sets of protocol 4."""
    plain = b"\x8f(K\x01K\x02\x90"
    odd = named("mine", "Set") + b")\x81(K\x01K\x02\x90"
    read = read_torch_file(archive(weights(plain=plain, odd=odd)), "model.pt")
    assert isinstance(read, StateDict)
    assert read.extras["plain"] == {1, 2}
    assert read.extras["odd"].type_name == "mine.Set"
    assert complaint(archive(weights(wrong=b"K\x01(K\x02\x90"))) == "members for a int"


@pytest.mark.parametrize(
    ("opcodes", "said"),
    [
        (b"0", "a pickle that takes more than it made"),
        (b"a", "a pickle that takes more than it made"),
        (named("mine", "Kind") + b")K\x01\x92", "arguments that are none"),
        (named("mine", "Kind") + b"K\x01}\x92", "arguments that are none"),
    ],
)
def test_a_pickle_that_no_pickler_writes_is_refused(opcodes, said):
    assert complaint(archive(opcodes)) == said


def test_keywords_of_a_class_are_the_last_of_its_arguments():
    kind = named("mine", "Kind")
    body = weights(
        some=kind + b"K\x01\x85}" + text("a") + b"K\x02s\x92", none=kind + b"K\x01\x85}\x92"
    )
    extras = read_torch_file(archive(body), "model.pt").extras
    assert extras["some"].args == (1, {"a": 2})
    assert extras["none"].args == (1,)


def test_keys_that_are_no_names_and_an_empty_state_dict_are_passed_over():
    body = weights(state_dict=b"}" + text("epoch") + b"K\x03s")
    read = read_torch_file(archive(body + b"K\x07K\x08s"), "model.pt")
    assert isinstance(read, StateDict)
    assert list(read.tensors) == ["weight"]
    assert read.extras == {"state_dict": {"epoch": 3}}


@pytest.mark.parametrize(
    ("home", "limit", "value", "said"),
    [
        (reading, "MOST_TENSORS", 0, "1 tensors; at most 0 are read"),
        (saved, "LARGEST_PICKLE", 9, "the pickle has {} bytes; at most 9 are read"),
    ],
)
def test_a_file_of_more_than_any_network_needs_is_refused(monkeypatch, home, limit, value, said):
    monkeypatch.setattr(home, limit, value)
    body = weights()
    assert complaint(archive(body)) == said.format(len(body) + 3)


def test_modules_with_countless_members_are_refused(monkeypatch):
    parts = [Stub("torch.nn.modules.container.Sequential") for _ in range(4)]
    for part in parts:
        set_state(part, {"_modules": {str(i): Stub("torch.nn.Identity") for i in range(5)}})
    check_tree(parts, "model.pt")
    monkeypatch.setattr(tree, "MOST_VALUES", 14)
    with pytest.raises(FileDamagedError) as caught:
        check_tree(parts, "model.pt")
    assert caught.value.message == "more than 14 members of modules"


def test_a_list_of_storages_that_is_none_is_refused():
    """That of the older format stands behind the pickle."""
    start = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
    begin = b"\x80\x02" + start + b"\x80\x02M\xe9\x03." + b"\x80\x02}."
    root = b"\x80\x02" + weights().replace(text("cpu") + b"K\x04t", text("cpu") + b"K\x04Nt")
    content = begin + root + b"." + b"\x80\x02K\x05." + struct.pack("<Q4f", 4, 0, 1, 2, 3)
    assert complaint(content) == "a list of storages that is none"


def test_bytes_that_are_no_whole_number_of_numbers_are_refused():
    with pytest.raises(FileDamagedError) as caught:
        numbers(memoryview(bytes(7)), "float32", big_endian=False, where="model.pt")
    assert caught.value.message == "7 bytes are no whole number of float32 values"
    with pytest.raises(UnknownNodeError):
        Storage(None).numbers("complex32", "model.pt")


def test_a_state_that_was_no_attributes_gives_way_to_attributes():
    stub = Stub("mine.Kind")
    set_state(stub, 5)
    set_state(stub, {"a": 1})
    set_state(stub, {"b": 2})
    assert attributes(stub) == {"a": 1, "b": 2}
    assert add_items(stub, [("k", 1)])


# --------------------------------------------------------------------- zip files


def test_an_archive_with_wide_numbers_and_extras_of_others_is_read(monkeypatch):
    """Of files beyond 4 GB the sizes stand among the extras; others may stand there before."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)
    foreign = struct.pack("<HH3s", 0x5855, 3, b"abc")
    content = archive(weights(), extra=foreign)
    assert b"\x01\x00\x10\x00" in content
    with zipfile.ZipFile(io.BytesIO(content)) as theirs:
        expected = theirs.read("archive/data/0")
    assert bytes(Archive(content, "model.pt").read("data/0")) == expected
    assert read_torch_file(content, "model.pt").tensors["weight"].tolist() == [0, 1, 2, 3]


def test_a_wide_number_that_is_missing_is_a_damaged_archive():
    content = bytearray(archive(weights(), extra=struct.pack("<HH3s", 0x5855, 3, b"abc")))
    at = content.rindex(b"PK\x01\x02")
    content[at + 24 : at + 28] = b"\xff" * 4
    assert complaint(bytes(content)) == "a zip archive that is truncated or damaged"


# ------------------------------------------------------------------ safetensors


@pytest.mark.parametrize(
    "content", [struct.pack("<Q", 2**40) + b"{}", struct.pack("<Q", 3) + b"{}"]
)
def test_a_safetensors_header_beyond_its_file_is_refused(content):
    with pytest.raises(FileDamagedError) as caught:
        read_safetensors(content, "model.safetensors")
    assert caught.value.message == "a header that is longer than the file, or than any header"


def test_a_safetensors_file_of_countless_tensors_is_refused(monkeypatch):
    monkeypatch.setattr(safetensors, "MOST_TENSORS", 1)
    entry = '{"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}'
    header = f'{{"a": {entry}, "b": {entry}}}'.encode()
    with pytest.raises(FileDamagedError) as caught:
        read_safetensors(struct.pack("<Q", len(header)) + header, "model.safetensors")
    assert caught.value.message == "2 tensors; at most 1 are read"
