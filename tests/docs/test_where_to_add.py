"""CONTRIBUTING's "Where do I add ...", done from outside: packages and files of one's own at work.

Packages are folders with their metadata, as an installer leaves them; nothing of ours is patched.
What the documents show is taken from them word for word.
"""

import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from framework_oracle import assert_same_spikes, recorded

import snn_deploy
from snn_deploy.backends.event import EventBackend
from snn_deploy.backends.reference import ReferenceBackend
from snn_deploy.deploy.cli import run
from snn_deploy.frontends import load, registry
from snn_deploy.ir.codecs import Encoding
from snn_deploy.ir.trace import EVERYTHING, Values
from snn_deploy.quantize import Options, Pipeline, pipeline_for
from snn_deploy.quantize.to_program import ToIntegers
from snn_deploy.targets import find_target

ROOT = Path(__file__).parents[2]

Install = Callable[[str, Mapping[str, str], str], None]
"""(name, modules by path, text of the entry points)."""

Blocks = Callable[[str, str], list[str]]
"""(page, language) -> its blocks."""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Return what puts a package and its metadata on the path, for the test alone."""
    site = tmp_path / "site"
    before = set(sys.modules)

    def forget() -> None:
        registry._frontends.cache_clear()
        registry.frontend.cache_clear()

    def put(name: str, modules: Mapping[str, str], entry_points: str) -> None:
        metadata = {
            f"{name}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n",
            f"{name}-1.0.dist-info/entry_points.txt": entry_points,
        }
        for path, text in (modules | metadata).items():
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            (site / path).write_text(text)
        monkeypatch.syspath_prepend(str(site))
        forget()

    yield put
    monkeypatch.undo()
    forget()
    mine = {entry.stem for entry in site.iterdir()} if site.is_dir() else set()
    for module in set(sys.modules) - before:
        if module.partition(".")[0] in mine:
            del sys.modules[module]


@pytest.fixture
def blocks() -> Blocks:
    def found(page: str, language: str) -> list[str]:
        text = (ROOT / "docs" / page).read_text()
        return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)

    return found


@pytest.fixture
def here(fill: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with a small `model.nir` and its `data.npz`."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return fill(folder)


def printed(words: str, capsys: pytest.CaptureFixture[str], status: int = 0) -> str:
    """Run a command; return what it prints."""
    capsys.readouterr()
    assert run(words.split()) == status, capsys.readouterr().err
    return capsys.readouterr().out


# ----------------------------------------------------------- a backend


def entry_points(toml: str) -> str:
    """Return the entry points of a pyproject.toml as an installer writes them down."""
    groups = tomllib.loads(toml)["project"]["entry-points"]
    lines = [
        f"[{group}]\n{key} = {value}\n"
        for group, own in groups.items()
        for key, value in own.items()
    ]
    return "\n".join(lines)


@pytest.fixture
def own_backend(install: Install, blocks: Blocks) -> None:
    """The backend of the document, installed by the entry point of the document."""
    backend = blocks("own-backend.md", "python")[0]
    (toml,) = blocks("own-backend.md", "toml")
    install("my_package", {"my_package/__init__.py": backend}, entry_points(toml))


@pytest.mark.usefixtures("own_backend", "here")
def test_the_backend_of_the_document_is_found_by_name_and_compared(capsys) -> None:
    assert ["backends", "event, lava, mine, netx, reference", ""] in json.loads(
        printed("doctor --json", capsys)
    )["rows"]
    printed("export model.nir --target cpu --output net", capsys)
    shown = printed("verify net --input data.npz --against reference,mine", capsys)
    assert "event = reference  bit-exact" in shown
    assert "event = mine       bit-exact" in shown
    assert printed("simulate net --input data.npz --backend mine", capsys) == printed(
        "simulate net --input data.npz --backend reference", capsys
    ).replace("reference", "mine")


WRONG = """
from dataclasses import dataclass, replace

import numpy as np
from snn_deploy.backends.protocol import silent
from snn_deploy.backends.reference import ReferenceBackend

@dataclass(frozen=True)
class Wrong(ReferenceBackend):
    name: str = "wrong"

    def run(self, program, inputs, record, progress=silent):
        populations = tuple(replace(p, decay=np.asarray(p.decay - 1)) for p in program.populations)
        changed = replace(program, populations=populations)
        return ReferenceBackend().run(changed, inputs, record, progress)
