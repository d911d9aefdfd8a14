"""`inspect`: what a model file or an artifact holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from snn_deploy.deploy.api.given import load, request_from
from snn_deploy.deploy.unheard import unheard
from snn_deploy.errors import OptionError
from snn_deploy.ir.paths import is_folder

if TYPE_CHECKING:
    from snn_deploy.deploy.results import Inspection


def inspect(
    path: Annotated[Path, Parameter(name="FILE")],
    /,
    *,
    dialect: str | None = None,
    dt: float | None = None,
    reset: str | None = None,
    compare: str | None = None,
    floor: float | None = None,
    arch: Path | None = None,
    module: str | None = None,
    sample_shape: str | None = None,
    simulate: Annotated[Any, Parameter()] = None,
    front: bool = False,
) -> Inspection:
    """Show what a model file or an artifact holds, and where each rule comes from.

    $ snn-deploy inspect cnn_sinabs.nir --dialect sinabs
    $ snn-deploy inspect weights.pt > network.toml
    $ snn-deploy inspect mnist-loihi2 --front

    Of weights alone it drafts the architecture file that they need.

    Args:
        path: A model file or an artifact folder.
        dialect: Framework that wrote the NIR file, where the file does not say.
        dt: Length of a step, in the file's unit of time.
        reset: As for export.
        compare: As for export.
        floor: As for export.
        arch: As for export.
        module: As for export.
        sample_shape: As for export.
        simulate: Data file: run the model on it, and with `--module` its framework too, and
            compare every spike. Of an artifact: the data whose activity `--front` goes by.
        front: Of an artifact: list the numbers of cores that it can be mapped to, from the fewest
            to the shortest step, with time and energy of each.

    Returns:
        The text, and the findings.

    Raises:
        OptionError: an option that does not go with what is inspected (SNN102).
        ModelError: the file cannot be read (SNN201 to SNN207), or the data cannot be used (SNN208).
        UnsupportedError: the front of a chip without cores (SNN301).
        ArtifactDamagedError: a file of the artifact was changed (SNN603).
        CoresError: the front of a network that does not fit (SNN700).
    """
    from snn_deploy.deploy import inspecting  # noqa: PLC0415

    path = Path(path)
    how = {
        "dialect": dialect,
        "dt": dt,
        "reset": reset,
        "compare": compare,
        "floor": floor,
        "arch": arch,
        "module": module,
        "sample_shape": sample_shape,
    }
    if is_folder(path):
        _check_unstated(how)
        return inspecting.of_artifact(path, load(path), simulate, front=front)
    if front:
        raise OptionError(
            "the front of cores is that of an artifact",
            where="--front",
            fix="snn-deploy export, then snn-deploy inspect ARTIFACT --front",
        )
    return inspecting.of_model(path, request_from(**how), simulate)


def _check_unstated(how: dict[str, Any]) -> None:
    """Refuse options of reading a model, by argument, where none is read.

    Raises:
        OptionError: one is stated.
    """
    for name, stated in how.items():
        if stated is not None:
            raise unheard(name, "says how a model file is read, and this is an artifact")
