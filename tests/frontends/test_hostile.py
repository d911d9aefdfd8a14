"""Hostile and damaged files of torch: nothing runs, nothing is imported, and it soon ends.

The files are put together here byte by byte; torch, where it is there, only adds seeds to damage.
"""

import builtins
import importlib.util
import io
import json
import os
import pickle
import random
import struct
import subprocess
import sys
import time
import webbrowser
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from snn_deploy.errors import DeployError
from snn_deploy.frontends.torch_file import Reference, StateDict, Stub, read_torch_file, reading
from snn_deploy.frontends.torch_file.reading import PickledModule
from snn_deploy.frontends.torch_file.stub import attributes, entries, raw_state

FUZZ_VARIABLE = "SNN_DEPLOY_FUZZ"
"""How many damaged files the fuzz test reads."""

QUICK_FUZZ = 400
SLOWEST = 5.0
"""Seconds that any file may take here."""

LARGEST = 2**28
"""Bytes that Python may hold while it reads a small file."""

# An assembler of pickles


def text(value: str) -> bytes:
    content = value.encode()
    return b"X" + struct.pack("<I", len(content)) + content


def number(value: int) -> bytes:
    content = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(content)]) + content


def name(module: str, qualified: str) -> bytes:
    return b"c" + f"{module}\n{qualified}\n".encode()


def group(*members: bytes) -> bytes:
    return b"(" + b"".join(members) + b"t"


def call(callee: bytes, *args: bytes) -> bytes:
    return callee + group(*args) + b"R"


def instance(kind: bytes, state: bytes, *args: bytes) -> bytes:
    return kind + group(*args) + b"\x81" + state + b"b"


def table(**items: bytes) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def storage(key: str = "0", count: int = 4, kind: str = "FloatStorage") -> bytes:
    parts = (text("storage"), name("torch", kind), text(key), text("cpu"), number(count))
    return group(*parts) + b"Q"


def tensor(
    offset: int = 0,
    size: tuple[int, ...] = (4,),
    stride: tuple[int, ...] = (1,),
    stored: bytes | None = None,
) -> bytes:
    return call(
        name("torch._utils", "_rebuild_tensor_v2"),
        storage() if stored is None else stored,
        number(offset),
        group(*map(number, size)),
        group(*map(number, stride)),
        b"\x89",
        name("collections", "OrderedDict") + b")R",
    )


def archive(body: bytes, records: dict[str, bytes] | None = None, folder: str = "archive") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as target:
        target.writestr(f"{folder}/data.pkl", b"\x80\x02" + body + b".")
        numbers = np.arange(4, dtype=np.float32).tobytes()
        for record, content in {"data/0": numbers, **(records or {})}.items():
            target.writestr(f"{folder}/{record}", content)
    return file.getvalue()


def legacy(body: bytes) -> bytes:
    start = b"".join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {}))
    numbers = struct.pack("<Q4f", 4, 0, 1, 2, 3)
    return start + b"\x80\x02" + body + b"." + pickle.dumps(["0"], 2) + numbers


LEGACY_STORAGE = storage()[:-2] + b"NtQ"


def complaint(content: bytes) -> str:
    with pytest.raises(DeployError) as caught:
        read_torch_file(content, "model.pt")
    return str(caught.value)


def evil(content: bytes):
    """Return what stands for the payload in a file that also has a tensor."""
    read = read_torch_file(content, "model.pt")
    assert isinstance(read, StateDict)
    assert read.tensors["weight"].tolist() == [0, 1, 2, 3]
    return read.extras["evil"]


@pytest.fixture(scope="module")
def events():
    """Return what Python tells of while `watching` is in it; such hooks cannot be taken away."""
    told: list[str] = []

    def tell(event: str, _args: object) -> None:
        if told and event in WATCHED:
            told.append(event)

    sys.addaudithook(tell)
    read_torch_file(archive(table(weight=tensor())), "model.pt")  # what it needs itself is there
    return told


@pytest.fixture
def nothing_happens(tmp_path, monkeypatch, events):
    """Fail the test if a file appears, a module is imported, or a program starts."""
    monkeypatch.chdir(tmp_path)
    canary = tmp_path / "canary"
    victim = tmp_path / "victim"
    victim.write_text("alive")
    before = set(sys.modules)
    events.append("watching")
    yield canary
    told = events.copy()
    events.clear()
    assert told == ["watching"]
    assert set(sys.modules) == before
    assert not canary.exists()
    assert victim.read_text() == "alive"
    assert {path.name for path in tmp_path.iterdir()} == {"victim"}


