"""Names and paths lead nowhere else: no file outside the output is touched, and nothing hangs."""

import hashlib
import io
import os
import resource
import shutil
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

import nir
import numpy as np
import pytest

import snn_deploy
from snn_deploy.deploy import artifact
from snn_deploy.deploy.cli import run
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.manifest import PAGE, is_artifact, read_folder
from snn_deploy.deploy.plain_files import is_inner
from snn_deploy.errors import ArtifactDamagedError, CannotWriteError, DeployError
from snn_deploy.ir.words import escaped, unseen, visible


def network(name: str = "lif") -> nir.NIRGraph:
    rng = np.random.default_rng(0)
    ones = np.ones(3)
    nodes = {
        "input": nir.Input(input_type={"input": np.array([4])}),
        "fc": nir.Affine(weight=rng.normal(0.3, 1, (3, 4)), bias=0 * ones),
        name: nir.LIF(tau=5e-3 * ones, r=5 * ones, v_leak=0 * ones, v_threshold=ones),
        "output": nir.Output(output_type={"output": np.array([3])}),
    }
    edges = [("input", "fc"), ("fc", name), (name, "output")]
    graph = nir.NIRGraph(nodes=nodes, edges=edges, type_check=False)
    graph.metadata = {"dt": 1e-3}
    return graph


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model, data and an artifact."""
    folder = tmp_path_factory.mktemp("made")
    nir.write(folder / "model.nir", network())
    np.savez(folder / "data.npz", input=np.ones((2, 8, 4), np.uint8), label=np.array([0, 1]))
    snn_deploy.export(folder / "model.nir", target="netx", output=folder / "ready")
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of it to work in, with the user's home beside it."""
    folder = tmp_path / "work"
    shutil.copytree(made, folder)
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "TMPDIR"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.chdir(folder)
    return folder


def tree(root: Path) -> dict[str, tuple[int, int, str]]:
    """Return mode, time of change and content of everything below a folder."""

    def entries() -> Iterator[tuple[str, tuple[int, int, str]]]:
        for path in sorted(root.rglob("*")):
            found = path.lstat()
            content = ""
            if stat.S_ISREG(found.st_mode):
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            if path.is_symlink():
                content = str(path.readlink())
            when = 0 if path.is_dir() else found.st_mtime_ns
            yield str(path.relative_to(root)), (found.st_mode, when, content)

    return dict(entries())


LINES = (
    "export model.nir --target loihi1 --output out/a",
    "export model.nir --target cpu --calibrate data.npz --output out/b",
    "export model.nir --target cpu --output out/b --force",
    "export model.nir --target netx --dry-run",
    "export missing.nir --output out/never",
    "inspect model.nir",
    "nir model.nir --output out/model.nir",
    "netx ready --output out/model.net",
    "simulate ready --input data.npz",
    "verify ready --input data.npz --against reference",
    "evaluate ready --data data.npz --journal out/journal",
    "estimate ready --input data.npz",
    "report ready --input data.npz --output out/page.html",
    "diff ready out/a --input data.npz",
    "targets loihi2 --sources",
    "explain 603",
)


def test_commands_touch_nothing_outside_their_output(
    place: Path, capsys: pytest.CaptureFixture
) -> None:
    (place / "out").mkdir()
    before = tree(place.parent)
    for line in LINES:
        status = run(line.split())
        assert status in ((1,) if "missing" in line else (0, 3)), (line, capsys.readouterr().err)
        now = tree(place.parent)
        assert {name: now.get(name) for name in before} == before, line
        assert {name for name in now if not name.startswith("work/out/")} == set(before), line


def refusal(words: list[str | Path], capsys: pytest.CaptureFixture) -> str:
    """Return the error of a command that ends with one."""
    assert run([str(word) for word in words]) in {1, 2}
    return capsys.readouterr().err.strip()


INSIDE = {
    "export": ["export", "model.nir", "--output", "ready/sub"],
    "nir": ["nir", "model.nir", "--output", "ready/x.nir"],
    "report": ["report", "ready", "--output", "ready/report.html", "--force"],
    "evaluate": ["evaluate", "ready", "--data", "data.npz", "--journal", "ready/journal"],
}


@pytest.mark.parametrize("command", INSIDE)
def test_nothing_is_written_into_an_artifact(command: str, place: Path, capsys) -> None:
    before = tree(place)
    option = "--journal" if command == "evaluate" else "--output"
    kind = "FOLDER" if command == "export" else "FILE"
    assert refusal(INSIDE[command], capsys) == (
        f"error[SNN602]: the output lies inside the artifact {str(place / 'ready')!r}, which stays "
        "as it was exported\n"
        f"  at: {INSIDE[command][-1 - (command == 'report')]}\n"
        f"  fix: {option} {kind} elsewhere"
    )
    assert tree(place) == before


