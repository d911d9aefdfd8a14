"""Layers of SpikingJelly that an architecture file can name."""

from collections.abc import Mapping
from typing import Any

from snn_deploy.errors import UnknownNodeError
from snn_deploy.frontends.arch.kind import Attributes, LayerKind
from snn_deploy.frontends.torch_file import Stub, set_state


def _spikingjelly(where: str, given: Attributes) -> Attributes:
    """Give a neuron the surrogate that changes no spike, and the states it starts from."""
    soft = given.pop("soft_reset")  # v_reset=None, which TOML has no word for
    if soft and given["v_reset"] is not None:
        raise UnknownNodeError(
            "v_reset means nothing with soft_reset = true", where=where, fix="leave one of them out"
        )
    start = 0.0 if given["v_reset"] is None else given["v_reset"]
    given["v_reset"] = None if soft else start
    surrogate = Stub("spikingjelly.activation_based.surrogate.Sigmoid")
    set_state(surrogate, {"spiking": True})
    given["surrogate_function"] = surrogate
    given["_memories"], given["_memories_rv"] = {"v": start}, {"v": start}
    if "c_decay" in given:
        given["_memories"]["c"] = given["_memories_rv"]["c"] = 0.0
    return given


_JELLY: Mapping[str, Any] = {
    "v_threshold": 1.0,
    "v_reset": None,
    "soft_reset": False,
    "step_mode": "s",
    "detach_reset": False,
    "store_v_seq": False,
}


def _jel(name: str, *needs: str, **more: Any) -> tuple[str, LayerKind]:
    path = f"spikingjelly.activation_based.neuron.{name}"
    defaults = {**_JELLY, **more}
    return name, LayerKind(path=path, needs=needs, defaults=defaults, finish=_spikingjelly)


SPIKINGJELLY: Mapping[str, LayerKind] = dict(
    (
        _jel("IFNode"),
        _jel("LIFNode", tau=2.0, decay_input=True),
        _jel("ParametricLIFNode", "w", decay_input=True),
        _jel("CUBALIFNode", "c_decay", "v_decay"),
    )
)