WATCHED = {
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.remove",
    "os.rename",
    "subprocess.Popen",
    "socket.connect",
    "webbrowser.open",
    "pickle.find_class",
    "shutil.rmtree",
}
"""What Python tells of when it happens."""


class Payload:
    """Something that Python's own pickle would call when it reads it."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


PAYLOADS = {
    "os.system": (os.system, "touch canary"),
    "eval": (eval, "open('canary', 'w')"),
    "exec": (exec, "import os; os.system('touch canary')"),
    "compile": (compile, "open('canary', 'w')", "x", "exec"),
    "__import__": (builtins.__import__, "antigravity"),
    "open": (open, "canary", "w"),
    "remove": (os.remove, "victim"),
    "rename": (os.rename, "victim", "canary"),
    "unlink": (Path.unlink, Path("victim")),
    "subprocess": (subprocess.Popen, ["touch", "canary"]),
    "run": (subprocess.run, ["touch", "canary"]),
    "webbrowser": (webbrowser.open, "http://127.0.0.1/canary"),
    "getattr": (getattr, "os", "system"),
    "map": (map, eval, ["open('canary', 'w')"]),
    "pickle": (pickle.loads, pickle.dumps(1)),
    "spec": (importlib.util.find_spec, "antigravity"),
}


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_a_call_in_a_pickle_becomes_a_record_of_it(nothing_happens, payload, protocol):
    body = pickle.dumps(Payload(*payload), protocol)[2:-1]
    record = evil(archive(table(weight=tensor()) + text("evil") + body + b"s"))
    assert isinstance(record, Stub)
    assert len(record.args) == len(payload) - 1


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_a_call_as_the_whole_file_is_refused(nothing_happens, payload):
    body = pickle.dumps(Payload(*payload), 2)[2:-1]
    assert complaint(archive(body)).startswith("error[SNN203]: the file holds a ")


def test_the_error_for_a_call_names_it_and_the_way_out(nothing_happens):
    assert complaint(archive(call(name("posix", "system"), text("touch canary")))) == (
        "error[SNN203]: the file holds a posix.system, neither a module nor a state dict\n"
        "  at: model.pt\n"
        "  fix: save the state dict: torch.save(model.state_dict(), 'model.pt')"
    )


def test_the_older_format_calls_nothing_either(nothing_happens):
    body = table(
        weight=tensor(stored=LEGACY_STORAGE), evil=call(name("os", "system"), text("touch canary"))
    )
    record = evil(legacy(body))
    assert (record.type_name, record.args) == ("os.system", ("touch canary",))


@pytest.mark.parametrize("part", range(3))
def test_no_part_of_the_older_format_calls_anything(nothing_happens, part):
    parts = [pickle.dumps(each, 2) for each in (0x1950A86A20F9469CFC6C, 1001, {})]
    parts[part] = parts[part][:-1] + b"0" + call(name("os", "system"), text("touch canary")) + b"."
    content = b"".join(parts) + b"\x80\x02" + table(weight=b"N") + b"." + pickle.dumps([], 2)
    assert complaint(content).startswith("error[SNN20")


def test_a_chain_of_getattr_is_a_name_that_no_one_follows(nothing_happens):
    found = name("builtins", "getattr")
    body = name("os", "path")
    for member in ("os", "sys", "modules"):
        body = call(found, body, text(member))
    body = call(call(found, body, text("system")), text("touch canary"))
    record = evil(archive(table(weight=tensor(), evil=body)))
    assert record.type_name == "os.path.os.sys.modules.system"
    assert record.args == ("touch canary",)


def test_a_name_that_grows_without_end_is_refused(nothing_happens):
    body = name("a", "b")
    for _ in range(100):
        body = call(name("builtins", "getattr"), body, text("longer"))
    assert "a class or function whose name is none" in complaint(archive(body))


def test_an_object_of_a_hostile_class_is_a_record(nothing_happens):
    body = instance(name("antigravity", "Flyer"), table(command=text("touch canary")), text("up"))
    record = evil(archive(table(weight=tensor(), evil=body)))
    assert (record.command, record.args) == ("touch canary", ("up",))
    assert "antigravity" not in sys.modules


DUNDERS = (
    "__class__",
    "__dict__",
    "__array_interface__",
    "__array__",
    "__array_struct__",
    "__cuda_array_interface__",
    "__getattr__",
    "__reduce_ex__",
    "__len__",
    "__iter__",
    "__del__",
    "__setstate__",
    "__float__",
    "__fspath__",
)


@pytest.mark.parametrize("dunder", DUNDERS)
def test_a_state_cannot_change_how_python_treats_its_object(nothing_happens, dunder):
    pointer = table(data=group(number(16), b"\x89"), shape=group(number(4)), typestr=text("<f4"))
    state = table(**{dunder: pointer, "type_name": text("trusted.Leaky"), "args": number(1)})
    record = evil(archive(table(weight=tensor(), evil=instance(name("a", "B"), state))))
    assert type(record) is Stub
    assert record.type_name == "a.B"
    assert record.args == 1
    assert getattr(record, dunder, None) is not attributes(record)[dunder]
    assert np.asarray(record, dtype=object).shape == ()
    del record


def test_a_state_with_slots_that_are_ours_is_only_data(nothing_happens):
    names = ("_stub_state", "_stub_args", "_stub_entries", "named_children")
    state = group(b"N", table(**{each: number(1) for each in names}))
    record = evil(archive(table(weight=tensor(), evil=instance(name("a", "B"), state))))
    assert list(record.named_children()) == []
    assert entries(record) is None
    assert raw_state(record) is None


REFUSED = {
    "INST": (b"(" + text("touch canary") + b"ios\nsystem\n", "pickle opcode 0x69 makes no data"),
    "OBJ": (b"(" + name("os", "system") + text("x") + b"o", "pickle opcode 0x6f makes no data"),
    "EXT1": (b"\x82\x01", "pickle opcode 0x82 makes no data"),
    "PERSID": (b"P0\n", "pickle opcode 0x50 makes no data"),
    "INT": (b"I1\n", "pickle opcode 0x49 makes no data"),
    "NEXT_BUFFER": (b"\x97", "pickle opcode 0x97 makes no data"),
    "unknown": (b"\xff", "pickle opcode 0xff makes no data"),
    "STACK_GLOBAL of numbers": (
        number(1) + number(2) + b"\x93",
        "a class or function whose name is no text",
    ),
    "name with a line": (
        text("os") + text("sys\ntem") + b"\x93",
        "a class or function whose name is none",
    ),
    "long name": (text("o" * 600) + text("x") + b"\x93", "a class or function whose name is none"),
    "endless name": (b"c" + b"o" * 600, "a name without an end"),
    "call of a number": (number(1) + b")R", "a call of what is no class or function"),
    "call of a record": (
        call(name("a", "b")) + b")R",
        "a call of what is no class or function",
    ),
    "arguments that are none": (name("a", "b") + b"NR", "a call of what is no class or function"),
    "keywords that are none": (name("a", "b") + b")N\x92", "arguments that are none"),
    "state of a number": (number(1) + b"Nb", "a state for a int"),
    "state of a class": (name("os", "system") + b"}b", "a state for a Reference"),
    "elements of a number": (number(1) + b"Na", "elements for a int"),
    "members of a list": (b"](N\x90", "members for a list"),
    "items of a list": (b"]" + text("a") + b"Ns", "items for a list"),
    "items and elements": (call(name("a", "b")) + b"NaNNs", "items for a Stub"),
    "elements and items": (call(name("a", "b")) + b"NNsNa", "elements for a Stub"),
    "key without value": (b"}(Nu", "a key without a value"),
    "list as key": (b"}]Ns", "a key that is a list"),
    "long tuple as key": (b"}" + group(*[b"N"] * 17) + b"Ns", "a key that is a tuple of 17"),
    "tuple of tuples as key": (b"}" + group(b")") + b"Ns", "a key that is a tuple"),
    "huge key": (b"}" + number(2**63) + b"Ns", "a key that is too large an integer"),
    "empty stack": (b"0", "a pickle that takes more than it made"),
    "no value": (b"", "a pickle that takes more than it made"),
    "no mark": (b"t", "a pickle that ends what it did not begin"),
    "open mark": (b"N(N", "a pickle that ends too early"),
    "two values": (b"NN", "a pickle that ends too early"),
    "short tuple": (b"N\x86", "a pickle that takes more than it made"),
    "no memo": (b"j\xff\xff\xff\xff", "a pickle that recalls what it did not store"),
    "newer protocol": (b"\x80\x06N", "a pickle of a newer protocol"),
    "long frame": (b"\x95" + b"\xff" * 8 + b"N", "a pickle that is cut off"),
    "huge text": (b"X\xff\xff\xff\x7f", "a pickle that is cut off"),
    "huger text": (b"\x8d" + b"\xff" * 8, "a pickle that is cut off"),
    "huge bytes": (b"\x8e" + b"\xff" * 8, "a pickle that is cut off"),
    "huge array of bytes": (b"\x96" + b"\xff" * 8, "a pickle that is cut off"),
    "huge integer": (b"\x8b\xff\xff\xff\x7f", "an integer of thousands of digits"),
    "broken text": (b"X\x02\x00\x00\x00\xff\xff", "a text that is not UTF-8"),
    "half a character": (b"X\x03\x00\x00\x00\xed\xa0\x80", "a text that is not UTF-8"),
    "something behind": (b"N.N", "a pickle with something behind its end"),
    "identifier of nothing": (b"NQ", "a reference to what is no storage"),
    "identifier of a file": (text("/etc/passwd") + b"Q", "a reference to what is no storage"),
    "identifier of an array": (
        group(tensor(), name("torch", "FloatStorage"), text("0"), text("cpu"), number(4)) + b"Q",
        "a reference to what is no storage",
    ),
    "module as identifier": (
        group(text("module"), name("a", "b"), text("a.py"), text("import os")) + b"Q",
        "a reference to what is no storage",
    ),
    "storage that is missing": (storage("1"), "a record that is missing"),
    "storage elsewhere": (storage("../../etc/passwd"), "a record that is missing"),
    "storage of another size": (storage(count=5), "a storage of 16 bytes has not 5 values"),
    "storage of negative size": (storage(count=-4), "a reference to what is no storage"),
    "storage of two types": (
        group(tensor(), tensor(stored=storage(kind="IntStorage"))),
        "one storage has both float32 and int32 values",
    ),
    "text that is no bytes": (
        call(name("_codecs", "encode"), text("\u1234"), text("latin1")),
        "bytes that are none",
    ),
}


@pytest.mark.parametrize(("body", "what"), REFUSED.values(), ids=REFUSED)
def test_what_makes_no_data_is_refused(nothing_happens, body, what):
    message = complaint(archive(body))
    assert message.startswith(f"error[SNN202]: {what}")
    assert message.endswith("or save its state dict again with torch.save")


def test_a_refused_pickle_says_where(nothing_happens):
    assert complaint(archive(b"(ios\nsystem\n")) == (
        "error[SNN202]: pickle opcode 0x69 makes no data\n"
        "  at: model.pt: data.pkl, byte 3\n"
        "  fix: copy or download the file again, or save its state dict again with torch.save"
    )


WRONG_TENSORS = {
    "offset": tensor(offset=1),
    "huge offset": tensor(offset=2**63),
    "negative offset": tensor(offset=-1),
    "size": tensor(size=(5,)),
    "negative size": tensor(size=(-1,)),
    "huge size": tensor(size=(2**62,), stride=(0,)),
    "sizes that overflow": tensor(size=(2**32, 2**32), stride=(0, 0)),
    "empty but huge": tensor(size=(0, 2**39, 2**39), stride=(1, 1, 1)),
    "stride": tensor(size=(2, 2), stride=(3, 1)),
    "negative stride": tensor(stride=(-1,)),
    "huge stride": tensor(size=(2,), stride=(2**62,)),
    "more strides": tensor(stride=(1, 1)),
    "many axes": tensor(size=(1,) * 33, stride=(1,) * 33),
    "repeated": tensor(size=(2**39,), stride=(0,)),
    "float size": call(
        name("torch._utils", "_rebuild_tensor_v2"),
        storage(),
        number(0),
        group(b"G" + struct.pack(">d", 4.0)),
        group(number(1)),
    ),
    "true size": call(
        name("torch._utils", "_rebuild_tensor_v2"),
        storage(),
        number(0),
        group(b"\x88"),
        group(number(1)),
    ),
    "no storage": tensor(stored=b"N"),
    "few arguments": call(name("torch._utils", "_rebuild_tensor_v2"), storage()),
    "no dtype": call(name("torch._utils", "_rebuild_tensor_v3"), storage()),
}


@pytest.mark.parametrize("body", WRONG_TENSORS.values(), ids=WRONG_TENSORS)
def test_a_tensor_that_is_not_within_its_storage_is_refused(nothing_happens, body):
    assert complaint(archive(table(weight=body))).startswith("error[SNN202]: ")


def test_the_error_for_a_tensor_outside_its_storage_says_both(nothing_happens):
    message = complaint(archive(table(weight=tensor(size=(2, 3), stride=(3, 1)))))
    assert message.splitlines()[0] == (
        "error[SNN202]: a tensor of shape (2, 3) reaches number 5 of a storage of 4"
    )


def test_many_views_of_one_storage_are_bounded(nothing_happens):
    views = b"".join(tensor(size=(2**22,), stride=(0,)) for _ in range(30))
    assert "the tensors are many times larger than the file" in complaint(
        archive(b"(" + views + b"t")
    )


def array(kind: str, shape: tuple[int, ...], content: bytes) -> bytes:
    stored = call(name("numpy", "dtype"), text(kind), b"\x89", b"\x88")
    empty = call(name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"))
    raw = b"B" + struct.pack("<I", len(content)) + content
    return empty + group(number(1), group(*map(number, shape)), stored, b"\x89", raw) + b"b"


@pytest.mark.parametrize(
    ("kind", "shape", "content"),
    [
        ("f4", (2**40, 2**40), b"1234"),
        ("f4", (-1,), b"1234"),
        ("f4", (1, 1), b"123"),
        ("S0", (5,), b""),
        ("b1", (1,), b"\x02"),
        ("U1", (1,), b"\xff" * 4),
        ("U1", (1,), b"\x00\xd8\x00\x00"),
    ],
)
def test_an_array_that_is_none_is_refused(nothing_happens, kind, shape, content):
    body = table(weight=tensor(), evil=array(kind, shape, content))
    assert complaint(archive(body)).startswith("error[SNN202]: ")


@pytest.mark.parametrize("kind", ["O", "V8", "M8", "f3", "f4,f4", "(9999,9999)f4", "{'a': 1}"])
def test_an_array_of_anything_else_stays_a_record(nothing_happens, kind):
    assert type(evil(archive(table(weight=tensor(), evil=array(kind, (1,), b"12345678"))))) is Stub


# Endless and enormous ones


def doubled(times: int, both: bytes) -> bytes:
    """Return a pickle that makes something of the last thing twice, time and again."""
    return b"N" + b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + both for i in range(times))


def module(**children: bytes) -> bytes:
    return instance(name("torch.nn", "Sequential"), table(_modules=table(**children)))


def itself() -> bytes:
    """Return a pickle of a module that is its own child."""
    child = name("a", "B") + b")\x81q\x00" + table(_modules=table(x=b"h\x00"))
    return child + b"b"


def shared_modules(depth: int) -> bytes:
    body = module()
    for i in range(depth):
        index = bytes([i])
        wrapped = [instance(name("a", "B"), table(_modules=table(x=b"h" + index))) for _ in "ab"]
        body += b"q" + index + b"0" + module(a=wrapped[0], b=wrapped[1])
    return body


ENDLESS = {
    "list in itself": (b"]q\x00h\x00a", "values that hold themselves"),
    "dict in itself": (b"}q\x00" + text("a") + b"h\x00s", "values that hold themselves"),
    "module in itself": (itself(), "modules that hold themselves"),
    "deep list": (b"]" * 100_000 + b"a" * 99_999, "values more than 100 deep in each other"),
    "deep tuple": (b")" + b"\x85" * 100_000, "values more than 100 deep in each other"),
    "doubled": (doubled(90, b"\x86"), "more than 4000000 values to go through"),
    "shared modules": (shared_modules(40), "more than 4000000 modules to go through"),
    "deep modules": (
        name("a", "B") + b")\x81" + b"".join(
            b"q\x00" + b"0" + instance(name("a", "B"), table(_modules=table(x=b"h\x00")))
            for _ in range(200)
        ),
        "modules more than 100 deep in each other",
    ),
    "modules that are none": (
        instance(name("a", "B"), table(_modules=table(x=number(1)))),
        "a a.B whose _modules are none",
    ),
    "parameters that are none": (
        instance(name("a", "B"), table(_modules=table(), _parameters=b"]")),
        "a a.B whose _parameters are none",
    ),
    "too many opcodes": (b"N0" * 1_000_001 + b"N", "the pickle has more to do than any network"),
    "copies of copies": (
        b"](" + b"N" * 10_000 + b"eq\x00" + b"("
        + (name("builtins", "list") + b"h\x00\x85R") * 1000 + b"t",
        "the pickle has more to do than any network needs",
    ),
    "copies of bytes": (
        b"B" + struct.pack("<I", 2**20) + b"x" * 2**20 + b"q\x00("
        + (name("builtins", "bytearray") + b"h\x00\x85R") * 1000 + b"t",
        "the tensors are many times larger than the file",
    ),
    "keys that collide": (
        b"}(" + b"".join(group(number(i)) + b"N" for i in range(3000)) + b"u",
        "the pickle has more to do than any network needs",
    ),
}  # fmt: skip


WATCHER = """
import json, sys, time, tracemalloc
from pathlib import Path
from snn_deploy.errors import DeployError
from snn_deploy.frontends.torch_file import read_torch_file
found = {}
for path in map(Path, sys.argv[1:]):
    content = path.read_bytes()
    started = time.process_time()
    tracemalloc.start()
    try:
        read_torch_file(content, "model.pt")
    except DeployError as error:
        message = str(error)
    else:
        message = "read"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    found[path.name] = message, peak, time.process_time() - started