def test_a_link_into_an_artifact_is_the_artifact(place: Path, capsys) -> None:
    (place / "elsewhere").symlink_to("ready", target_is_directory=True)
    told = refusal(["nir", "model.nir", "--output", "elsewhere/x.nir"], capsys)
    assert told.startswith("error[SNN602]: the output lies inside the artifact ")


def test_a_file_that_is_read_is_not_replaced(place: Path, capsys) -> None:
    (place / "again").symlink_to("data.npz")
    os.link("model.nir", "twin.nir")
    for words in (
        ["nir", "model.nir", "--output", "model.nir", "--force"],
        ["nir", "model.nir", "--output", "twin.nir", "--force"],
        ["report", "ready", "--input", "data.npz", "--output", "data.npz", "--force"],
        ["report", "ready", "--input", "again", "--output", "data.npz", "--force"],
    ):
        before = tree(place)
        assert refusal(words, capsys) == (
            "error[SNN601]: the output is a file that this command reads, so --force does not "
            f"replace it\n  at: {words[-2]}\n  fix: --output FILE writes elsewhere"
        )
        assert tree(place) == before


def test_force_replaces_no_folder_with_files_of_the_user(place: Path, capsys) -> None:
    (place / "ready" / "notes.txt").write_text("mine")
    before = tree(place)
    assert refusal(["export", "model.nir", "--output", "ready", "--force"], capsys) == (
        "error[SNN601]: the artifact that is there also holds 'notes.txt', which no export wrote "
        "and which --force would remove\n"
        "  at: ready\n"
        "  fix: move it elsewhere, or --output FOLDER"
    )
    assert tree(place) == before


def test_the_manifest_of_another_program_makes_no_artifact(place: Path, capsys) -> None:
    (place / "site").mkdir()
    (place / "site" / "manifest.json").write_text('{"name": "site", "icons": []}')
    told = refusal(["export", "model.nir", "--output", "site", "--force"], capsys)
    assert told.startswith("error[SNN601]: the output is there but is no artifact of ours")
    assert not is_artifact(place / "site")


@pytest.mark.parametrize(
    "output", ["loop/x", "dangling/x", "model.nir/x", "/proc/x", "/dev/null/x"]
)
def test_a_place_that_is_none_is_an_error(output: str, place: Path, capsys) -> None:
    (place / "loop").symlink_to("loop")
    (place / "dangling").symlink_to("nowhere")
    before = tree(place)
    assert refusal(["export", "model.nir", "--output", output], capsys).startswith(
        "error[SNN602]: the output could not be written: "
    )
    assert tree(place) == before


@pytest.mark.parametrize("output", ["loop", "dangling", "data.npz", "link"])
@pytest.mark.parametrize("force", [False, True])
def test_what_is_there_and_no_artifact_is_not_replaced(
    output: str, force: bool, place: Path, capsys
) -> None:
    (place / "loop").symlink_to("loop")
    (place / "dangling").symlink_to("nowhere")
    (place / "link").symlink_to("ready")
    before = tree(place)
    words = ["export", "model.nir", "--output", output, *(["--force"] if force else [])]
    assert refusal(words, capsys).startswith("error[SNN601]: ")
    assert tree(place) == before


def test_a_file_beyond_the_systems_limit_is_an_error_and_leaves_nothing(place: Path) -> None:
    before = tree(place)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(CannotWriteError) as folder:
            artifact.write_folder({"a": bytes(10), "b": bytes(2000)}, place / "out")
        with pytest.raises(CannotWriteError):
            artifact.write_file(bytes(2000), place / "file")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(folder.value) == (
        "error[SNN602]: the output could not be written: File too large; nothing is left of it\n"
        f"  at: {place / 'out'}\n"
        "  fix: --output FOLDER writes elsewhere"
    )
    assert tree(place) == before


PIPES = (
    ["export", "PIPE.nir", "--output", "x"],
    ["export", "weights.safetensors", "--arch", "PIPE", "--output", "x"],
    ["export", "model.nir", "--target", "PIPE.toml", "--output", "x"],
    ["export", "model.nir", "--calibrate", "PIPE", "--output", "x"],
    ["export", "model.nir", "--config", "PIPE", "--output", "x"],
    ["simulate", "ready", "--input", "PIPE"],
    ["simulate", "PIPE", "--input", "data.npz"],
    ["estimate", "ready", "--input", "data.npz", "--profile", "PIPE.toml"],
    ["evaluate", "ready", "--data", "data.npz", "--labels", "PIPE"],
    ["evaluate", "ready", "--data", "data.npz", "--journal", "PIPE"],
    ["report", "ready", "--output", "PIPE", "--force"],
    ["diff", "ready", "PIPE"],
)


