"""What each linear node of NIR does: its map, its bias and its delay, in real numbers."""

from dataclasses import dataclass

import nir
import numpy as np
from jaxtyping import Float, Int

from snn_deploy.errors import DynamicsError, ShapeError
from snn_deploy.frontends.nir.shapes import Shapes, kernel_of
from snn_deploy.ir.arrays import REAL, fits
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.maps import Convolution, Dense, LinearMap, Scale, Shape, Sparse, to_sparse

LONGEST_DELAY = 2**16
"""Steps of a delay; a longer one comes from a wrong dt."""

SPARSE_FROM, SPARSE_BELOW = 256, 8
"""A matrix of at least that many numbers, of which less than one in so many is not 0, is stored
synapse by synapse: an upsampling, say, for which NIR has no node but a matrix."""

WHOLE_WITHIN = 1e-6
"""Relative distance to a whole number of steps that is rounding, not a delay between steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One linear node: a map, then a bias, then a delay."""

    name: str
    shape: Shape
    """Of what it gives."""

    map: LinearMap | None = None
    """None: values pass unchanged."""

    bias: Float[np.ndarray, "..."] | None = None
    """Broadcasts to `shape`: a convolution has one per channel ([C, 1, 1])."""

    delay: Int[np.ndarray, "..."] | None = None
    """Whole steps, of the full `shape` or a scalar; None: no delay."""


def stage_of(
    name: str, node: nir.NIRNode, shapes: Shapes, dt: float
) -> tuple[Stage, tuple[Finding, ...]]:
    """Return what a linear node does, and a finding where a delay is not whole.

    Raises:
        ShapeError: a bias does not fit.
        DynamicsError: a delay of too many steps.
    """
    reads, gives = shapes.reads[name], shapes.gives[name]
    if isinstance(node, nir.Delay):
        delay, findings = _steps(name, node.delay, gives, dt)
        return Stage(name=name, shape=gives, delay=delay), findings
    if isinstance(node, nir.Flatten):
        return Stage(name=name, shape=gives), ()
    if isinstance(node, nir.Affine | nir.Linear):
        bias = _bias(name, node.bias, gives) if isinstance(node, nir.Affine) else None
        return Stage(name=name, shape=gives, map=_matrix(node.weight), bias=bias), ()
    if isinstance(node, nir.Scale):
        factor = np.broadcast_to(node.scale.astype(REAL), reads)
        return Stage(name=name, shape=gives, map=Scale(factor=factor)), ()
    bias = None
    if isinstance(node, nir.Conv1d | nir.Conv2d):
        per_channel = (gives[0], *(1 for _ in gives[1:]))
        if node.bias.size not in (1, gives[0]):
            raise ShapeError(
                f"a bias of shape {node.bias.shape} for {gives[0]} channels", where=f"{name}.bias"
            )
        bias = np.resize(node.bias.astype(REAL), gives[0]).reshape(per_channel)
    return Stage(name=name, shape=gives, map=_convolution(name, node, reads), bias=bias), ()


def _matrix(weight: np.ndarray) -> LinearMap:
    """Return a dense map, or a sparse one where most weights are 0.

    A weight [..., out, in] with more axes is one block per row of them.
    """
    if weight.ndim == 2:
        if weight.size >= SPARSE_FROM and np.count_nonzero(weight) < weight.size // SPARSE_BELOW:
            return to_sparse(Dense(weight=weight.astype(REAL)))
        return Dense(weight=weight.astype(REAL))
    blocks = weight.astype(REAL).reshape(-1, *weight.shape[-2:])
    count, outs, ins = blocks.shape
    block, post, pre = (index.ravel() for index in np.indices(blocks.shape))
    return Sparse(
        post=block * outs + post,
        pre=block * ins + pre,
        weight=blocks.ravel(),
        post_shape=(count * outs,),
        pre_shape=(count * ins,),
    )


def _bias(name: str, bias: np.ndarray, gives: Shape) -> np.ndarray:
    if not fits(bias, gives):
        raise ShapeError(
            f"a bias of shape {bias.shape} for values of shape {gives}", where=f"{name}.bias"
        )
    return bias.astype(REAL)


def _convolution(name: str, node: nir.NIRNode, reads: Shape) -> Convolution:
    kernel = kernel_of(node, name)
    channels = reads[0]
    source = (channels, 1 if isinstance(node, nir.Conv1d) else reads[1], reads[-1])
    if isinstance(node, nir.Conv1d):
        weight, groups = node.weight[:, :, None, :], int(np.ravel(node.groups)[0])
    elif isinstance(node, nir.Conv2d):
        weight, groups = node.weight, int(np.ravel(node.groups)[0])
    else:
        each = 1.0 if isinstance(node, nir.SumPool2d) else 1.0 / (kernel.size[0] * kernel.size[1])
        weight, groups = np.full((channels, 1, *kernel.size), each), channels
    return Convolution(
        weight=weight.astype(REAL),
        source=source,
        stride=kernel.stride,
        padding=kernel.padding,
        dilation=kernel.dilation,
        groups=groups,
    )


def _steps(
    name: str, delay: np.ndarray, gives: Shape, dt: float
) -> tuple[np.ndarray, tuple[Finding, ...]]:
    """Return a delay in whole steps: the nearest ones, half a step to the even number."""
    exact = delay.astype(REAL) / dt
    if exact.size and exact.max() > LONGEST_DELAY:
        raise DynamicsError(
            f"a delay of {exact.max():.6g} steps; at most {LONGEST_DELAY} are read",
            where=f"{name}.delay",
            fix=f"a step takes {dt:g}: state another with --dt",
        )
    whole = np.rint(exact)
    off = np.abs(exact - whole)
    findings: tuple[Finding, ...] = ()
    if np.any(off > WHOLE_WITHIN * np.maximum(1.0, exact)):
        findings = (
            Finding(
                kind=Kind.ROUNDED,
                layer=name,
                amount=f"delays moved by up to {off.max():.3g} steps",
                reason=f"a step takes {dt:g}, and a delay is a whole number of steps",
            ),
        )
    if np.all(whole == whole.flat[0]):
        return np.asarray(whole.flat[0], np.int32), findings
    return np.broadcast_to(whole.astype(np.int32), gives), findings