print(json.dumps(found))
"""
"""Reads files and says how it went: the message, the most memory [bytes], and the time [s]."""


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """Return how reading each of the endless files went, in a program without type checks."""
    folder = tmp_path_factory.mktemp("endless")
    paths = []
    for identity, (body, _) in ENDLESS.items():
        paths.append(folder / identity)
        paths[-1].write_bytes(archive(body))
    command = [sys.executable, "-c", WATCHER, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return json.loads(done.stdout)


@pytest.mark.parametrize("identity", ENDLESS)
def test_what_never_ends_is_refused_at_once(watched, identity):
    message, peak, seconds = watched[identity]
    assert ENDLESS[identity][1] in message
    assert peak < LARGEST + 2 * len(ENDLESS[identity][0])
    assert seconds < 4 * SLOWEST  # watching memory takes time


def test_objects_may_refer_to_each_other_in_circles(nothing_happens):
    child = name("a", "Child") + b")\x81" + table(parent=b"h\x00") + b"b"
    body = name("a", "Net") + b")\x81q\x00" + table(_modules=table(x=child)) + b"b"
    root = read_torch_file(archive(body), "model.pt").root
    assert root.x.parent is root


def test_a_long_chain_of_objects_is_read(nothing_happens):
    body = name("a", "B") + b")\x81q\x00"
    for _ in range(2000):
        body += b"0" + instance(name("a", "B"), table(next=b"h\x00")) + b"q\x00"
    root = evil(archive(table(weight=tensor(), evil=body)))
    for _ in range(2000):
        root = root.next


# Archives


def with_names(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as target:
        for each in names:
            info = zipfile.ZipInfo("x")
            info.filename = each
            target.writestr(info, b"\x80\x02N.")
    return file.getvalue()


@pytest.mark.parametrize(
    "path",
    [
        "../data.pkl",
        "/data.pkl",
        "archive/../../etc/passwd",
        "archive//data/0",
        "archive/./data/0",
        "archive\\data\\0",
        "C:/archive/data",
        "archive/da\nta",
        "archive/" + "x" * 1000,
        "",
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(nothing_happens, path):
    message = complaint(with_names("archive/data.pkl", path))
    assert message.startswith(
        f"error[SNN202]: a record whose name is no name in a folder: {path[:80]!r}\n"
    )


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
@pytest.mark.parametrize(
    ("names", "what"),
    [
        (["archive/data.pkl", "archive/data.pkl"], "two records of the name data.pkl"),
        (["archive/data.pkl", "other/data/0"], "an archive of more than one folder"),
    ],
)
def test_records_of_one_name_or_two_folders_are_refused(nothing_happens, names, what):
    assert complaint(with_names(*names)).startswith(f"error[SNN202]: {what}\n")


def test_a_zip_bomb_is_refused(nothing_happens):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("archive/data.pkl", b"\x80\x02N.")
        target.writestr("archive/data/0", bytes(2**27))
    content = file.getvalue()
    assert complaint(content) == (
        f"error[SNN202]: an archive of {len(content)} bytes that unpacks to {2**27 + 4}\n"
        "  at: model.pt\n"
        "  fix: torch.save packs nothing: save it again and do not compress it. Or "
        "SNN_DEPLOY_LIMITS=2 raises all limits on sizes, for a file that you trust"
    )


def deflated(said: int) -> bytes:
    """Return an archive whose pickle is packed and says that it has `said` bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("archive/data.pkl", bytes(1000))
    content = bytearray(file.getvalue())
    struct.pack_into("<I", content, content.index(b"PK\x01\x02") + 24, said)
    return bytes(content)