@pytest.mark.parametrize("what", ["pipe", "zero"])
@pytest.mark.parametrize("line", PIPES, ids=" ".join)
def test_a_pipe_or_device_is_refused_and_not_waited_for(
    what: str, line: list[str], place: Path, capsys
) -> None:
    (place / "weights.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    words = []
    for word in line:
        if "PIPE" in word:
            if what == "pipe":
                os.mkfifo(word)
            else:
                Path(word).symlink_to("/dev/zero")
        words.append(word)
    assert refusal(words, capsys).startswith("error[SNN")


def damaged(folder: Path) -> str:
    with pytest.raises(ArtifactDamagedError) as caught:
        read_folder(folder)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
@pytest.mark.parametrize("name", ["program.npz", "manifest.json"])
def test_a_file_of_an_artifact_that_is_none_is_named(kind: str, name: str, place: Path) -> None:
    (place / "ready" / name).rename(place / name)
    if kind == "link":
        (place / "ready" / name).symlink_to(place / name)
    elif kind == "pipe":
        os.mkfifo(place / "ready" / name)
    else:
        (place / "ready" / name).mkdir()
    assert name in damaged(place / "ready")


def test_a_folder_of_an_artifact_that_is_a_link_is_named(place: Path) -> None:
    files = {"deep/a": b"1", "b": b"2"}
    from snn_deploy.deploy.manifest import SCHEMA, FileRecord, Manifest, manifest_bytes, record_of
    from snn_deploy.deploy.seal import OPEN

    manifest = Manifest(
        schema=SCHEMA.label,
        version="",
        name="",
        target="",
        program_digest="",
        model=FileRecord(sha256="", bytes=0),
        configuration={},
        encoding={},
        pipeline=(),
        findings=(),
        files={n: record_of(c) for n, c in files.items()},
        seal=OPEN,
    )
    artifact.write_folder({**files, "manifest.json": manifest_bytes(manifest)}, place / "out")
    assert set(read_folder(place / "out")[1]) == set(files)
    (place / "out" / "deep").rename(place / "deep")
    (place / "out" / "deep").symlink_to("../deep")
    told = damaged(place / "out")
    assert "a file of the artifact leads elsewhere: 'deep' is no folder of its own" in told


NAMES = (
    *("../x", "/etc/x", "a/b", "..", ".", "", "x" * 300, "CON", "aux.txt", "C:\\x", "a\\b"),
    *("a\nb", "a\0b", "\x1b[31mred\x1b[0m", "\x9b31m", "\N{RIGHT-TO-LEFT OVERRIDE}cba"),
    *("\N{CYRILLIC SMALL LETTER A}b", "<img src=x onerror=alert(1)>", "';alert(1);//", "]]><x>"),
    *('" onload="alert(1)', "{{7*7}}", "%s%n", "$(touch x)", "-rf", "\N{ZERO WIDTH SPACE}"),
)


def exported(graph: nir.NIRGraph, output: Path, options: dict) -> Deployment | None:
    """Return what was exported; None: it was refused with a number."""
    try:
        return snn_deploy.export(graph, target="cpu", output=output, **options)
    except DeployError:
        return None


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_in_a_model_names_no_file_and_steers_no_screen(
    name: str, place: Path, capsys: pytest.CaptureFixture
) -> None:
    for options in ({"name": "plain"}, {"name": name}):
        graph = network(name if options["name"] == "plain" else "lif")
        before = tree(place.parent)
        made = exported(graph, place / "out", options)
        if made is None:
            assert tree(place.parent) == before
            continue
        assert all(is_inner(file) for file in made.files)
        page = (place / "out" / PAGE).read_text() if (place / "out" / PAGE).exists() else ""
        assert "<img src=x" not in page
        assert '" onload="' not in page
        assert "<x>" not in page
        assert not any(unseen(c) for c in visible(str(made)).replace("\n", ""))
        shutil.rmtree(place / "out")
        assert tree(place.parent) == before


def test_what_would_steer_a_terminal_is_not_printed(place: Path, capsys) -> None:
    told = refusal(["export", "\x1b]0;title\x07\x9b31m.nir", "--output", "x\u202e"], capsys)
    assert "\N{REPLACEMENT CHARACTER}" in told
    assert not any(unseen(c) for c in told.replace("\n", ""))


def test_json_means_the_same_where_unseen_characters_are_escaped() -> None:
    import json

    text = 'a"\\b\n\x9b\u202e\U000e0001\N{SNOWMAN}'
    document = json.dumps({"x": text}, ensure_ascii=False, indent=2)
    shown = escaped(document)
    assert json.loads(shown) == {"x": text}
    assert not any(unseen(c) for c in shown.replace("\n", ""))
    assert "\N{SNOWMAN}" in shown


def test_members_of_an_archive_that_lead_elsewhere_are_not_unpacked(place: Path, capsys) -> None:
    inner = io.BytesIO()
    np.save(inner, np.ones((1, 2, 4), np.uint8))
    with zipfile.ZipFile(place / "slip.npz", "w") as file:
        for name in ("../slip.npy", "/slip.npy", "input.npy"):
            file.writestr(name, inner.getvalue())
    before = tree(place.parent)
    assert run(["simulate", "ready", "--input", "slip.npz"]) in {0, 1}
    assert tree(place.parent) == before