"""


@pytest.mark.usefixtures("here")
def test_a_backend_that_computes_something_else_is_found_out(install: Install, capsys) -> None:
    install("wrong", {"wrong.py": WRONG}, "[snn_deploy.backends]\nwrong = wrong:Wrong\n")
    printed("export model.nir --target cpu --output net", capsys)
    shown = printed("verify net --input data.npz --against reference,wrong", capsys, status=3)
    assert "event = reference  bit-exact" in shown
    assert "wrong" in shown


# --------------------------------------------- a target, an energy profile


@pytest.mark.usefixtures("own_backend")
def test_a_chip_of_ones_own_goes_through_all_commands_with_its_backend_and_its_prices(
    here: Path, demo_network: Path, blocks: Blocks, capsys
) -> None:
    spikes = np.random.default_rng(0).random((2, 6, 1, 28, 28)) < 0.2
    np.savez("digits.npz", input=spikes.astype(np.uint8))
    copied = (ROOT / "examples" / "targets" / "half-loihi.toml").read_text()
    for before, after in (
        ('name = "half-loihi"', 'name = "my-board"'),
        ('writer = "lava"', 'writer = "mine"'),
        ('energy_profile = "loihi1-sanafe"', 'energy_profile = "my-chip.toml"'),
    ):
        assert before in copied
        copied = copied.replace(before, after)
    Path("my-board.toml").write_text(copied)
    (prices,) = blocks("energy.md", "toml")
    Path("my-chip.toml").write_text(prices)

    assert "weights.bits" in printed("targets my-board.toml --sources", capsys)
    printed(f"export {demo_network} --target my-board.toml --encode recorded --output net", capsys)
    assert b"conv1" in (here / "net" / "mine" / "program.txt").read_bytes()
    assert "event = mine       bit-exact" in printed(
        "verify net --input digits.npz --against reference,mine", capsys
    )
    estimate = json.loads(printed("estimate net --input digits.npz --json", capsys))
    told = json.loads(
        printed("estimate net --input digits.npz --profile my-chip.toml --json", capsys)
    )
    assert estimate == told
    assert "My chip, measured on a spring day" in printed("estimate net --input digits.npz", capsys)


# ----------------------------------------------------------- a framework

LIBRARY = '''
"""A framework nobody has heard of."""
import torch

class Tiny(torch.nn.Module):
    """v = share * v + x, s = v >= level, v = v - level * s."""

    def __init__(self, share, level):
        super().__init__()
        self.share, self.level, self.v = share, level, None

    def forward(self, x):
        self.v = x if self.v is None else self.share * self.v + x
        spikes = (self.v >= self.level).to(x.dtype)
        self.v = self.v - self.level * spikes
        return spikes

class Shy(torch.nn.Module):
    pass
'''

FRONTEND = '''
"""Reads tinysnn."""
from snn_deploy.frontends.layers import Cell
from snn_deploy.frontends.registry import Frontend
from snn_deploy.frontends.tensors import single_of
from snn_deploy.frontends.torch_layers import reader
from snn_deploy.ir.network import Reset
from snn_deploy.ir.neuron import Compare, ResetKind

def tiny(name, layer):
    level = single_of(layer.level)
    return Cell(
        decay=single_of(layer.share),
        threshold=level,
        compare=Compare.GREATER_EQUAL,
        reset=Reset(kind=ResetKind.SUBTRACT, amount=level),
    )

FRONTEND = Frontend(
    name="tinysnn",
    packages=("tinysnn.neurons",),
    layers={"Tiny": reader(tiny)},
    wrong={"Shy": "it never says anything"},
)
'''


@pytest.fixture
def tinysnn(install: Install) -> None:
    pytest.importorskip("torch")
    install(
        "tinysnn-deploy",
        {
            "tinysnn/__init__.py": "",
            "tinysnn/neurons.py": LIBRARY,
            "tinysnn_deploy.py": FRONTEND,
        },
        "[snn_deploy.frontends]\ntinysnn = tinysnn_deploy:FRONTEND\n",
    )


@pytest.mark.torch
@pytest.mark.usefixtures("tinysnn", "own_backend", "here")
def test_layers_of_a_framework_of_ones_own_are_read_live_and_saved_spike_for_spike(
    monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    import tinysnn.neurons
    import torch

    module = torch.nn.Sequential(
        torch.nn.Linear(12, 16), tinysnn.neurons.Tiny(0.5, 0.75),
        torch.nn.Linear(16, 4), tinysnn.neurons.Tiny(0.875, 0.5),
    )  # fmt: skip
    torch.save(module, "net.pt")
    spikes = (np.random.default_rng(1).random((3, 20, 12)) < 0.4).astype(np.uint8)
    np.savez("spikes.npz", input=spikes)

    network = load(module).network
    with torch.no_grad(), recorded({"1": module[1], "3": module[3]}) as kept:
        for step in spikes[0]:
            module(torch.tensor(step[None], dtype=torch.float32))
    theirs = {name: np.stack(rows) for name, rows in kept.items()}
    assert_same_spikes(network, spikes[0].astype(np.float64), theirs, exact=True)

    # the file is read as data: its framework need not be there
    monkeypatch.setitem(sys.modules, "tinysnn.neurons", None)
    printed("export net.pt --target loihi2 --output net", capsys)
    assert snn_deploy.load("net").network.population("1").decay == 0.5
    assert "event = mine       bit-exact" in printed(
        "verify net --input spikes.npz --against reference,mine", capsys
    )
    printed("estimate net --input spikes.npz", capsys)


@pytest.mark.torch
@pytest.mark.usefixtures("tinysnn", "here")
def test_what_an_own_frontend_refuses_is_refused_with_its_reason(capsys) -> None:
    import tinysnn.neurons
    import torch

    torch.save(torch.nn.Sequential(torch.nn.Linear(3, 2), tinysnn.neurons.Shy()), "shy.pt")
    assert run(["inspect", "shy.pt"]) == 1
    assert capsys.readouterr().err == "error[SNN203]: Shy: it never says anything\n  at: 1\n"


# -------------------------------------------------------------- a neuron

ARCHITECTURE = """
input = [12]
decode = "count"
[[layers]]
type = "Linear"
name = "fc1"
[[layers]]
type = "Neurons"
name = "resting"
decay = 0.75
refractory = 2
reset = "value"
tables = [{what = "threshold", rows = [0.5, 0.25, 0.125], repeats = true}]
[[layers]]
type = "Linear"
name = "fc2"
[[layers]]
type = "Neurons"
name = "last"
decay = 0.5
"""


def safetensors(**tensors: np.ndarray) -> bytes:
    """Return float32 tensors in the format of safetensors."""
    header, body = {}, b""
    for name, array in tensors.items():
        own = array.astype("<f4").tobytes()
        ends = [len(body), len(body) + len(own)]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": ends}
        body += own
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


@pytest.mark.usefixtures("own_backend", "here")
def test_neurons_of_ones_own_in_an_architecture_file_go_through_all_commands(capsys) -> None:
    rng = np.random.default_rng(2)
    weights = {"fc1.weight": rng.normal(0, 0.4, (16, 12)), "fc2.weight": rng.normal(0, 1, (4, 16))}
    Path("weights.safetensors").write_bytes(safetensors(**weights))
    Path("network.toml").write_text(ARCHITECTURE)
    np.savez("spikes.npz", input=(rng.random((3, 12, 12)) < 0.4).astype(np.uint8))
    printed("export weights.safetensors --arch network.toml --target cpu --output net", capsys)
    stated = snn_deploy.load("net").network.population("resting")
    assert stated.refractory is not None
    assert stated.refractory.steps == 2
    assert "event = mine       bit-exact" in printed(
        "verify net --input spikes.npz --against reference,mine", capsys
    )
    estimate = json.loads(
        printed("estimate net --input spikes.npz --profile horowitz-45nm --json", capsys)
    )
    assert estimate["value"] > 0


# ---------------------------------------------------------------- a pass

PRUNING = """
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.maps import Dense
from snn_deploy.quantize import Passed