@pytest.mark.parametrize("said", [10, 999, 1001, 10**7])
def test_a_record_that_lies_about_its_size_is_refused(nothing_happens, said):
    assert "a packed record that is not as long as it says" in complaint(deflated(said))


def test_records_that_overlap_are_refused(nothing_happens):
    content = bytearray(archive(table(weight=tensor())))
    first = content.index(b"PK\x01\x02")
    second = content.index(b"PK\x01\x02", first + 1)
    content[second + 42 : second + 46] = content[first + 42 : first + 46]
    assert "error[SNN202]: records that overlap\n" in complaint(bytes(content))


@pytest.mark.parametrize(
    ("place", "value", "what"),
    [
        (8, b"\x01\x00", "a record that is encrypted"),
        (10, b"\x0e\x00", "a record that is encrypted, or packed in a way torch never does"),
        (20, b"\xff\xff\xff\x0f", "a record that reaches beyond the end of the file"),
        (24, b"\x01\x00\x00\x00", "a record with two sizes"),
        (42, b"\x01\x00\x00\x00", "a record that is not where the directory says"),
        (42, b"\xff\xff\xff\xff", "a zip archive that is truncated or damaged"),
        (28, b"\xff\xff", "a zip archive that is truncated or damaged"),
        (16, b"\x00\x00\x00\x00", "a record whose checksum does not fit its bytes"),
    ],
)
def test_a_directory_that_lies_is_refused(nothing_happens, place, value, what):
    content = bytearray(archive(table(weight=tensor())))
    at = content.index(b"PK\x01\x02") + place
    content[at : at + len(value)] = value
    assert complaint(bytes(content)).startswith(f"error[SNN202]: {what}")


