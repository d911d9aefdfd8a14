"""Follows the values of a run through the layers that frontends read, by hooks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snn_deploy.errors import DeployError, GraphError, UnknownNodeError
from snn_deploy.frontends.capture.axes import Axes, Axis, Lost, Over, Traced, value_shape
from snn_deploy.frontends.capture.calls import WAY_OUT, is_zero, membrane_of, settled
from snn_deploy.frontends.capture.formulas import Formula, Op, Source
from snn_deploy.frontends.capture.layers import after_layer
from snn_deploy.frontends.capture.leaves import (
    MEMBRANES,
    Probe,
    Takes,
    leaves,
    membrane_label,
    probe,
    takes,
)
from snn_deploy.frontends.capture.trail import Trail, not_followed, tensors_in
from snn_deploy.frontends.registry import short_name

ROOT = "0"
"""Name of a module that is itself a layer."""


@dataclass(slots=True, kw_only=True)
class LayerCalls:
    """The calls of all layers in one run."""

    trail: Trail
    last: str = ""
    """Layer that ran last."""

    number: int = 0
    """Calls that could be followed."""

    probes: dict[str, Probe] = field(default_factory=dict)
    entered: dict[str, list[Formula]] = field(default_factory=dict)
    """What entered a layer with states in each step, relative to the step."""

    whole: dict[str, Formula] = field(default_factory=dict)
    """What entered a layer with states that took all steps at once."""

    sent: dict[str, list[np.ndarray]] = field(default_factory=dict)
    """What each layer with states gave, [step, *shape] per call."""

    explicit: set[str] = field(default_factory=set)
    """Layers whose first states the module made itself, of zeros."""

    left: dict[str, list[tuple[Any, int]]] = field(default_factory=dict)
    """States that a layer held after its last call, and how often each was written to."""

    def watch(self) -> None:
        """Put hooks on the layers of the module, and on the modules around them."""
        module = self.trail.module
        found = dict(leaves(module))
        for path, child in module.named_modules():
            if path in found:
                self._watch_leaf(child, path or ROOT)
            elif not any(not leaf or path.startswith(f"{leaf}.") for leaf in found):
                self._watch_module(child, path)

    def _watch_module(self, module: Any, path: str) -> None:
        def enter(*_: Any) -> None:
            if self.trail.leaf is None:
                self.trail.paths.append(path)

        def leave(*_: Any) -> None:
            if self.trail.leaf is None:
                self.trail.paths.pop()

        module.register_forward_pre_hook(enter)
        module.register_forward_hook(leave)

    def _watch_leaf(self, module: Any, path: str) -> None:
        def enter(module: Any, *_: Any) -> None:
            if self.trail.leaf is not None:
                return
            self.trail.leaf = path
            if path in self.left and not _same_tensors(self.left[path], _states(module)):
                self.trail.error = GraphError(
                    "the states of these neurons are changed between two steps",
                    where=path,
                    fix="reset states before a sample only",
                )
                raise self.trail.error

        def leave(module: Any, args: Any, kwargs: Any, output: Any) -> None:
            if self.trail.leaf != path:
                return
            try:
                self.layer(path, module, (args, kwargs), output)
            except DeployError as error:
                self.trail.error = self.trail.error or error
                raise
            self.last = path
            self.trail.leaf = None
            self.number += 1

        module.register_forward_pre_hook(enter)
        module.register_forward_hook(leave, with_kwargs=True)

    def _probe(self, path: str, module: Any) -> Probe:
        """Return what reading a layer alone tells."""
        if path not in self.probes:
            self.probes[path] = probe(module, path)
        return self.probes[path]

    def layer(self, path: str, module: Any, arguments: Any, output: Any) -> None:
        """Keep what a layer was given, and what is known of its output.

        Raises:
            GraphError: it is given no tensor, or gives none.
            ModelError: it cannot be followed.
        """
        entering = [tensor for _, tensor in tensors_in(arguments)]
        given = tensors_in(output)
        if not entering or not given:
            raise GraphError(
                f"{short_name(module)} is called without a tensor, or gives none",
                where=path,
                fix=WAY_OUT,
            )
        read = self._probe(path, module)
        if read.stateful:
            self._stateful(path, module, read, entering, given)
        else:
            self._stateless(path, module, read, entering, given[0][1])

    def _value(self, path: str, tensor: Any) -> Traced | None:
        """Return what enters a layer; None: nothing that the network made.

        Raises:
            ModelError: it cannot be followed.
        """
        value = self.trail.known(tensor)
        if isinstance(value, Lost):
            raise not_followed(value, f"what enters {path!r}", path)
        if value is None:
            if not is_zero(tensor):
                return None
            axes = (Axis.SAMPLE, *(Axis.VALUE,) * (tensor.ndim - 1))
            return Traced(formula=self.trail.formulas.zero(tuple(tensor.shape[1:])), axes=axes)
        owner = membrane_of(value.formula)
        if owner is not None:
            raise GraphError(
                f"a state of {owner!r} enters this layer, but neurons send spikes only",
                where=path,
                fix="give it the spikes, or put neurons between that never fire",
            )
        return value

    def _stateless(
        self, path: str, module: Any, read: Probe, entering: Sequence[Any], output: Any
    ) -> None:
        value = self._value(path, entering[0])
        if value is None:
            return
        if any(self.trail.known(tensor) is not None for tensor in entering[1:]):
            raise GraphError(
                f"{short_name(module)} takes several values of the network",
                where=path,
                fix="add or concatenate them before it",
            )
        if value.over not in (None, Over.MEAN):
            assert value.over is not None
            raise _over_steps(value.over, path)
        if read.transparent:
            self.trail.remember(output, value)
            return
        lead = 1
        if takes(module) is Takes.TIME_FIRST or short_name(module) == "SeqToANNContainer":
            lead = 2
        elif read.elementwise:
            lead = len(value.axes) - len(value.formula.shape)
        made = after_layer(value, lead, output.shape)
        if isinstance(made, str):
            raise GraphError(
                f"{short_name(module)} is given a tensor of shape {tuple(entering[0].shape)}, "
                f"[{', '.join(axis.value for axis in value.axes)}]: {made}",
                where=path,
                fix="give it [sample, ...] of one step, or join samples and steps before it",
            )
        axes, shape = made
        op = self.trail.formulas.op(("module", path), lambda: Op(path, None, read.biased, module))
        inner = settled(self.trail, value.formula, tuple(entering[0].shape[lead:]))
        formula = self.trail.formulas.applied(op, inner, shape)
        self.trail.remember(output, Traced(formula=formula, axes=axes, over=value.over))

    def _stateful(
        self,
        path: str,
        module: Any,
        read: Probe,
        entering: Sequence[Any],
        given: Sequence[tuple[str, Any]],
    ) -> None:
        value = self._value(path, entering[0])
        if value is None:
            raise UnknownNodeError(
                "what enters this layer was not made by the network: torch does not show where "
                "it comes from",
                where=path,
                fix=WAY_OUT,
            )
        if value.over is not None:
            raise _over_steps(value.over, path)
        whole = self._takes_all(path, module, value)
        step = len(self.entered.get(path, ()))
        if path in self.whole or (whole and step):
            raise GraphError(
                "these neurons are called several times and keep one state",
                where=path,
                fix="make a layer of neurons for each call",
            )
        self._check_states(path, entering[1:], step, whole=whole)
        shape = tuple(entering[0].shape)
        formula = settled(self.trail, value.formula, value_shape(value.axes, shape))
        if whole:
            self.whole[path] = formula
        else:
            self.entered.setdefault(path, []).append(self.trail.formulas.at(formula, -step))
        self._sends(path, module, read, value, given, step=None if whole else step)

    def _takes_all(self, path: str, module: Any, value: Traced) -> bool:
        """Return whether a layer takes all steps in this call.

        Raises:
            GraphError: it takes steps for samples, or samples for steps.
        """
        wanted = takes(module)
        at = value.axes.index(Axis.STEP) if value.sequence else None
        place = {Takes.TIME_FIRST: 0, Takes.BATCH_FIRST: 1, Takes.FLAT: 0}.get(wanted)
        if wanted is Takes.FLAT and at is None:
            return False
        if wanted is Takes.BATCH_FIRST and short_name(module).endswith("Torch"):
            place = min(1, len(value.axes) - 2)  # rockpool takes [step, ...] as well
        if place is not None and at is None and value.axes[place] is Axis.SINGLE:
            return False  # a sequence of one step
        if at != place:
            axes = ", ".join(axis.value for axis in value.axes)
            raise GraphError(
                f"{short_name(module)} takes {wanted.value}, but is given [{axes}]",
                where=path,
                fix="call it as its framework does, or say how the module takes a sample: layout=",
            )
        return at is not None

    def _check_states(self, path: str, states: Sequence[Any], step: int, *, whole: bool) -> None:
        """Refuse states that are not the layer's own of the step before."""
        for tensor in states:
            value = self.trail.known(tensor)
            if value is None and is_zero(tensor) and (step == 0 or whole):
                self.explicit.add(path)
                continue
            source = value.formula if isinstance(value, Traced) else None
            own = isinstance(source, Source) and (source.name, source.step) == (path, step - 1)
            if not own:
                raise GraphError(
                    f"in step {step}, these neurons are given a state that is not their own of "
                    "the step before",
                    where=path,
                    fix="start from zeros, and give back the states that the last call gave",
                )

    def _sends(
        self,
        path: str,
        module: Any,
        read: Probe,
        value: Traced,
        given: Sequence[tuple[str, Any]],
        *,
        step: int | None,
    ) -> None:
        """Keep what neurons gave: their output, then their states.

        Args:
            step: None: all steps at once.
        """
        output = given[0][1]
        axes = self._axes_given(path, value.axes, output)
        over = None
        if step is None and Axis.STEP in value.axes and read.decode is not None:
            over = _DECODED[read.decode.value]
        shape = value_shape(axes, output.shape)
        now = 0 if step is None else step
        made = Traced(formula=self.trail.formulas.source(path, now, shape), axes=axes, over=over)
        self._record(path, output, axes, step)
        end = (self.trail.steps or 1) - 1 if step is None else step
        for index, (name, tensor) in enumerate(given[1:], 1):
            label = membrane_label(module, index, len(given), name)
            self._keep_state(path, tensor, label, axes=axes, output=output, step=end)
        for name, tensor in _held(module):
            if name in MEMBRANES and id(tensor) not in self.trail.values:
                self._keep_state(path, tensor, "membrane", axes=axes, output=output, step=end)
        self.left[path] = _states(module)
        self.trail.remember(output, made)

    def _axes_given(self, path: str, axes: Axes, output: Any) -> Axes:
        rank = output.ndim
        if rank == len(axes):
            return axes
        if rank == len(axes) + 1 and Axis.SAMPLE not in axes:
            return (Axis.SAMPLE, *axes)  # rockpool adds it
        if Axis.STEP in axes and rank == len(axes) - 1:
            return tuple(axis for axis in axes if axis is not Axis.STEP)
        raise GraphError(
            f"it gives a tensor of shape {tuple(output.shape)} for values of {len(axes)} axes",
            where=path,
            fix=WAY_OUT,
        )

    def _keep_state(
        self, path: str, tensor: Any, label: str, *, axes: Axes, output: Any, step: int
    ) -> None:
        """Keep that a tensor is a state of a layer, if it has the shape of one step or of all."""
        without = tuple(axis for axis in axes if axis is not Axis.STEP)
        if tuple(tensor.shape) == tuple(output.shape) and Axis.STEP in axes:
            kept, at = axes, 0
        elif tensor.ndim == len(without):
            kept, at = without, step
        else:
            return
        shape = value_shape(kept, tensor.shape)
        formula = self.trail.formulas.source(path, at, shape, label)
        self.trail.remember(tensor, Traced(formula=formula, axes=kept))

    def _record(self, path: str, output: Any, axes: Axes, step: int | None) -> None:
        if step is None and Axis.STEP not in axes:
            return  # only what became of all steps
        self.sent.setdefault(path, []).append(by_step(output, axes))


