"""The simulators that are compared: who they are, where they run, and what they cannot do."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from snn_deploy.backends.lava.environment import find_environment

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FRAMEWORKS_VARIABLE = "SNN_DEPLOY_FRAMEWORKS_PYTHON"
"""Names a Python with torch and the frameworks; else `.venv`'s, else the one that runs this."""

ORACLES_VARIABLE = "SNN_DEPLOY_ORACLES_PYTHON"
"""Names a Python with the emulators of chips; else `.venv-oracles`'s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A simulator that others wrote."""

    name: str
    script: str
    package: str
    """What its Python must be able to import."""

    python: Callable[[], Path | None]
    """Its Python; None: there is none."""

    install: str
    """The command that makes its environment."""

    exact: bool
    """It computes the same integers."""

    refused: str = ""
    """Why it can run none of the networks; empty if it can."""


def _frameworks() -> Path | None:
    named = os.environ.get(FRAMEWORKS_VARIABLE)
    found = Path(named) if named else ROOT / ".venv" / "bin" / "python"
    return found if found.is_file() else Path(sys.executable)


def _oracles() -> Path | None:
    named = os.environ.get(ORACLES_VARIABLE)
    found = Path(named) if named else ROOT / ".venv-oracles" / "bin" / "python"
    return found if found.is_file() else None


def _torch(name: str, package: str) -> Peer:
    return Peer(
        name=name,
        script="torch_peer.py",
        package=package,
        python=_frameworks,
        install="make peers TORCH=...",
        exact=False,
    )


def _emulator(name: str, script: str, package: str, *, exact: bool) -> Peer:
    return Peer(
        name=name,
        script=script,
        package=package,
        python=_oracles,
        install="make peers",
        exact=exact,
    )


PEERS = (
    Peer(
        name="lava",
        script="lava_peer.py",
        package="lava",
        python=find_environment,
        install="snn-deploy lava setup",
        exact=True,
    ),
    _emulator("nengo-loihi", "nengo_peer.py", "nengo_loihi", exact=True),
    _emulator("brian2-loihi", "brian2_peer.py", "brian2_loihi", exact=True),
    _emulator("nest", "nest_peer.py", "nest", exact=False),
    Peer(
        name="xylosim",
        script="",
        package="xylosim",
        python=_oracles,
        install="make peers",
        exact=True,
        refused=(
            "a Xylo has 16 inputs, 1,000 hidden neurons and 8 outputs, and another arithmetic "
            "(decay by shifts, saturation after each row): it can run none of these programs"
        ),
    ),
    _torch("snntorch", "snntorch"),
    _torch("norse", "norse"),
    _torch("sinabs", "sinabs"),
    _torch("spikingjelly", "spikingjelly"),
)


def missing(peer: Peer) -> str:
    """Return why a peer cannot run here at all; empty if it can."""
    if peer.refused:
        return peer.refused
    python = peer.python()
    if python is None:
        return f"no environment: {peer.install}"
    look = f"import importlib.util, sys; sys.exit(not importlib.util.find_spec({peer.package!r}))"
    ended = subprocess.run([python, "-c", look], check=False, capture_output=True, timeout=60)
    return f"{peer.package} is not installed: {peer.install}" if ended.returncode else ""


def command(peer: Peer, folder: Path) -> list[str | Path]:
    """Return how its child is started on a case folder."""
    python = peer.python()
    assert python is not None
    return [python, HERE / "children" / peer.script, peer.name, folder]


def our_command(folder: Path) -> list[str | Path]:
    """Return how the event simulator's child is started."""
    return [sys.executable, HERE / "ours.py", "event", folder]
