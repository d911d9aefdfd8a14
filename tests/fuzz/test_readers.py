"""Damaged files of every kind are read, or refused with a number, soon and in little memory.

What fuzzing once found lies in `found/`, in a folder for each reader, and is read in every run.
"""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
from artifacts import replace
from fuzzing import MINUTES, damaged, fuzzed, no_hang
from net_files import random_case
from strategies import unchecked

import snn_deploy
from snn_deploy.deploy.artifact import write_folder
from snn_deploy.deploy.datasets.binning import Binning
from snn_deploy.deploy.datasets.opening import opened
from snn_deploy.deploy.datasets.source import Entry
from snn_deploy.deploy.datasets.source import Request as Wanted
from snn_deploy.deploy.deployment import read_deployment
from snn_deploy.deploy.energy.profile_files import read_profile
from snn_deploy.deploy.exporting import export
from snn_deploy.deploy.manifest import PAGE
from snn_deploy.deploy.request import Request
from snn_deploy.deploy.tuning.config import read_config
from snn_deploy.errors import DeployError
from snn_deploy.frontends import load
from snn_deploy.targets import read_target

ROOT = Path(__file__).parents[2]
FOUND = Path(__file__).parent / "found"


@dataclass(frozen=True, kw_only=True)
class Reader:
    """One kind of file."""

    seeds: Callable[[Path], Sequence[bytes]]
    """Files that are read, made in a folder."""

    read: Callable[[bytes, Path], object]
    """Reads a file; the folder is there for those that are read by path."""

    words: tuple[str, ...] = ()
    needs: str = ""
    """A library that makes the seeds."""

    examples: int = 15
    """How many are read in every run of the tests."""

    slow: bool = False
    """Whether its seeds take seconds to make: only fuzzed for minutes."""


PICTURES = np.random.default_rng(0).random((4, 1, 4, 4))
"""What an ANN is converted with."""


def model(name: str, **how: Any) -> Callable[[bytes, Path], object]:
    """Return what reads a model file of that name."""
    return lambda content, _folder: load(name, content=content, **how)


def network(_folder: Path | None = None) -> nir.NIRGraph:
    rng = np.random.default_rng(0)
    ones = np.ones(3)
    nodes = {
        "input": nir.Input(input_type={"input": np.array([1, 4, 4])}),
        "conv": nir.Conv2d(
            input_shape=(4, 4),
            weight=rng.normal(0, 1, (2, 1, 3, 3)),
            stride=1,
            padding=1,
            dilation=1,
            groups=1,
            bias=np.zeros(2),
        ),
        "if": nir.IF(r=np.ones((2, 4, 4)), v_threshold=np.ones((2, 4, 4))),
        "pool": nir.SumPool2d(
            kernel_size=np.array([2, 2]), stride=np.array([2, 2]), padding=np.array([0, 0])
        ),
        "flat": nir.Flatten(input_type={"input": np.array([2, 2, 2])}, start_dim=0, end_dim=-1),
        "fc": nir.Affine(weight=rng.normal(0, 1, (3, 8)), bias=0.1 * ones),
        "lif": nir.CubaLIF(
            tau_syn=4e-3 * ones, tau_mem=2e-3 * ones, r=ones, v_leak=0 * ones, v_threshold=ones
        ),
        "back": nir.Linear(weight=rng.normal(0, 0.1, (3, 3))),
        "output": nir.Output(output_type={"output": np.array([3])}),
    }
    chain = ["input", "conv", "if", "pool", "flat", "fc", "lif", "output"]
    edges = [*pairwise(chain), ("lif", "back"), ("back", "lif")]
    graph = nir.NIRGraph(nodes=nodes, edges=edges, type_check=False)
    graph.metadata = {"dt": 1e-3}
    return graph


@cache
def ours() -> bytes:
    """Return a NIR file with our metadata."""
    return load(network()).nir_bytes