_DECODED = {
    "membrane-max": Over.MAX,
    "membrane-mean": Over.MEAN,
    "membrane-end": Over.LAST,
}


def _held(module: Any) -> list[tuple[str, Any]]:
    """Return the tensors among a layer's attributes, SpikingJelly's memories included."""
    held = vars(module)
    homes = (held, held.get("_buffers", {}), held.get("_memories", {}))
    return [
        (name, value)
        for home in homes
        for name, value in home.items()
        if hasattr(value, "data_ptr")
    ]


def _states(module: Any) -> list[tuple[Any, int]]:
    """Return the tensors that a layer holds beside its parameters, and their versions."""
    return [(tensor, tensor._version) for _, tensor in _held(module)]


def _same_tensors(before: list[tuple[Any, int]], now: list[tuple[Any, int]]) -> bool:
    return len(before) == len(now) and all(
        one is other and version == later
        for (one, version), (other, later) in zip(before, now, strict=True)
    )


def array_of_tensor(tensor: Any) -> np.ndarray:
    """Return the numbers of a tensor, in float64."""
    return np.array(tensor.detach().cpu().double().numpy())


def by_step(tensor: Any, axes: Axes) -> np.ndarray:
    """Return [step, *shape] of a tensor; of a value of one step [1, *shape]."""
    shape = value_shape(axes, tensor.shape)
    array = array_of_tensor(tensor)
    if Axis.STEP in axes:
        array = np.moveaxis(array, axes.index(Axis.STEP), 0)
        return array.reshape(len(array), *shape)
    return array.reshape(1, *shape)


def times_in_words(number: int) -> str:
    """Return how often something happens, in words."""
    return {0: "never", 1: "once", 2: "twice"}.get(number, f"{number} times")


def _over_steps(over: Over, path: str) -> GraphError:
    return GraphError(
        f"the {over.value} over all steps enters this layer, which a chip that works step by step "
        "cannot compute",
        where=path,
        fix="apply the layer in every step, and return the sum or mean of what it gives",
    )
