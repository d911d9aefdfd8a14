"""A layer synapse by synapse, for simulators that have no convolutions."""

import numpy as np
from link import ImpossibleError

MOST_SYNAPSES = 20_000_000
"""Of a network; each takes tens of bytes in the simulators that hold them one by one."""


def check(case, *, graded=False):
    """Refuse networks that such a simulator cannot hold.

    Raises:
        ImpossibleError: too many synapses, or inputs that are no spikes.
    """
    count = sum(synapses(layer, shape) for layer, shape in sources(case))
    if count > MOST_SYNAPSES:
        raise ImpossibleError(
            f"it has no convolutions: {count:,} synapses one by one, more than {MOST_SYNAPSES:,}"
        )
    if case.high > 1 and not graded:
        raise ImpossibleError("its inputs are spikes, not pixels")


def sources(case):
    """Yield each layer with the shape of its input."""
    shape = case.shape
    for layer in case.layers:
        yield layer, shape
        shape = layer.shape


def synapses(layer, shape):
    """Return how many synapses a layer has, those into the padding included."""
    own = 0 if layer.recurrent is None else layer.recurrent.size
    if layer.kind == "convolution":
        places = int(np.prod(layer.shape[1:]))
        return own + layer.weight.size * layer.pool**2 * places
    return own + layer.weight.size * layer.pool**2


def triplets(layer, shape):
    """Return (post, pre, weight) of a layer's input, sorted by pre."""
    if layer.index is not None:
        return by_pre(layer.index[0], layer.index[1], layer.weight)
    if layer.kind == "convolution":
        return by_pre(*convolution(layer, shape))
    weight = layer.weight
    if layer.pool > 1:
        weight = widened(weight, shape, layer.pool)
    return by_pre(*dense(weight))


def feedback(layer):
    """Return (post, pre, weight) of a layer's synapses to itself, sorted by pre; or None."""
    if layer.recurrent is None:
        return None
    if layer.recurrent_index is None:
        return by_pre(*dense(layer.recurrent))
    return by_pre(layer.recurrent_index[0], layer.recurrent_index[1], layer.recurrent)


def widened(weight, shape, pool):
    """Return a dense weight that reads what the pool reads."""
    pooled = weight.reshape(-1, shape[0], shape[1] // pool, shape[2] // pool)
    return np.kron(pooled, np.ones((1, 1, pool, pool), weight.dtype)).reshape(len(weight), -1)


def kernel_of(layer):
    """Return the kernel that reads what the layer's pool reads."""
    return np.kron(layer.weight, np.ones((1, 1, layer.pool, layer.pool), layer.weight.dtype))


def dense(weight):
    """Return (post, pre, weight) of a matrix."""
    post, pre = np.divmod(np.arange(weight.size), weight.shape[1])
    return post, pre, weight.ravel()


def convolution(layer, shape):
    """Return (post, pre, weight) of a convolution behind its pool."""
    kernel, stride, padding = (
        kernel_of(layer),
        layer.stride * layer.pool,
        layer.padding * layer.pool,
    )
    height, width = layer.shape[1:]
    out, into, row, column = (a.ravel()[:, None] for a in np.indices(kernel.shape))
    y, x = (a.ravel()[None] for a in np.indices((height, width)))
    from_y, from_x = y * stride - padding + row, x * stride - padding + column
    inside = (from_y >= 0) & (from_y < shape[1]) & (from_x >= 0) & (from_x < shape[2])
    post = (out * height + y) * width + x
    pre = (into * shape[1] + from_y) * shape[2] + from_x
    weight = np.broadcast_to(kernel.reshape(-1, 1), post.shape)
    return post[inside], pre[inside], weight[inside]


def by_pre(post, pre, weight):
    """Return the same synapses sorted by source."""
    order = np.argsort(pre, kind="stable")
    return post[order].astype(np.int64), pre[order].astype(np.int64), weight[order]
