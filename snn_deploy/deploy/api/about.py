"""`targets`, `doctor`, `explain` and `lava setup`: what there is, and what works here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snn_deploy.deploy.results import Listing, Text


def show_targets(name: str | None = None, /, *, sources: bool = False) -> Listing:
    """List the chips, or every number of one.

    $ snn-deploy targets
    $ snn-deploy targets loihi2 --sources

    Args:
        name: One target.
        sources: Show where each number was read.

    Returns:
        The table.

    Raises:
        UnknownNameError: no target is called so (SNN101).
        TargetError: the file of a target is wrong (SNN400).
    """
    from snn_deploy.deploy import listings  # noqa: PLC0415

    return listings.targets() if name is None else listings.target(name, sources=sources)


def doctor() -> Listing:
    """Say what is installed and what each part can do here.

    $ snn-deploy doctor

    Returns:
        The table.
    """
    from snn_deploy.deploy import listings  # noqa: PLC0415

    return listings.doctor()


def explain(code: str, /) -> Text:
    """Explain an error by its number.

    $ snn-deploy explain SNN302

    Args:
        code: The number, with or without SNN.

    Returns:
        What it means: cause, example and cure.

    Raises:
        UnknownNameError: no error has the number (SNN101).
    """
    from snn_deploy.deploy import explanations  # noqa: PLC0415
    from snn_deploy.deploy.results import Text  # noqa: PLC0415

    return Text(text=explanations.explain(code))


def lava_setup(*, path: Path | None = None, dry_run: bool = False) -> Text:
    """Make the Python 3.10 environment that the Lava backend runs in.

    $ snn-deploy lava setup

    Args:
        path: Folder of the environment; by default inside the current virtual environment.
        dry_run: Make nothing, and say what would be made.

    Returns:
        Where it is.

    Raises:
        LavaMissingError: no Python 3.10 runs on this machine (SNN501).
        LavaTimeoutError: it took longer than half an hour (SNN502).
        LavaFailedError: pip could not install, or Lava does not work (SNN503).
        CannotWriteError: the folder cannot be written, or holds something else (SNN602).
    """
    from snn_deploy.backends.lava.environment import plan, setup  # noqa: PLC0415
    from snn_deploy.deploy.progress import say  # noqa: PLC0415
    from snn_deploy.deploy.results import Text  # noqa: PLC0415

    if dry_run:
        return Text(text=plan(path))
    return Text(text=f"Lava environment: {setup(path, progress=say)}")