def test_an_archive_of_countless_records_is_refused(nothing_happens):
    content = with_names("archive/data.pkl")
    wide = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 2**32, 2**32, 46, 0)
    end = content.index(b"PK\x05\x06")
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1)
    content = content[:end] + wide + locator + content[end:]
    assert "an archive of 4294967296 records" in complaint(content)


def test_a_file_of_gigabytes_is_refused_unread(monkeypatch):
    monkeypatch.setattr(reading, "LARGEST_FILE", 10)
    assert complaint(bytes(11)) == (
        "error[SNN202]: the file has 11 bytes; at most 10 are read\n"
        "  at: model.pt\n"
        "  fix: save the state dict: torch.save(model.state_dict(), 'model.pt'). Or "
        "SNN_DEPLOY_LIMITS=2 raises all limits on sizes, for a file that you trust"
    )


def test_an_order_of_bytes_that_is_none_is_refused(nothing_happens):
    content = archive(table(weight=tensor()), {"byteorder": b"middle"})
    assert "an order of bytes that is none" in complaint(content)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (legacy(table(weight=tensor(stored=LEGACY_STORAGE)))[:-1], "a storage that is cut off"),
        (legacy(table(weight=tensor(stored=LEGACY_STORAGE))) + b"x", "something behind the last"),
        (legacy(table(weight=tensor(stored=storage("1")))), "storages that are not those of the"),
        (legacy(table(weight=tensor(stored=storage(count=5)))), "a storage that is cut off, or"),
        (legacy(table(weight=tensor(size=(9,)))), "a tensor of shape (9,) reaches number 8"),
        (legacy(storage()[:-2] + b"NtQ" + storage(count=3) + b"\x86"), "a storage of two types"),
        (legacy(storage()[:-2] + number(1) + b"tQ"), "a part of a storage that is none"),
        (legacy(b"N")[:30], "a pickle that is cut off"),
    ],
)
def test_a_damaged_file_of_the_older_format_is_refused(nothing_happens, content, what):
    assert complaint(content).startswith(f"error[SNN202]: {what}")


