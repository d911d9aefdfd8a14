"""Layers of snnTorch that an architecture file can name."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from snn_deploy.errors import UnknownNodeError
from snn_deploy.frontends.arch.kind import SINGLE, Attributes, LayerKind
from snn_deploy.frontends.arch.torch import weight_shape, weights_kind
from snn_deploy.frontends.torch_file import Stub


def _recurrent_snntorch(where: str, given: Mapping[str, Any]) -> Stub:
    """Return the recurrent connections of snnTorch: one to one, dense, or by a convolution that
    keeps the size, padded by half of its kernel."""
    if "V" in given:
        kind = LayerKind(path="snntorch._neurons.rleaky.RecurrentOneToOne", needs=("V",))
        return kind.record(where, given)
    shape = weight_shape(where, given)
    if len(shape) < 4:
        return weights_kind(where, given)
    return weights_kind(where, {"padding": [side // 2 for side in shape[2:]], **given})


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