def nir_files(folder: Path) -> list[bytes]:
    nir.write(folder / "plain.nir", network())
    return [(folder / "plain.nir").read_bytes(), ours()]


def onnx_files(_folder: Path) -> list[bytes]:
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    constants = {
        "w": rng.normal(0, 1, (2, 1, 3, 3)),
        "b": np.zeros(2),
        "v": rng.normal(0, 1, (8, 3)),
        "c": np.zeros(3),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["1"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["1"], ["2"]),
        helper.make_node("MaxPool", ["2"], ["3"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["3"], ["4"]),
        helper.make_node("Gemm", ["4", "v", "c"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    return [made.SerializeToString()]


def torch_files(_folder: Path) -> list[bytes]:
    import torch

    torch.manual_seed(0)
    nn = torch.nn
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten())
    made = []
    for saved in (module, {"state_dict": module.state_dict(), "epoch": 3}):
        for older in (False, True):
            file = BytesIO()
            torch.save(saved, file, _use_new_zipfile_serialization=not older)
            made.append(file.getvalue())
    return made


def exported_files(_folder: Path) -> list[bytes]:
    import torch

    torch.manual_seed(0)
    nn = torch.nn
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2)).eval()
    file = BytesIO()
    torch.export.save(torch.export.export(module, (torch.zeros(1, 1, 4, 4),)), file)
    return [file.getvalue()]


def tensors_file(_folder: Path) -> list[bytes]:
    header = b'{"fc.weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}'
    return [len(header).to_bytes(8, "little") + header + np.ones((2, 2), np.float32).tobytes()]


ARCHITECTURE = """framework = "snntorch"
input = [2]
dt = 1e-3

[[layers]]
name = "fc"
type = "Linear"

[[layers]]
name = "lif"
type = "Leaky"
beta = 0.9
threshold = 1.0
reset_mechanism = "subtract"

[encoding]
how = "rate"
steps = 5
"""


def architecture_files(_folder: Path) -> list[bytes]:
    pages = (ROOT / "docs").glob("*.md")
    blocks = [b.split("```")[0] for p in pages for b in p.read_text().split("```toml\n")[1:]]
    return [ARCHITECTURE.encode(), *(b.encode() for b in blocks if "[[layers" in b)]


def tensors_with_architecture(content: bytes, folder: Path) -> object:
    (folder / "arch.toml").write_text(ARCHITECTURE)
    return load("w.safetensors", content=content, arch=folder / "arch.toml")


def with_architecture(content: bytes, folder: Path) -> object:
    (folder / "arch.toml").write_bytes(content)
    return load("w.safetensors", content=tensors_file(folder)[0], arch=folder / "arch.toml")


def npz_files(_folder: Path) -> list[bytes]:
    made = []
    for write in (np.savez, np.savez_compressed):
        file = BytesIO()
        write(file, input=np.eye(4, dtype=np.uint8)[None].repeat(3, 0), label=np.arange(3))
        made.append(file.getvalue())
    file = BytesIO()
    np.savez(file, input=np.asfortranarray(np.ones((3, 4, 2))), dt=np.float64(1e-3))
    return [*made, file.getvalue()]


def hdf5_files(folder: Path) -> list[bytes]:
    with h5py.File(folder / "d.h5", "w") as file:
        file.create_dataset("input", data=np.ones((3, 4, 2)), chunks=(1, 4, 2), compression="gzip")
        file["label"] = np.arange(3)
    return [(folder / "d.h5").read_bytes()]


def events(_folder: Path) -> list[bytes]:
    rng = np.random.default_rng(0)
    columns = [rng.integers(0, high, 20) for high in (34, 34, 2)]
    times = np.sort(rng.integers(0, 5000, 20))
    rows = zip(*columns, times, strict=True)
    return [b"".join(bytes([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255]) for x, y, p, t in rows)]


def data_in(name: str, step: float | None = None) -> Callable[[bytes, Path], object]:
    """Return what reads a data file of that name, by its path."""

    def read(content: bytes, folder: Path) -> object:
        (folder / name).write_bytes(content)
        inputs = (Entry(name="input"),)
        binning = Binning() if step is None else Binning(step=step, sensor=(34, 34))
        source = opened(Wanted(path=folder / name, inputs=inputs, binning=binning), verify=True)
        return source.read(0, source.samples)

    return read


def shipped(package: str) -> Callable[[Path], Sequence[bytes]]:
    """Return the TOML files that come with a package."""
    return lambda _folder: [f.read_bytes() for f in sorted((ROOT / package).glob("*.toml"))]


def options_file(content: bytes, folder: Path) -> object:
    (folder / "options.toml").write_bytes(content)
    return read_config(folder / "options.toml")


def options_files(_folder: Path) -> list[bytes]:
    text = (
        'schema = "snn-deploy/config/1"\n[export]\ntarget = "loihi2"\nsteps = 8\nencode = "rate"\n'
    )
    return [text.encode() + b'sample_shape = [1, 4, 4]\nbits = "4"\n']


def net_file(content: bytes, _folder: Path) -> object:
    path = _folder / "m.net"
    path.write_bytes(content)
    return export(
        path, Request(target="netx"), calibrate=None, output=None, force=False, dry_run=True
    )


@cache
def artifact() -> dict[str, bytes]:
    """Return the files of an artifact, without its page."""
    files = dict(snn_deploy.export(network(), target="loihi2").files)
    files.pop(PAGE, None)
    return files


def parts(name: str) -> Reader:
    """Return what reads an artifact in which a file was replaced, and the manifest with it."""

    def read(content: bytes, folder: Path) -> object:
        bad = folder / "bad"
        shutil.rmtree(bad, ignore_errors=True)
        write_folder(artifact(), bad)
        replace(bad, name, content)
        made = read_deployment(bad)
        return made.program, made.target, made.report, made.nir and made.network

    return Reader(
        seeds=lambda _: [artifact()[name]],
        examples=3,
        read=read,
        words=("null", "-1", "0", "1e999", '""', "[]", "{}", "true", "99999999999999999999"),
    )


NUMBERS = ("0", "-1", "1e400", "nan", '""', "[]", "{}", "true", "9" * 20, "0.5", "\n", "[[a]]")
BY_MODULE = ("Conv2d", "BatchNorm2d", "ReLU", "Flatten", "weight", "bias", "stride", "_modules")

READERS = {
    "nir": Reader(
        seeds=nir_files,
        read=model("m.nir"),
        words=(
            "Conv2d",
            "Affine",
            "CubaLIF",
            "LIF",
            "IF",
            "Input",
            "Output",
            "Flatten",
            "weight",
            "bias",
            "stride",
            "padding",
            "input",
            "output",
            "fc",
            "lif",
            "snn_deploy",
        ),
    ),
    "onnx": Reader(
        seeds=onnx_files,
        read=model("m.onnx", calibration=PICTURES),
        needs="onnx",
        words=(
            "Conv",
            "Relu",
            "MaxPool",
            "Gemm",
            "Flatten",
            "Reshape",
            "Add",
            "pads",
            "strides",
            "x",
            "w",
        ),
    ),
    "torch": Reader(
        seeds=torch_files,
        read=model("m.pt", sample_shape=(1, 4, 4), calibration=PICTURES),
        needs="torch",
        words=BY_MODULE,
    ),
    "torch.export": Reader(
        seeds=exported_files,
        read=model("m.pt2", calibration=PICTURES),
        needs="torch",
        slow=True,
        words=(
            "torch.ops.aten.conv2d.default",
            "torch.ops.aten.relu.default",
            "as_int",
            "as_tensor",
            "null",
            "[]",
            "-1",
        ),
    ),
    "safetensors": Reader(
        seeds=tensors_file, read=tensors_with_architecture, words=("F32", "F64", "I8", "[", "-1")
    ),
    "architecture": Reader(seeds=architecture_files, read=with_architecture, words=NUMBERS),
    "net": Reader(
        seeds=lambda _: [random_case(n).content for n in (1, 5)],
        read=net_file,
        words=(
            "dense",
            "conv",
            "pool",
            "flatten",
            "input",
            "CUBA",
            "weight",
            "neuron",
            "iDecay",
            "vThMant",
        ),
    ),
    "npz": Reader(
        seeds=npz_files, read=data_in("d.npz"), words=("<f8", "<i8", "|u1", "|O", "True", "(", "-1")
    ),
    "hdf5": Reader(seeds=hdf5_files, read=data_in("d.h5")),
    "events": Reader(seeds=events, read=data_in("d.bin", 1000.0)),
    "target": Reader(
        seeds=shipped("snn_deploy/targets"),
        read=lambda c, _: read_target(c, "t.toml"),
        words=NUMBERS,
    ),
    "profile": Reader(
        seeds=shipped("snn_deploy/deploy/energy/profiles"),
        read=lambda c, _: read_profile(c, "p.toml"),
        words=NUMBERS,
    ),
    "options": Reader(seeds=options_files, read=options_file, words=NUMBERS),
    "program.json": parts("program.json"),
    "program.npz": parts("program.npz"),
    "target.json": parts("target.json"),
    "report.json": parts("report.json"),
    "core_map.json": parts("core_map.json"),
    "model.nir": parts("model.nir"),
}

READ_FAST = sorted(READERS)


def attempt(reader: Reader, content: bytes, folder: Path) -> bool:
    """Return whether a file is read; refused with a number is fine, all else is not."""
    with unchecked(), no_hang(), np.errstate(all="ignore"):
        try:
            reader.read(content, folder)
        except DeployError as problem:
            return not str(problem).startswith("error[SNN")
        return True


def available(name: str) -> Reader:
    reader = READERS[name]
    if reader.needs and find_spec(reader.needs) is None:
        pytest.skip(f"{reader.needs} is not installed")
    if reader.slow and not MINUTES:
        pytest.skip("its seeds are slow to make: set SNN_DEPLOY_FUZZ_MINUTES")
    return reader


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", READ_FAST)
def test_a_damaged_file_is_read_or_refused_with_a_number(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    reader = available(name)
    seeds = list(reader.seeds(tmp_path))
    good = [content for content in seeds if attempt(reader, content, tmp_path)]
    assert good
    read = 0
    damage = damaged(seeds, [word.encode() for word in reader.words])

    def check(content: bytes) -> None:
        nonlocal read
        try:
            read += attempt(reader, content, tmp_path)
        except BaseException:
            keep(name, content)
            raise

    drawn = fuzzed(damage, check, 0.8 / len(READERS), reader.examples)
    if MINUTES:
        with capsys.disabled():
            print(f"\nfuzz {name}: {drawn} files, {read} of them read", flush=True)


def keep(name: str, content: bytes) -> None:
    """Keep a file that broke a reader, in place of the one that it was made smaller from."""
    folder = FOUND / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "new").write_bytes(content)


def kept() -> list[Path]:
    return sorted(path for path in FOUND.rglob("*") if path.is_file())


@pytest.mark.filterwarnings("ignore")
def test_what_fuzzing_found_is_read_or_refused_with_a_number(tmp_path: Path) -> None:
    for path in kept():
        reader = READERS[path.parent.name]
        if not reader.needs or find_spec(reader.needs):
            attempt(reader, path.read_bytes(), tmp_path)


def test_what_fuzzing_found_is_named_by_its_digest() -> None:
    digests = [hashlib.sha256(path.read_bytes()).hexdigest()[:12] for path in kept()]
    assert [path.name for path in kept()] == digests