def test_a_part_of_a_storage_is_read(nothing_happens):
    part = storage()[:-2] + group(text("7"), number(1), number(2)) + b"tQ"
    body = table(weight=tensor(size=(2,), stored=part), all=tensor(stored=LEGACY_STORAGE))
    tensors = read_torch_file(legacy(body), "model.pt").tensors
    assert tensors["weight"].tolist() == [1, 2]
    assert tensors["all"].tolist() == [0, 1, 2, 3]


def test_classes_with_their_source_text_are_only_named(nothing_happens):
    source = text("import os; os.system('touch canary')")
    kind = group(text("module"), name("a", "Net"), text("a.py"), source) + b"Q"
    state = table(_modules=table(), weight=tensor(stored=LEGACY_STORAGE))
    root = read_torch_file(legacy(instance(kind, state)), "model.pt").root
    assert root.type_name == "a.Net"
    assert root.weight.tolist() == [0, 1, 2, 3]


# Damage


def safetensors_seed() -> bytes:
    header = (
        b'{"x": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}, "__metadata__": {}}'
    )
    return len(header).to_bytes(8, "little") + header + bytes(range(16))


def torch_seeds() -> list[bytes]:
    """Return files that torch wrote, of a module, a checkpoint and the older format."""
    if importlib.util.find_spec("torch") is None:
        return []
    import torch

    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    checkpoint = {"state_dict": model.state_dict(), "n": np.arange(3), "lr": np.float64(0.1)}
    seeds = []
    for saved in (model, checkpoint):
        for options in ({}, {"pickle_protocol": 5}, {"_use_new_zipfile_serialization": False}):
            file = io.BytesIO()
            torch.save(saved, file, **options)
            seeds.append(file.getvalue())
    return seeds


