"""The layers that an architecture file can name: their classes, and what they are by default.

A layer of the file becomes a record with the attributes that the framework's constructor would
have set; the framework's own reader then reads it like any other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snn_deploy.errors import UnknownNodeError
from snn_deploy.frontends.arch_options import checked
from snn_deploy.frontends.torch_stub import Reference, Stub, set_state

Attributes = dict[str, Any]

SINGLE = np.zeros((), np.float32)
"""A state whose dtype says that the layer computes in float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerKind:
    """A class of layers."""

    path: str
    """Full name of the class."""

    defaults: Mapping[str, Any] = field(default_factory=dict)
    """What its constructor sets without being told."""

    needs: tuple[str, ...] = ()
    """Options or tensors without which it is no layer."""

    inner: Mapping[str, "Inner"] = field(default_factory=dict)
    """Layers that it holds: what makes each of them out of its own options and tensors."""

    finish: Callable[[str, Attributes], Attributes] = lambda where, given: given
    """Turns options of the file into what the constructor makes of them."""

    def record(self, where: str, given: Mapping[str, Any]) -> Stub:
        """Return the layer with options and tensors, those of an inner layer by dotted names or
        in a table of its name.

        Raises:
            UnknownNodeError: an option that it does not have, or one that it lacks.
            FileDamagedError: one of another type.
        """
        known = {*self.defaults, *self.needs}
        given = self._with_inner(where, given)
        for option in given:
            if option not in known:
                raise UnknownNodeError(
                    f"{self.path.rpartition('.')[2]} has no option or tensor {option!r}",
                    where=where,
                    fix=f"known are {', '.join(sorted(known))}",
                )
        for option in self.needs:
            if option not in given:
                raise UnknownNodeError(
                    f"{self.path.rpartition('.')[2]} needs {option!r}, and neither the file of "
                    "weights nor the architecture has it",
                    where=where,
                    fix=f"{option} = ... in the architecture file",
                )
        stub = Stub(self.path)
        own = {option: checked(option, value, where) for option, value in given.items()}
        set_state(stub, self.finish(where, {**self.defaults, **own}))
        return stub

    def _with_inner(self, where: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return options and tensors, those of an inner layer put together to the record of it."""
        made: dict[str, Any] = {}
        members: dict[str, dict[str, Any]] = {}
        for option, value in given.items():
            head, dot, rest = option.partition(".")
            if head in self.inner and dot:
                members.setdefault(head, {})[rest] = value
            elif head in self.inner and isinstance(value, dict):
                members.setdefault(head, {}).update(value)
            else:
                made[option] = value
        for head, own in members.items():
            made[head] = self.inner[head](f"{where}.{head}", own)
        return made


Inner = Callable[[str, Mapping[str, Any]], Stub]
"""(where, options and tensors) -> the record of an inner layer."""


def _torch(name: str, needs: tuple[str, ...] = (), **defaults: Any) -> tuple[str, LayerKind]:
    return name, LayerKind(path=f"torch.nn.modules.{name}", needs=needs, defaults=defaults)


_KERNEL: Mapping[str, Any] = {
    "bias": None,
    "stride": 1,
    "padding": 0,
    "dilation": 1,
    "groups": 1,
    "padding_mode": "zeros",
}
_NORMALISED: Mapping[str, Any] = {
    "weight": None,
    "bias": None,
    "eps": 1e-5,
    "num_batches_tracked": None,
}
_STATISTICS = ("running_mean", "running_var")
_AVERAGE: Mapping[str, Any] = {
    "stride": None,
    "padding": 0,
    "ceil_mode": False,
    "count_include_pad": True,
    "divisor_override": None,
}
_LARGEST: Mapping[str, Any] = {
    "stride": None,
    "padding": 0,
    "dilation": 1,
    "ceil_mode": False,
    "return_indices": False,
}

TORCH: Mapping[str, LayerKind] = dict(
    (
        _torch("Linear", ("weight",), bias=None),
        _torch("Conv1d", ("weight",), **_KERNEL),
        _torch("Conv2d", ("weight",), **_KERNEL),
        _torch("ConvTranspose1d", ("weight",), **_KERNEL, output_padding=0),
        _torch("ConvTranspose2d", ("weight",), **_KERNEL, output_padding=0),
        _torch("BatchNorm1d", _STATISTICS, **_NORMALISED),
        _torch("BatchNorm2d", _STATISTICS, **_NORMALISED),
        _torch("AvgPool1d", ("kernel_size",), **_AVERAGE),
        _torch("AvgPool2d", ("kernel_size",), **_AVERAGE),
        _torch("MaxPool1d", ("kernel_size",), **_LARGEST),
        _torch("MaxPool2d", ("kernel_size",), **_LARGEST),
        _torch("AdaptiveAvgPool1d", ("output_size",)),
        _torch("AdaptiveAvgPool2d", ("output_size",)),
        _torch("Upsample", size=None, scale_factor=None, mode="nearest"),
        _torch("Flatten", start_dim=1, end_dim=-1),
        _torch("Unflatten", ("unflattened_size",), dim=1),
        _torch("Dropout", p=0.5),
        _torch("Identity"),
        _torch("ReLU"),
        _torch("ReLU6"),
        _torch("Hardtanh", min_val=-1.0, max_val=1.0),
    )
)


KIND_BY_AXES = {2: "Linear", 3: "Conv1d", 4: "Conv2d"}
"""The layer that a weight of so many axes belongs to, where nothing else says it."""


def _weights(where: str, given: Mapping[str, Any]) -> Stub:
    """Return a Linear or a convolution, whichever fits its weights.

    Raises:
        UnknownNodeError: neither does.
    """
    kind = KIND_BY_AXES.get(getattr(given.get("weight"), "ndim", 0))
    if kind is None:
        raise UnknownNodeError("it is neither Linear nor a convolution", where=where)
    return TORCH[kind].record(where, given)


def _recurrent_snntorch(where: str, given: Mapping[str, Any]) -> Stub:
    """Return the recurrent connections of snnTorch: one to one, dense, or by a convolution that
    keeps the size, padded by half of its kernel."""
    if "V" in given:
        kind = LayerKind(path="snntorch._neurons.rleaky.RecurrentOneToOne", needs=("V",))
        return kind.record(where, given)
    shape = getattr(given.get("weight"), "shape", ())
    if len(shape) < 4:
        return _weights(where, given)
    return _weights(where, {"padding": [side // 2 for side in shape[2:]], **given})


def _snntorch(where: str, given: Attributes) -> Attributes:
    """Turn `reset_mechanism` into the number that the layer keeps."""
    numbers = {"subtract": 0, "zero": 1, "none": 2}
    named = given.pop("reset_mechanism")
    if named is not None:
        if named not in numbers:
            raise UnknownNodeError(
                f"reset_mechanism is {named!r}", where=where, fix=f"one of {', '.join(numbers)}"
            )
        kept = given["reset_mechanism_val"]
        if kept is not None and not np.array_equal(kept, numbers[named]):
            names = [name for name, number in numbers.items() if np.array_equal(kept, number)]
            raise UnknownNodeError(
                f"reset_mechanism is {named!r} in the architecture, but "
                f"{names[0] if names else str(kept)!r:.60} in the file of weights",
                where=where,
                fix="leave it out of the architecture",
            )
        given["reset_mechanism_val"] = numbers[named]
    if given["reset_mechanism_val"] is None:
        given["reset_mechanism_val"] = numbers["subtract"]
    given["surrogate_disable"] = True  # how a spike is differentiated changes no spike
    return given


def _recurrent(where: str, given: Attributes) -> Attributes:
    """Keep the weights of recurrent connections where they are read, if they are not learned."""
    weights = given.pop("V")
    if given["recurrent"] is None and weights is None:
        raise UnknownNodeError(
            "a recurrent layer needs the tensors 'recurrent.weight' or 'V', and the file of "
            "weights has neither",
            where=where,
        )
    if given["recurrent"] is None:
        given["recurrent"] = _recurrent_snntorch(f"{where}.recurrent", {"V": weights})
    return _snntorch(where, given)


_SNNTORCH: Mapping[str, Any] = {
    "threshold": 1.0,
    "graded_spikes_factor": 1.0,
    "reset_mechanism": None,
    "reset_mechanism_val": None,
    "reset_delay": True,
    "inhibition": False,
    "state_quant": False,
    "mem": SINGLE,
    "syn": SINGLE,
    "spk": SINGLE,
}


def _snn(name: str, module: str, needs: tuple[str, ...], **more: Any) -> tuple[str, LayerKind]:
    path = f"snntorch._neurons.{module}.{name}"
    return name, LayerKind(path=path, needs=needs, defaults={**_SNNTORCH, **more}, finish=_snntorch)


def _snn_recurrent(name: str, module: str, needs: tuple[str, ...]) -> tuple[str, LayerKind]:
    path = f"snntorch._neurons.{module}.{name}"
    defaults = {**_SNNTORCH, "recurrent": None, "V": None}
    inner = {"recurrent": _recurrent_snntorch}
    return name, LayerKind(
        path=path, needs=needs, defaults=defaults, inner=inner, finish=_recurrent
    )


SNNTORCH: Mapping[str, LayerKind] = dict(
    (
        _snn("Leaky", "leaky", ("beta",)),
        _snn_recurrent("RLeaky", "rleaky", ("beta",)),
        _snn("Synaptic", "synaptic", ("alpha", "beta")),
        _snn_recurrent("RSynaptic", "rsynaptic", ("alpha", "beta")),
        _snn("Lapicque", "lapicque", ("R", "C"), beta=None, time_step=1),
        _snn("Alpha", "alpha", ("alpha", "beta"), syn_exc=SINGLE, syn_inh=SINGLE),
    )
)


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
    inner = {"rec_connect": _weights} if "rec_connect" in needs else {}
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

KINDS: Mapping[str, Mapping[str, LayerKind]] = {
    "torch": TORCH,
    "snntorch": SNNTORCH,
    "norse": NORSE,
    "sinabs": SINABS,
    "spikingjelly": SPIKINGJELLY,
}
"""Classes by their short names, by framework."""
