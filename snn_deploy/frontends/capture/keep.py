"""A module that is run and is afterwards as it was: attributes, states, hooks, training mode."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from snn_deploy.frontends.capture.calls import is_tensor


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a module held."""

    attributes: dict[str, Any]
    contents: dict[str, Any]
    """Copies of those attributes that are dictionaries, lists or sets."""


@contextmanager
def unchanged(module: Any) -> Iterator[None]:
    """Let a module run in evaluation mode, without gradients and with torch's own random numbers;
    then put everything back that it, or its layers, held."""
    import torch  # noqa: PLC0415 - only where a module runs

    modules = [child for _, child in module.named_modules()]
    kept = [
        _Kept(
            attributes=dict(vars(child)),
            contents={
                name: value.copy()
                for name, value in vars(child).items()
                if isinstance(value, dict | list | set)
            },
        )
        for child in modules
    ]
    with torch.no_grad():
        numbers = [
            (tensor, tensor.detach().clone())
            for held in kept
            for tensor in _tensors(held)
            if tensor.numel()
        ]
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            module.eval()
            yield
    finally:
        for child, held in zip(modules, kept, strict=True):
            vars(child).clear()
            vars(child).update(held.attributes)
            for name, content in held.contents.items():
                _refill(held.attributes[name], content)
        with torch.no_grad():
            for tensor, before in numbers:
                # Equal numbers are left alone: a write would count as a change for autograd.
                if not torch.equal(tensor, before):
                    tensor.copy_(before)


def _tensors(held: _Kept) -> list[Any]:
    found = [value for value in held.attributes.values() if is_tensor(value)]
    for content in held.contents.values():
        values = content.values() if isinstance(content, dict) else content
        found += [value for value in values if is_tensor(value)]
    return found


def _refill(container: Any, content: Any) -> None:
    container.clear()
    if isinstance(container, list):
        container.extend(content)
    else:
        container.update(content)
