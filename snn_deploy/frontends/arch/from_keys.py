"""A draft of an architecture file, from the keys of a state dict."""

from collections.abc import Mapping

import numpy as np

from snn_deploy.frontends.arch.file import Tensors
from snn_deploy.frontends.arch.table import escaped, quoted
from snn_deploy.frontends.arch.torch import KIND_BY_AXES


def draft(tensors: Tensors) -> str:
    """Return an architecture file that fits a state dict as far as its keys tell.

    What they do not tell (neurons of most frameworks, strides, the input's shape) is left to
    the user, marked by a question mark; tensors without an owner are comments.
    """
    parts: dict[str, dict[str, np.ndarray]] = {}
    for key, value in tensors.items():
        owner, _, leaf = key.rpartition(".")
        if owner.endswith(".recurrent"):
            owner, leaf = owner.removesuffix(".recurrent"), f"recurrent.{leaf}"
        parts.setdefault(owner, {})[leaf] = value
    lines = ['framework = "?"                # snntorch, norse, sinabs, spikingjelly or torch']
    lines += ["input = [?]                    # shape of one sample in one step", ""]
    for owner, own in parts.items():
        shapes = ", ".join(f"{escaped(leaf)} {list(value.shape)}" for leaf, value in own.items())
        if owner:
            lines += ["[[layers]]", f"name = {quoted(owner)}", f"type = {_likely(own)}"]
        else:
            lines.append("# ? tensors that are in no layer, to be named by ignore = [...]:")
        lines += [f"# {shapes}", ""]
    return "\n".join(lines)


def _likely(own: Mapping[str, np.ndarray]) -> str:
    """Return the type of layer that tensors of these names most likely belong to."""
    if "beta" in own:
        recurrent = "R" if any(leaf.startswith("recurrent.") for leaf in own) else ""
        return f'"{recurrent}Synaptic"' if "alpha" in own else f'"{recurrent}Leaky"'
    if "running_mean" in own:
        return '"BatchNorm2d"           # ? or BatchNorm1d'
    if "recurrent_weights" in own:
        return '"LIFRecurrentCell"      # ? or LIFRecurrent'
    weight = own.get("weight")
    return f'"{KIND_BY_AXES.get(weight.ndim, "?") if weight is not None else "?"}"'
