"""Whether a module computes what its class says: hooks and patched methods are code of the user's
that no reader of attributes sees."""

from collections.abc import Iterator, Mapping
from typing import Any

from snn_deploy.errors import UnknownNodeError
from snn_deploy.frontends.registry import class_name, short_name

HOOKS = ("_forward_pre_hooks", "_forward_hooks")

KNOWN = ("WeightNorm", "SpectralNorm")
"""Hooks of torch.nn.utils that compute a weight, which its reader computes too."""


def check_intact(module: Any) -> None:
    """Refuse modules, and records of them, in which code beside the class changes what they give.

    Raises:
        UnknownNodeError: with the part, and what it has.
    """
    for name, part in _parts(module, ""):
        for kind in HOOKS:
            hooks = getattr(part, kind, None)
            for hook in hooks.values() if isinstance(hooks, Mapping) else ():
                known = class_name(hook).startswith("torch.") and short_name(hook) in KNOWN
                if not known:
                    raise UnknownNodeError(
                        f"a hook of {short_name(part)} may change what it gives, and is code: "
                        f"{_called(hook)}",
                        where=name or "the module",
                        fix="remove it; of pruning, torch.nn.utils.prune.remove(layer, name) "
                        "keeps its effect",
                    )
        if "forward" in _own(part):
            raise UnknownNodeError(
                f"a {short_name(part)} whose forward was replaced is not read",
                where=name or "the module",
                fix="make the change a layer of its own, or a class of your own",
            )


def _parts(module: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield (dotted name, part) for a module and everything below it, each path once."""
    yield prefix.rstrip("."), module
    children = getattr(module, "_modules", None)
    for name, child in children.items() if isinstance(children, Mapping) else ():
        if child is not None:
            yield from _parts(child, f"{prefix}{name}.")


def _own(part: Any) -> Mapping[str, Any]:
    """Return what a part keeps itself, its class apart."""
    state = getattr(part, "_stub_state", None)
    if state is None:
        state = getattr(part, "__dict__", None)
    return state if isinstance(state, Mapping) else {}


def _called(hook: Any) -> str:
    name = getattr(hook, "__qualname__", None) or class_name(hook)
    return str(name).rpartition(".")[2][:60]
