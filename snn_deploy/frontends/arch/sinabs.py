"""Layers of sinabs that an architecture file can name."""

from collections.abc import Mapping
from typing import Any

from snn_deploy.errors import UnknownNodeError
from snn_deploy.frontends.arch.kind import SINGLE, Attributes, LayerKind
from snn_deploy.frontends.arch.torch import weights_kind
from snn_deploy.frontends.torch_file import Reference, Stub, set_state


def _sinabs(where: str, given: Attributes) -> Attributes:
    """Turn the names of the spike function and of the reset into what the layer keeps."""
    _check_sinabs(where, given)
    spikes, most = given["spike_fn"], given.pop("max_num_spikes_per_bin")
    function = Reference("sinabs.activation.spike_generation", spikes)
    if spikes == "MaxSpike":
        given["spike_fn"] = Stub(function.type_name)
        set_state(given["spike_fn"], {"max_num_spikes_per_bin": most})
    else:
        given["spike_fn"] = function
    reset = Stub(f"sinabs.activation.reset_mechanism.{given['reset_fn']}")
    values = {name: given.pop(name) for name in ("subtract_value", "reset_value")}
    values["reset_value"] = 0.0 if values["reset_value"] is None else values["reset_value"]
    set_state(reset, values)
    given["reset_fn"] = reset
    given["train_alphas"] = not _all_none(given, "alpha_mem", "alpha_syn")
    return given


def _check_sinabs(where: str, given: Attributes) -> None:
    """Refuse options that the layer would not read.

    Raises:
        UnknownNodeError: one means nothing beside another, or a time constant is missing.
    """
    idle = {
        "max_num_spikes_per_bin": given["spike_fn"] != "MaxSpike",
        "subtract_value": given["reset_fn"] != "MembraneSubtract",
        "reset_value": given["reset_fn"] != "MembraneReset",
    }
    for option, is_idle in idle.items():
        if is_idle and given[option] is not None:
            raise UnknownNodeError(
                f"{option} means nothing with spike_fn = {given['spike_fn']!r} and reset_fn = "
                f"{given['reset_fn']!r}",
                where=where,
                fix="leave it out",
            )
    if not (_all_none(given, "tau_mem", "tau_syn") or _all_none(given, "alpha_mem", "alpha_syn")):
        raise UnknownNodeError(
            "both time constants and decays (alpha_mem, alpha_syn) are given",
            where=where,
            fix="leave the time constants out: a layer with train_alphas has none",
        )
    if "tau_mem" in given and _all_none(given, "tau_mem", "alpha_mem"):
        raise UnknownNodeError(
            "a leaky layer needs 'tau_mem' or 'alpha_mem', and neither the file of weights nor "
            "the architecture has it",
            where=where,
            fix="tau_mem = ... in the architecture file",
        )


def _all_none(given: Attributes, *names: str) -> bool:
    return all(given.get(name) is None for name in names)


_SINABS: Mapping[str, Any] = {
    "spike_threshold": 1.0,
    "spike_fn": "MultiSpike",
    "max_num_spikes_per_bin": None,
    "reset_fn": "MembraneSubtract",
    "subtract_value": None,
    "reset_value": None,
    "min_v_mem": None,
    "norm_input": False,
    "tau_syn": None,
    "alpha_mem": None,
    "alpha_syn": None,
    "v_mem": SINGLE,
    "i_syn": SINGLE,
}


def _sin(name: str, module: str, *needs: str, **more: Any) -> tuple[str, LayerKind]:
    path = f"sinabs.layers.{module}.{name}"
    inner = {"rec_connect": weights_kind} if "rec_connect" in needs else {}
    defaults = {**_SINABS, **more}
    return name, LayerKind(path=path, needs=needs, defaults=defaults, inner=inner, finish=_sinabs)


_LEAKY_SINABS: Mapping[str, Any] = {"tau_mem": None, "norm_input": True}

SINABS: Mapping[str, LayerKind] = dict(
    (
        _sin("IAF", "iaf"),
        _sin("IAFSqueeze", "iaf"),
        _sin("IAFRecurrent", "iaf", "rec_connect"),
        _sin("LIF", "lif", **_LEAKY_SINABS),
        _sin("LIFSqueeze", "lif", **_LEAKY_SINABS),
        _sin("LIFRecurrent", "lif", "rec_connect", **_LEAKY_SINABS),
        _sin("ExpLeak", "exp_leak", tau_mem=None, norm_input=False),
        (
            "SumPool2d",
            LayerKind(
                path="sinabs.layers.pool2d.SumPool2d",
                needs=("kernel_size",),
                defaults={"stride": None, "ceil_mode": False, "norm_type": 1},
            ),
        ),
    )
)
