"""SpikingJelly's containers: steps given at once, and values that are fed back."""

from typing import Any

from snn_deploy.errors import UnknownNodeError
from snn_deploy.frontends.layers import LayerGraph, Linear
from snn_deploy.frontends.modules import read_nested
from snn_deploy.frontends.registry import children_of, short_name
from snn_deploy.frontends.spikingjelly.neurons import NEURONS
from snn_deploy.frontends.torch_file import full_name
from snn_deploy.frontends.torch_layers import linear

ADDITIONS = frozenset(
    {
        "_operator.add",
        "torch._VariableFunctionsClass.add",
        "torch._C._VariableFunctionsClass.add",
    }
)
"""Functions of two values that give their sum: operator.add, and torch.add live and pickled."""


def recurrent(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """Read ElementWiseRecurrentContainer: its output of the step before joins its input.

    Raises:
        UnknownNodeError: they are joined by anything but an addition.
    """
    function = layer.element_wise_function
    if not _is_addition(function):
        raise UnknownNodeError(
            f"the element_wise_function {full_name(function)!r} is not known to be x + y",
            where=f"{name}.element_wise_function",
            fix="use torch.add, operator.add or lambda x, y: x + y; other functions have no "
            "counterpart on a chip",
        )
    return _fed_back(graph, f"{name}.sub_module", layer.sub_module, source, None)


def linear_recurrent(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """Read LinearRecurrentContainer: `rc` reads input and last output side by side."""
    both = linear(f"{name}.rc", layer.rc)
    inputs = both.weight.shape[0]
    first, last = both.weight[:, :inputs], both.weight[:, inputs:]
    entry = graph.add(f"{name}.rc", Linear(weight=first, bias=both.bias), source)
    return _fed_back(graph, f"{name}.sub_module", layer.sub_module, entry, Linear(weight=last))


def _fed_back(graph: LayerGraph, name: str, inner: Any, source: str, way: Linear | None) -> str:
    """Read `inner`, and let what it gives, through `way`, reach it again in the next step."""
    before = set(graph.nodes)
    given = read_nested(graph, name, inner, source)
    entries = [n for n, node in graph.nodes.items() if n not in before and source in node.inputs]
    back = given if way is None else graph.add(f"{name}.last", way, given)
    for entry in entries:
        graph.feed_back(back, entry)
    return given


def _is_addition(function: Any) -> bool:
    """Return whether a function is known to add its two arguments: by its name, or because it is
    the same code as `lambda x, y: x + y`."""
    code = getattr(function, "__code__", None)
    if code is None:
        return full_name(function) in ADDITIONS
    wanted = ((lambda x, y: x + y).__code__, (lambda x, y: y + x).__code__)
    return code.co_argcount == 2 and any(code.co_code == known.co_code for known in wanted)


def stateless(graph: LayerGraph, name: str, layer: Any, source: str) -> str:
    """Read SeqToANNContainer and its kin, which give all steps to their layers at once, as if they
    were samples.

    Raises:
        UnknownNodeError: neurons among them, which would not remember the last step.
    """
    at_once = getattr(layer, "_step_mode", "m") == "m" and not getattr(layer, "stateful", False)
    if at_once:
        _check_stateless(name, layer, short_name(layer))
    for child_name, child in children_of(layer):
        source = read_nested(graph, f"{name}.{child_name}", child, source)
    return source


def _check_stateless(name: str, layer: Any, container: str) -> None:
    for child_name, child in children_of(layer):
        remembers = getattr(child, "_memories", None) and short_name(child) not in STATELESS
        if remembers or short_name(child) in NEURONS:
            raise UnknownNodeError(
                f"{short_name(child)} in a {container} takes the steps for samples",
                where=f"{name}.{child_name}",
                fix="put neurons into a MultiStepContainer",
            )
        _check_stateless(f"{name}.{child_name}", child, container)


STATELESS = frozenset({"Dropout", "Dropout2d"})
"""Classes with a state that only training uses."""
