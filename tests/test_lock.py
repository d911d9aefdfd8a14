"""What CI installs is pinned, with digests, and covers what pyproject.toml asks for."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

packaging = pytest.importorskip("packaging.requirements")
from packaging.utils import canonicalize_name  # noqa: E402 - it may be absent

ROOT = Path(__file__).parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins(lock: str) -> dict[str, set[str]]:
    """Return the versions of each package: another one for some Pythons, perhaps."""
    found: dict[str, set[str]] = {}
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    for name, version in re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==(\S+)", text, re.MULTILINE):
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


@pytest.mark.parametrize("path", LOCKS, ids=lambda p: p.stem)
def test_every_package_of_a_lock_has_a_version_and_digests_and_no_address(path: Path) -> None:
    text = path.read_text()
    assert "://" not in text
    for entry in re.sub(r" \\\n *", " ", text).splitlines():
        line = entry.strip()
        if line and not line.startswith("#"):
            assert re.match(r"[\w.-]+(\[[\w,-]+\])?==\S+ .*--hash=sha256:[0-9a-f]{64}", line), line


@pytest.mark.parametrize("lock", ["product", "dev"])
def test_a_lock_allows_what_the_project_asks_for(lock: str) -> None:
    extras = PROJECT["optional-dependencies"]
    asked = [*PROJECT["dependencies"], *extras["report"], *(extras["dev"] if lock == "dev" else [])]
    held = pins(lock)
    for text in asked:
        wanted = packaging.Requirement(text)
        versions = held[canonicalize_name(wanted.name)]
        assert all(wanted.specifier.contains(version) for version in versions), text


def test_both_locks_agree_and_torch_is_in_none() -> None:
    product, dev = pins("product"), pins("dev")
    assert {name: dev[name] for name in product} == product
    for path in LOCKS:
        assert "torch" not in pins(path.stem)


def test_frameworks_are_pinned_as_the_tests_name_them() -> None:
    held = pins("frameworks")
    for line in (ROOT / "tests" / "frameworks.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, version = line.split("==")
            assert held[canonicalize_name(name)] == {version}


def test_the_bill_of_materials_lists_what_is_pinned(tmp_path: Path) -> None:
    pytest.importorskip("cyclonedx_py")
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", "--output-reproducible"]
    options = ["--pyproject", "pyproject.toml", "--short-PURLs", "--output-file", tmp_path / "b"]
    subprocess.run([*command, *options, "requirements/product.txt"], cwd=ROOT, check=True)
    bill = json.loads((tmp_path / "b").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == PROJECT["name"]
    listed: dict[str, set[str]] = {}
    for component in bill["components"]:
        listed.setdefault(canonicalize_name(component["name"]), set()).add(component["version"])
    assert listed == pins("product")
