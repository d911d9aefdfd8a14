"""Functions of torch between layers, each alone: what is known of what they make, or why not."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from snn_deploy.frontends.capture.axes import Axis, Lost, Over, Traced, value_shape
from snn_deploy.frontends.capture.formulas import Formulas, Zero
from snn_deploy.frontends.capture.trail import Trail, not_followed

torch = pytest.importorskip("torch")
nn = torch.nn
F = torch.nn.functional

pytestmark = pytest.mark.torch

STEPS = 4
STEP, SAMPLE, VALUE, SINGLE = Axis.STEP, Axis.SAMPLE, Axis.VALUE, Axis.SINGLE
WAY_OUT = (
    "use layers that are read, sums, factors, concatenations and views only, or write the network "
    "as NIR and load that"
)


@dataclass(frozen=True, slots=True)
class Watched:
    """Tensors of a run of four steps, and who follows them."""

    trail: Trail

    def made(self, *axes: Axis, side: int = 6, step: int | None = 0, **more: Any) -> Any:
        """Return a tensor of a source: each axis of values has `side`, steps are four."""
        lengths = {STEP: STEPS, VALUE: side}
        shape = tuple(lengths.get(axis, 1) for axis in axes)
        over = more.pop("over", None)
        formula = self.trail.formulas.source(
            more.pop("name", ""), step, value_shape(axes, shape), more.pop("state", "")
        )
        assert not more
        tensor = torch.linspace(0.5, 1.5, max(1, torch.Size(shape).numel())).reshape(shape).clone()
        self.trail.remember(tensor, Traced(formula=formula, axes=axes, over=over))
        return tensor

    @property
    def one(self) -> Any:
        """Return six values of step 0."""
        return self.made(SAMPLE, VALUE)

    @property
    def image(self) -> Any:
        """Return two channels of 4 by 4 values of step 0."""
        formula = self.trail.formulas.source("", 0, (2, 4, 4))
        tensor = torch.linspace(0.5, 1.5, 32).reshape(1, 2, 4, 4).clone()
        self.trail.remember(tensor, Traced(formula=formula, axes=(SAMPLE, VALUE, VALUE, VALUE)))
        return tensor

    @property
    def all(self) -> Any:
        """Return six values of every step."""
        return self.made(STEP, SAMPLE, VALUE)

    @property
    def total(self) -> Any:
        """Return the sum of six values over all steps."""
        return self.made(SAMPLE, VALUE, over=Over.SUM)

    @property
    def state(self) -> Any:
        """Return the membrane of six neurons."""
        return self.made(SAMPLE, VALUE, name="lif", state="membrane")

    @property
    def record(self) -> Any:
        """Return a tensor of which one step of four was filled."""
        tensor = torch.zeros(STEPS, 1, 6)
        with self.following():
            tensor[0] = self.one
        return tensor

    def each(self, *axes: Axis) -> list[Any]:
        """Return six values of each step."""
        return [self.made(*(axes or (SAMPLE, VALUE)), step=step) for step in range(STEPS)]

    def following(self) -> Any:
        """Follow what is done within."""
        return _Following(self.trail)

    def known(self, body: Callable[["Watched"], Any]) -> Any:
        """Return what is known of what `body` makes."""
        with self.following():
            made = body(self)
        return self.trail.known(made)


class _Following:
    def __init__(self, trail: Trail) -> None:
        self.contexts = (trail.watching(), trail.module_runs())

    def __enter__(self) -> None:
        for context in self.contexts:
            context.__enter__()

    def __exit__(self, *error: object) -> None:
        for context in reversed(self.contexts):
            context.__exit__(*error)


@pytest.fixture
def watched() -> Watched:
    return Watched(Trail(module=nn.Module(), formulas=Formulas(), steps=STEPS))


def in_place(tensor: Any, write: Callable[[Any], Any]) -> Any:
    """Return a tensor that was written into."""
    write(tensor)
    return tensor


def written(index: Any, value: Any, more: Any = None) -> Callable[[Any], Any]:
    """Return what writes `value` at `index`, and then `more` at (:, 0)."""

    def write(tensor: Any) -> None:
        tensor[index] = value
        if more is not None:
            tensor[:, 0] = more

    return write


def filled(shape: tuple[int, ...], values: list[Any]) -> Any:
    """Return zeros into which each step was written."""
    record = torch.zeros(shape)
    for step, value in enumerate(values):
        record[step] = value
    return record


# ------------------------------------------------------------------ what is lost


NOT_FILLED = ("__setitem__", "it does not fill every step")

OF_A_RECORD: dict[str, Callable[[Any], Any]] = {
    "an index": lambda r: r[0],
    "one of its steps": lambda r: r.select(0, 0),
    "its steps": lambda r: r.unbind(0)[0],
    "its parts": lambda r: r.split(1)[0],
    "stacked": lambda r: torch.stack([r, r]),
    "side by side": lambda r: torch.cat([r, r]),
    "a view": lambda r: r.reshape(4, 6),
    "squeezed": lambda r: r.squeeze(1),
    "unsqueezed": lambda r: r.unsqueeze(1),
    "turned": lambda r: r.permute(1, 0, 2),
    "repeated": lambda r: r.expand(4, 1, 6),
    "summed over time": lambda r: r.sum(0),
    "added": lambda r: r + r,
    "scaled": lambda r: 2 * r,
    "copied": lambda r: r.clone(),
    "rectified": torch.relu,
    "multiplied": lambda r: r * r,
}


@pytest.mark.parametrize("case", OF_A_RECORD)
def test_nothing_is_known_of_a_record_that_is_not_filled(watched, case):
    record = watched.record
    found = watched.known(lambda _: OF_A_RECORD[case](record))
    assert (found.function, found.reason) == NOT_FILLED


LOST: dict[str, tuple[Callable[[Watched], Any], str, str]] = {
    "steps in twos": (lambda w: w.all.split(2)[0], "split", "it takes values apart"),
    "values apart": (lambda w: w.one.split(3, 1)[0], "split", "it takes values apart"),
    "values one by one": (lambda w: w.one.unbind(1)[0], "unbind", "it takes the values apart"),
    "one value": (lambda w: w.one[:, 2], "__getitem__", "it takes one value of 6"),
    "a stranger stacked": (
        lambda w: torch.stack([w.one, torch.ones(1, 6)]),
        "stack",
        "one of its tensors is not made by the network",
    ),
    "sequences stacked": (
        lambda w: torch.stack([w.all, w.all]),
        "stack",
        "it puts values of all steps side by side",
    ),
    "too few steps stacked": (
        lambda w: torch.stack([w.one, w.one]),
        "stack",
        "it puts 2 values side by side, which are not all steps",
    ),
    "steps out of order": (
        lambda w: torch.stack(w.each()[::-1]),
        "stack",
        "step 0 is computed otherwise than later ones",
    ),
    "samples side by side": (
        lambda w: torch.cat([w.one, torch.zeros(2, 6)]),
        "cat",
        "it puts samples side by side",
    ),
    "membranes side by side": (
        lambda w: torch.cat([w.state, w.state], 1),
        "cat",
        "it computes with a state of 'lif'",
    ),
    "sequences side by side in time": (
        lambda w: torch.cat([w.all, w.all]),
        "cat",
        "it puts steps side by side, or values of one step and of all",
    ),
    "a step beside a sequence": (
        lambda w: torch.cat([w.made(SINGLE, SAMPLE, VALUE), w.made(SINGLE, SINGLE, VALUE)], 2),
        "cat",
        "it puts steps side by side, or values of one step and of all",
    ),
    "written into values": (
        lambda w: in_place(w.one, written(0, w.made(VALUE))),
        "__setitem__",
        "it writes into a value of the network",
    ),
    "written along two axes": (
        lambda w: in_place(
            torch.zeros(4, 4), written(0, w.made(VALUE, side=4), w.made(VALUE, side=4))
        ),
        "__setitem__",
        "it writes along two axes",
    ),
    "written in part": (
        lambda w: in_place(torch.zeros(4, 6), written((0, slice(3)), w.made(VALUE, side=3))),
        "__setitem__",
        "it writes into a tensor",
    ),
    "a filled record that broadcasts": (
        lambda w: filled((4, 1, 6), w.each(VALUE)),
        "__setitem__",
        "it broadcasts",
    ),
    "a record filled backwards": (
        lambda w: filled((4, 1, 6), w.each()[::-1]),
        "__setitem__",
        "step 0 is computed otherwise than later ones",
    ),
    "a record of fewer steps": (
        lambda w: filled((2, 1, 6), w.each()[:2]),
        "__setitem__",
        "it does not fill every step",
    ),
    "membranes over places": (
        lambda w: w.made(SAMPLE, VALUE, VALUE, name="lif", state="membrane").sum(2),
        "sum",
        "it computes with a state of 'lif'",
    ),
    "a sum over the sample": (
        lambda w: w.one.sum(0),
        "sum",
        "it acts on axes of samples, not on the steps",
    ),
    "the largest value": (
        lambda w: w.one.amax(1),
        "amax",
        "it acts on axes of values, not on the steps",
    ),
    "a sum over steps and values": (
        lambda w: w.all.sum((0, 2)),
        "sum",
        "it acts on axes of values, not on the steps",
    ),
    "a sum of all": (lambda w: w.all.sum(), "sum", "it puts all values of the network together"),
    "a sum over no axis in particular": (
        lambda w: w.all.sum(()),
        "sum",
        "it puts all values of the network together",
    ),
    "the step of the maximum": (
        lambda w: w.all.max(0)[1],
        "max",
        "it gives the step of the maximum",
    ),
    "a layer of a membrane": (
        lambda w: F.linear(w.state, torch.ones(2, 6)),
        "linear",
        "it computes with a state of 'lif'",
    ),
    "a layer over the steps": (
        lambda w: F.conv1d(w.made(SAMPLE, VALUE, STEP), torch.ones(1, 6, 2)),
        "conv1d",
        "it takes the steps for values",
    ),
    "a layer over the sample": (
        lambda w: F.conv1d(w.all, torch.ones(1, 1, 2)),
        "conv1d",
        "it takes the samples for values, or values for samples",
    ),
    "values times a vector": (
        lambda w: w.one @ torch.ones(6),
        "matmul",
        "only values times a matrix are followed",
    ),
    "a matrix times values": (
        lambda w: torch.ones(2, 1) @ w.one,
        "matmul",
        "only values times a matrix are followed",
    ),
    "weights of the network": (
        lambda w: F.linear(w.one, w.one),
        "linear",
        "its weights are made by the network",
    ),
    "a kernel of the network": (
        lambda w: F.conv2d(w.image, w.image),
        "conv2d",
        "its weights are made by the network",
    ),
    "a turned kernel of the network": (
        lambda w: F.conv_transpose2d(w.image, w.image.reshape(2, 1, 4, 4)),
        "conv_transpose2d",
        "its weights are made by the network",
    ),
    "interpolation": (
        lambda w: F.interpolate(w.image, scale_factor=2, mode="bilinear"),
        "interpolate",
        "it interpolates: mode='bilinear'",
    ),
    "the places of maxima": (
        lambda w: F.max_pool2d(w.image, 2, return_indices=True)[0],
        "max_pool2d_with_indices",
        "",
    ),
    "clipped below": (lambda w: w.one.clamp(-1, 1), "clamp", "it clips values"),
    "clipped above only": (lambda w: w.one.clamp(max=1), "clamp", "it clips values"),
    "clipped by another": (lambda w: w.one.clip(torch.zeros(6), w.one), "clip", "it clips values"),
    "each batch": (
        lambda w: F.batch_norm(w.image, torch.zeros(2), torch.ones(2), training=True),
        "batch_norm",
        "it normalises by each batch",
    ),
    "statistics of the network": (
        lambda w: F.batch_norm(w.image, w.made(VALUE, side=2), torch.ones(2)),
        "batch_norm",
        "its statistics are made by the network",
    ),
    "a membrane in another shape": (
        lambda w: w.state.reshape(1, 2, 3),
        "reshape",
        "it gives a membrane another shape",
    ),
    "steps mixed with values": (
        lambda w: w.all.reshape(24),
        "reshape",
        "it mixes the steps with the values",
    ),
    "bits as other numbers": (
        lambda w: w.one.view(torch.int32),
        "view",
        "it makes numbers of type torch.int32",
    ),
    "bits as more numbers": (
        lambda w: w.one.view(torch.int16),
        "view",
        "it makes numbers of type torch.int16",
    ),
    "values turned": (
        lambda w: w.image.transpose(2, 3),
        "transpose",
        "it changes the order of the axes of the values",
    ),
    "values repeated": (lambda w: w.one.repeat(1, 2), "repeat", "it repeats values"),
    "a step repeated": (lambda w: w.one.repeat(4, 1), "repeat", "it repeats values"),
    "an image shown in some steps": (
        lambda w: w.made(SAMPLE, VALUE, step=None).expand(3, 1, 6),
        "expand",
        "it makes 3 steps of one",
    ),
    "half precision": (
        lambda w: w.one.to(torch.float16),
        "to",
        "it makes numbers of type torch.float16",
    ),
    "dropped at random": (
        lambda w: F.dropout(w.one, 0.5, training=True),
        "dropout",
        "it drops values at random although the module is in evaluation mode",
    ),
    "other shapes added": (
        lambda w: w.one + w.one[None],
        "add",
        "it adds tensors of shapes (1, 6) and (1, 1, 6)",
    ),
    "a step added to all": (
        lambda w: w.made(SAMPLE, STEP, VALUE, side=4) + w.made(SAMPLE, VALUE, VALUE, side=4),
        "add",
        "it adds a value of one step to values of all steps",
    ),
    "zeros that make it larger": (
        lambda w: w.one + torch.zeros(3, 1, 6),
        "add",
        "it broadcasts",
    ),
    "a constant added": (
        lambda w: w.one + 1,
        "add",
        "it adds a constant: a bias of a layer can",
    ),
    "what became of all steps added": (
        lambda w: w.total + w.one,
        "add",
        "it computes with the sum over all steps",
    ),
    "rounded": (lambda w: torch.div(w.one, 2, rounding_mode="floor"), "div", "it rounds"),
    "divided by values": (
        lambda w: torch.div(torch.ones(1, 6), w.one),
        "div",
        "it divides by a value of the network",
    ),
    "a factor that repeats": (
        lambda w: w.one * torch.full((3, 1, 6), 2.0),
        "mul",
        "it broadcasts",
    ),
    "a factor of each step": (
        lambda w: w.all * torch.rand(4, 1, 1),
        "mul",
        "it multiplies each step by a factor of its own",
    ),
    "what became of all steps turned round": (
        lambda w: -w.total,
        "neg",
        "it computes with the sum over all steps",
    ),
    "a product with a membrane": (
        lambda w: w.one * w.state,
        "mul",
        "it computes with a state of 'lif'",
    ),
    "other numbers put in": (
        lambda w: in_place(w.one, lambda x: setattr(x, "data", torch.ones(1, 6))),
        "data",
        "it writes into a tensor",
    ),
    "written where it was told to": (
        lambda w: torch.add(w.one, w.one, out=torch.zeros(1, 6)),
        "add",
        "it writes",
    ),
    "a view that was written into": (
        lambda w: in_place(w.one.view(1, 2, 3), lambda x: x.mul_(2)),
        "mul_",
        "it writes into a part of a tensor",
    ),
    "what a view of it was written into": (
        lambda w: in_place(w.one, lambda x: x.view(1, 2, 3).mul_(2)),
        "mul_",
        "it writes into a part of a tensor",
    ),
    "what shares its numbers with another": (
        lambda w: in_place(w.one, lambda x: x.detach().add_(x)),
        "add_",
        "it writes into a part of a tensor",
    ),
    "an unknown function": (lambda w: torch.sigmoid(w.one), "sigmoid", ""),
}


@pytest.mark.parametrize("case", LOST)
def test_what_cannot_be_followed_says_why(watched, case):
    body, function, reason = LOST[case]
    assert watched.known(body) == Lost(function=function, reason=reason)


def test_a_view_is_lost_when_what_it_shows_is_written_into(watched):
    with watched.following():
        values = watched.one
        view = values.view(1, 2, 3)
        values.mul_(2)
    assert isinstance(watched.trail.known(values), Traced)
    assert watched.trail.known(view) == Lost(
        function="mul_", reason="it writes into a part of a tensor"
    )


def test_the_error_of_a_lost_value_names_the_function_and_the_way_out():
    error = not_followed(Lost(function="div", reason="it rounds"), "what enters 'fc'", "fc")
    assert str(error) == (
        "error[SNN203]: what enters 'fc' is made by 'div', which cannot be followed: it rounds\n"
        f"  at: fc\n  fix: {WAY_OUT}"
    )


# -------------------------------------------------------------- what is followed


SAME: dict[str, Callable[[Any], Any]] = {
    "an axis that means nothing": lambda x: x[None][0],
    "an axis in the middle": lambda x: x[:, None][:, 0],
    "all of it": lambda x: x[...],
    "expanded to what it is": lambda x: x.expand(1, 6),
    "arguments by name": lambda x: torch.mul(input=x, other=1.0),
    "no dropout": lambda x: F.dropout(x, 0.5, training=False),
    "no dropout, as torch itself calls it": lambda x: torch.dropout(x, p=0.5, train=False),
    "wide numbers": lambda x: x.double().float(),
    "turned twice": lambda x: x.t().t(),
    "moved twice": lambda x: x.movedim(0, 1).movedim(1, 0),
    "zeros added": lambda x: x + torch.zeros(1, 6),
    "constants beside it": lambda x: (torch.ones(3).__setitem__(0, 2.0), x)[1],
    "told about": lambda x: x if not x.is_xpu else None,
}


@pytest.mark.parametrize("case", SAME)
def test_what_changes_no_number_is_the_same_value(watched, case):
    one = watched.one
    assert watched.known(lambda _: SAME[case](one)) == watched.trail.known(one)


def test_nothing_is_known_of_constants(watched):
    one = watched.one
    with watched.following():
        constants = one.new_zeros(3)
        constants[0] = 2.0
        shaped = torch.ones(6, 1).reshape_as(one)
    assert watched.trail.known(constants) is None
    assert watched.trail.known(shaped) is None


@pytest.mark.parametrize(
    "together",
    [
        torch.stack,
        lambda parts: torch.cat([part[None] for part in parts]),
        lambda parts: filled((4, 1, 6), parts),
    ],
)
def test_values_of_all_steps_together_are_a_sequence(watched, together):
    found = watched.known(lambda w: together(w.each()))
    assert found == watched.trail.known(watched.all)


def test_samples_of_one_step_each_are_steps(watched):
    found = watched.known(lambda w: torch.cat(w.each()))
    assert found == watched.trail.known(watched.made(STEP, VALUE))


@pytest.mark.parametrize(
    ("apart", "axes"),
    [
        (lambda x: x.unbind(), (SAMPLE, VALUE)),
        (lambda x: [x[step] for step in range(STEPS)], (SAMPLE, VALUE)),
        (lambda x: x.split(1), (SINGLE, SAMPLE, VALUE)),
        (lambda x: x.chunk(4), (SINGLE, SAMPLE, VALUE)),
        (lambda x: x.tensor_split(4), (SINGLE, SAMPLE, VALUE)),
    ],
)
def test_a_sequence_taken_apart_is_its_steps(watched, apart, axes):
    whole = watched.all
    with watched.following():
        parts = apart(whole)
    for step, part in enumerate(parts):
        assert watched.trail.known(part) == watched.trail.known(watched.made(*axes, step=step))


def test_steps_before_the_first_are_zeros_that_make_zeros(watched):
    with watched.following():
        spikes = watched.each()
        late = torch.stack([torch.zeros(1, 6), *spikes[:-1]])
        first, second = late[0], late[1]
        both = torch.cat([first, first], 1)
        twice = first + first
    zero = watched.trail.known(first).formula
    assert isinstance(zero, Zero)
    assert watched.trail.known(second) == watched.trail.known(spikes[0])
    assert watched.trail.known(twice).formula is zero
    assert watched.trail.known(both).formula == watched.trail.formulas.zero((12,))


def test_an_image_that_is_repeated_is_all_steps(watched):
    for repeated in (lambda x: x.expand(4, 1, 6), lambda x: x.repeat(4, 1, 1)):
        image = watched.made(SAMPLE, VALUE, step=None)
        found = watched.known(lambda _, image=image, repeated=repeated: repeated(image))
        assert found == Traced(
            formula=watched.trail.known(image).formula, axes=(STEP, SAMPLE, VALUE)
        )


def test_values_may_get_more_axes(watched):
    found = watched.known(lambda w: w.one.unflatten(1, (2, 3)))
    assert found.axes == (SAMPLE, VALUE, VALUE)
    assert found.formula.shape == (2, 3)
    assert watched.known(lambda w: w.one.unflatten(1, (2, 3)).flatten(1)).formula.shape == (6,)


def test_a_factor_does_not_change_which_answer_is_the_largest(watched):
    total = watched.total
    assert watched.known(lambda _: 3 * total) is watched.trail.known(total)
    assert watched.known(lambda _: total / STEPS) is watched.trail.known(total)