@dataclass(frozen=True, slots=True, kw_only=True)
class Prune:
    name: ClassVar[str] = "prune"
    below: float

    def __call__(self, graph):
        findings, projections = [], []
        for p in graph.projections:
            if isinstance(p.map, Dense):
                small = np.abs(p.map.weight) < self.below
                p = replace(p, map=Dense(weight=np.where(small, 0, p.map.weight)))
                findings.append(Finding(
                    kind=Kind.CHANGED, layer=p.name, amount=f"{small.sum()} weights are 0",
                    reason=f"they are below {self.below}",
                ))
            projections.append(p)
        done = replace(graph, projections=tuple(projections))
        return Passed(graph=done, findings=tuple(findings))
"""


@pytest.mark.usefixtures("here")
def test_a_pass_of_ones_own_is_printed_hashed_and_run_in_its_place(install: Install) -> None:
    install("pruning", {"pruning.py": PRUNING}, "")
    import pruning

    shipped = pipeline_for(
        find_target("cpu"), encoding=Encoding(), calibration=None, options=Options()
    )
    place = [type(step) for step in shipped].index(ToIntegers)
    prune = pruning.Prune(below=0.05)
    with_it = Pipeline((*shipped.passes[:place], prune, *shipped.passes[place:]))
    assert str(with_it).splitlines()[place] == "prune(below=0.05)"
    assert with_it.digest != shipped.digest

    network = load("model.nir").network
    done, plain = with_it(network), shipped(network)
    assert [f for f in done.findings if f not in plain.findings]
    given = [Values(name=network.inputs[0].name, values=np.load("data.npz")["input"].astype(int))]
    one = ReferenceBackend().run(done.graph, given, EVERYTHING)
    other = EventBackend().run(done.graph, given, EVERYTHING)
    for population in done.graph.populations:
        for state, register in one[population.name].states.items():
            assert np.array_equal(register, other[population.name].states[state])


def test_contributing_says_where_each_of_these_is_added() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    asked = re.findall(r"^- \*\*(.*?)\?\*\*", text, re.MULTILINE)
    assert {
        "a framework",
        "a neuron",
        "a target",
        "a backend",
        "an energy profile",
        "a pass",
    } <= set(asked)
