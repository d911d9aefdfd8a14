"""What the options of layers in an architecture file look like, by their names."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np

from snn_deploy.errors import FileDamagedError
from snn_deploy.frontends.torch_file import Stub


class Option(Enum):
    """What an option is."""

    NUMBERS = "a number, or lists of numbers"
    """Also a tensor of the file of weights."""

    REAL = "a number"
    WHOLE = "a whole number"
    SIDES = "a whole number, or a list of them"
    PADDING = "a whole number, a list of them, 'same' or 'valid'"
    FACTORS = "a number, or a list of numbers"
    WORD = "a word"
    FLAG = "true or false"
    LAYER = "a layer of its own"


OPTIONS: Mapping[str, Option] = {
    **dict.fromkeys(("stride", "dilation", "kernel_size", "output_padding"), Option.SIDES),
    **dict.fromkeys(("output_size", "size", "unflattened_size"), Option.SIDES),
    **dict.fromkeys(("groups", "start_dim", "end_dim", "dim"), Option.WHOLE),
    **dict.fromkeys(("divisor_override", "norm_type", "max_num_spikes_per_bin"), Option.WHOLE),
    **dict.fromkeys(("padding_mode", "mode", "reset_mechanism", "spike_fn"), Option.WORD),
    **dict.fromkeys(("reset_fn", "reset_method", "method", "step_mode"), Option.WORD),
    **dict.fromkeys(("ceil_mode", "count_include_pad", "return_indices"), Option.FLAG),
    **dict.fromkeys(("reset_delay", "inhibition", "state_quant", "norm_input"), Option.FLAG),
    **dict.fromkeys(("decay_input", "soft_reset", "detach_reset", "store_v_seq"), Option.FLAG),
    **dict.fromkeys(("eps", "p", "min_val", "max_val", "dt", "tau"), Option.REAL),
    **dict.fromkeys(("recurrent", "rec_connect"), Option.LAYER),
    "padding": Option.PADDING,
    "scale_factor": Option.FACTORS,
}
"""By their names, which mean the same in all layers; all others are `NUMBERS`."""


def checked(option: str, value: Any, where: str) -> Any:
    """Return the value of an option, lists of numbers as an array.

    Raises:
        FileDamagedError: it is nothing that such an option can be.
    """
    kind = OPTIONS.get(option, Option.NUMBERS)
    if kind is Option.NUMBERS and isinstance(value, list | np.ndarray):
        array = _array(value)
        if array is not None:
            return array
    elif _fits(kind, value):
        return value
    if isinstance(value, np.ndarray):
        raise FileDamagedError(
            f"{option} is a tensor of {value.dtype}, not {kind.value}", where=where
        )
    raise FileDamagedError(f"{option} = {value!r:.60} is not {kind.value}", where=where)


def _array(value: list[Any] | np.ndarray) -> np.ndarray | None:
    """Return real numbers as an array, lists in float64; None: they are none."""
    if isinstance(value, np.ndarray):
        return value if value.dtype.kind in "biuf" else None
    try:
        return np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None


def _fits(kind: Option, value: Any) -> bool:
    match kind:
        case Option.SIDES | Option.PADDING:
            return _each(value, int) or (kind is Option.PADDING and value in ("same", "valid"))
        case Option.FACTORS:
            return _each(value, int, float)
        case _:
            return isinstance(value, bool) == (kind is Option.FLAG) and isinstance(
                value, _TYPES[kind]
            )


_TYPES: Mapping[Option, tuple[type, ...]] = {
    Option.NUMBERS: (int, float),
    Option.REAL: (int, float),
    Option.WHOLE: (int,),
    Option.WORD: (str,),
    Option.FLAG: (bool,),
    Option.LAYER: (Stub,),
}


def _each(value: Any, *kinds: type) -> bool:
    """Return whether a value is of a type, or a list of at least one of these."""
    values = value if isinstance(value, list) else [value]
    return bool(values) and all(isinstance(v, kinds) and not isinstance(v, bool) for v in values)
