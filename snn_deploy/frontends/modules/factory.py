"""Modules that the user's own code makes: it runs only because the user named it."""

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from snn_deploy.errors import ModelError, OptionError, ShapeError
from snn_deploy.frontends.modules.containers import is_module


def module_from(factory: str, tensors: Mapping[str, np.ndarray]) -> Any:
    """Return the module that a factory makes, with the weights of a state dict.

    Args:
        factory: `package.module:function`, found from the current folder too.
        tensors: What the file of weights holds, by key.

    Raises:
        OptionError: there is no such function, or it makes no module.
        ModelError: it fails, or torch has no tensor of that type.
        ShapeError: the weights do not fit the module.
    """
    module = _made(factory, _found(factory))
    state = {key: _tensor(key, value) for key, value in tensors.items()}
    try:
        module.load_state_dict(state)
        return module.eval()
    except RuntimeError as error:
        raise ShapeError(
            f"the weights do not fit the module that {factory} makes: "
            + " ".join(str(error).split()),
            where=factory,
        ) from error
    except Exception as error:
        raise _failed(factory, error) from error


def _tensor(key: str, value: np.ndarray) -> Any:
    import torch  # noqa: PLC0415 - only where a module is made

    try:
        return torch.tensor(np.ascontiguousarray(value).reshape(np.shape(value)))
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"torch has no tensor of {np.asarray(value).dtype}: {error}", where=key
        ) from error


def _found(factory: str) -> Any:
    package, colon, function = factory.partition(":")
    if not (package and colon and function):
        raise OptionError(
            f"{factory!r} does not name a function",
            where="--module",
            fix="--module package.module:function",
        )
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        found = importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise OptionError(
            f"there is no Python module {error.name!r}",
            where="--module",
            fix="run the command in the folder that holds it, or install it",
        ) from error
    except Exception as error:
        raise _failed(factory, error) from error
    finally:
        sys.path.remove(here)
    made: Any = found
    for name in function.split("."):
        made = getattr(made, name, None)
    if not callable(made):
        raise OptionError(
            f"{package} has no function {function!r}", where="--module", fix="check its name"
        )
    return made


def _made(factory: str, function: Any) -> Any:
    try:
        module = function()
    except Exception as error:
        raise _failed(factory, error) from error
    if not is_module(module):
        raise OptionError(
            f"{factory} gives a {type(module).__name__}, not a torch module",
            where="--module",
            fix="name a function without arguments that returns the network",
        )
    return module


def _failed(factory: str, error: Exception) -> ModelError:
    return ModelError(
        f"it fails with {type(error).__name__}: {error}",
        where=factory,
        fix="call it in Python to see where",
    )
