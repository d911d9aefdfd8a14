"""Layers of norse that an architecture file can name."""

from collections.abc import Mapping
from typing import Any

from snn_deploy.frontends.arch.kind import Attributes, LayerKind
from snn_deploy.frontends.torch_file import Reference, Stub, set_state


def _norse(where: str, given: Attributes) -> Attributes:
    """Gather the parameters of a cell as norse does."""
    outside = {name: given.pop(name) for name in ("dt", "input_weights", "recurrent_weights")}
    reset = given.pop("reset_method", None)
    if reset is not None:
        given["reset_method"] = Reference("norse.torch.functional.reset", reset)
    parameters = Stub("norse.torch.functional.Parameters")
    set_state(parameters, given)
    return {**outside, "p": parameters}


_NORSE: Mapping[str, Any] = {
    "dt": 1e-3,
    "input_weights": None,
    "recurrent_weights": None,
    "tau_mem_inv": 100.0,
    "v_leak": 0.0,
    "v_th": 1.0,
    "v_reset": 0.0,
    "method": "super",
}

_CURRENT: Mapping[str, Any] = {"tau_syn_inv": 200.0}

_BOXED: Mapping[str, Any] = {"reset_method": "reset_value"}


def _nor(name: str, module: str, *needs: str, **more: Any) -> tuple[str, LayerKind]:
    path = f"norse.torch.module.{module}.{name}"
    return name, LayerKind(path=path, needs=needs, defaults={**_NORSE, **more}, finish=_norse)


NORSE: Mapping[str, LayerKind] = dict(
    (
        _nor("LIFBoxCell", "lif_box", **_BOXED),
        _nor("LIFCell", "lif", **_CURRENT),
        _nor("LIF", "lif", **_CURRENT),
        _nor("LIFRecurrentCell", "lif", "input_weights", "recurrent_weights", **_CURRENT),
        _nor("LIFRecurrent", "lif", "input_weights", "recurrent_weights", **_CURRENT),
        _nor("LIBoxCell", "leaky_integrator_box"),
        _nor("LICell", "leaky_integrator", **_CURRENT),
        _nor("LI", "leaky_integrator", **_CURRENT),
        _nor("LILinearCell", "leaky_integrator", "input_weights", **_CURRENT),
        _nor("IAFCell", "iaf"),
        _nor("IAF", "iaf"),
    )
)