@pytest.fixture(scope="module")
def seeds():
    """Return files that are read: put together here, and written by torch where it is there."""
    body = table(
        weight=tensor(),
        scale=tensor(size=(2, 2), stride=(1, 2)),
        array=array("f4", (1,), b"1234"),
        made=instance(name("a", "B"), table(x=number(3))),
        module=module(a=module(), b=module()),
    )
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(archive(body))) as source,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for each in source.namelist():
            target.writestr(each, source.read(each))
    older = legacy(table(weight=tensor(stored=LEGACY_STORAGE)))
    return [archive(body), packed.getvalue(), older, safetensors_seed(), *torch_seeds()]


NUMBERS = [0, 2**31, 2**32 - 1, 65536]


def damaged(content: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """Return a file with bits turned, bytes set, cut off, or spliced with itself or another."""
    spoiled = bytearray(content)
    for _ in range(chance.choice([1, 1, 1, 2, 5, 20])):
        at = chance.randrange(len(spoiled)) if spoiled else 0
        match chance.randrange(7):
            case 0 | 1 if spoiled:
                spoiled[at] ^= 1 << chance.randrange(8)
            case 2 if spoiled:
                spoiled[at] = chance.choice([0, 0xFF, 0x7F, 0x80, ord("R"), ord("b"), ord("Q")])
            case 3:
                del spoiled[at : at + chance.choice([1, 4, 100, 10**6])]
            case 4:
                spoiled[at:at] = spoiled[chance.randrange(at + 1) :][: chance.choice([1, 8, 300])]
            case 5:
                other = chance.choice(others)
                start = chance.randrange(len(other))
                spoiled[at : at + 200] = other[start : start + 200]
            case 6:
                spoiled[at : at + 4] = struct.pack(
                    "<I", chance.choice([0, 2**31, 2**32 - 1, 65536])
                )
    return bytes(spoiled)


def mended(content: bytes) -> bytes:
    """Return an archive with the checksums put right, so that damage gets through."""
    mended = bytearray(content)
    at = mended.find(b"PK\x01\x02")
    while 0 <= at <= len(mended) - 46:
        method, size = struct.unpack_from("<H", mended, at + 10)[0], 0
        size, _, named = struct.unpack_from("<IIH", mended, at + 20)
        (place,) = struct.unpack_from("<I", mended, at + 42)
        if method == 0 and place + 30 <= len(mended):
            start = place + 30 + sum(struct.unpack_from("<HH", mended, place + 26))
            struct.pack_into("<I", mended, at + 16, zlib.crc32(mended[start : start + size]))
        at = mended.find(b"PK\x01\x02", at + 46 + named)
    return bytes(mended)


def damaged_pickle(content: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """Return an archive whose pickle alone is damaged, and whose directory is right."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as source:
            records = {each: source.read(each) for each in source.namelist()}
    except zipfile.BadZipFile:
        return damaged(content, others, chance)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as target:
        for each, record in records.items():
            spoil = each.endswith("data.pkl")
            target.writestr(each, damaged(record, others, chance) if spoil else record)
    return file.getvalue()


def test_damaged_files_give_numbered_errors_or_data_and_nothing_else(seeds, nothing_happens):
    for content in seeds:
        assert isinstance(read_torch_file(content, "seed.pt"), StateDict | PickledModule)
    trials = int(os.environ.get(FUZZ_VARIABLE, QUICK_FUZZ))
    complaints: set[str] = set()
    seen = {"read": 0, "refused": 0}
    slowest = 0.0
    for trial in range(trials):
        chance = random.Random(trial)
        content = seeds[trial % len(seeds)]
        match chance.randrange(3):
            case 0:
                content = damaged(content, seeds, chance)
            case 1:
                content = mended(damaged(content, seeds, chance))
            case 2:
                content = damaged_pickle(content, seeds, chance)
        started = time.process_time()
        try:
            read = read_torch_file(content, "model.pt")
        except DeployError as error:
            seen["refused"] += 1
            complaints.add(str(error)[:12])
        except Exception as error:
            raise AssertionError(f"trial {trial} ended with {error!r}") from error
        else:
            seen["read"] += 1
            assert isinstance(read, StateDict | PickledModule)
        slowest = max(slowest, time.process_time() - started)
    assert complaints <= {"error[SNN202", "error[SNN203"}
    assert slowest < SLOWEST
    assert seen["refused"] > trials // 4
    assert seen["read"] > trials // 50


def test_references_are_only_names():
    reference = Reference("os", "system")
    assert not callable(reference)
    assert not callable(Stub("os.system"))
