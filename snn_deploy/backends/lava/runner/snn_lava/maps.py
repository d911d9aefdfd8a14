"""The linear maps of a program as weights [post, pre], dense, sparse or as Lava's kernels."""

import numpy as np
from scipy.sparse import csr_matrix


def sparse(projection):
    """Return (weights, delays): csr_matrix [post, pre] each; a stored 0 is no synapse."""
    post, pre, number, shape = triplets(projection.map)
    weights = projection.map.weight.ravel()[number].astype(np.int64)
    delays = np.asarray(projection.delay)
    if delays.ndim == 0:
        delays = np.broadcast_to(delays, weights.shape)
    elif delays.shape == (shape[1],):  # as ir/delays.py: per source before per weight
        delays = delays[pre]
    else:
        delays = delays.ravel()[number]
    keep = weights != 0
    places = (post[keep], pre[keep])
    return (
        csr_matrix((weights[keep], places), shape),
        csr_matrix((delays[keep].astype(np.int64), places), shape),
    )


def triplets(linear):
    """Return (post, pre, index into the flat weights, (posts, pres)) of every synapse."""
    if linear.kind == "dense":
        shape = linear.weight.shape
        post, pre = np.indices(shape).reshape(2, -1)
        return post, pre, np.arange(linear.weight.size), shape
    if linear.kind == "sparse":
        shape = (int(np.prod(linear.post_shape)), int(np.prod(linear.pre_shape)))
        post, pre = np.atleast_1d(linear.post), np.atleast_1d(linear.pre)
        return post, pre, np.arange(linear.weight.size), shape
    return _unrolled(linear)


def _unrolled(conv):
    """Return the synapses of a cross-correlation, as torch's conv2d, with C-ordered neurons."""
    weight = conv.weight
    height, width = _out_extent(conv)
    channels, rows, columns = conv.source
    out, within, row, column = (a.ravel() for a in np.indices(weight.shape))
    into = out // (weight.shape[0] // conv.groups) * weight.shape[1] + within
    y, x = (a.ravel()[:, None] for a in np.indices((height, width)))
    seen_y = y * conv.stride[0] - conv.padding[0] + row * conv.dilation[0]
    seen_x = x * conv.stride[1] - conv.padding[2] + column * conv.dilation[1]
    inside = (seen_y >= 0) & (seen_y < rows) & (seen_x >= 0) & (seen_x < columns)
    post = (out * height + y) * width + x
    pre = (into * rows + seen_y) * columns + seen_x
    number = np.broadcast_to(np.arange(weight.size), post.shape)
    shape = (weight.shape[0] * height * width, channels * rows * columns)
    return post[inside], pre[inside], number[inside], shape


def _out_extent(conv):
    extent = []
    for axis in (0, 1):
        reach = conv.dilation[axis] * (conv.weight.shape[2 + axis] - 1) + 1
        padded = conv.source[1 + axis] + conv.padding[2 * axis] + conv.padding[2 * axis + 1]
        extent.append((padded - reach) // conv.stride[axis] + 1)
    return extent


def lava_convolution(conv, exponent):
    """Return the arguments of Lava's Conv, which is a true convolution in (W, H, C) order."""
    channels, rows, columns = conv.source
    kernel = conv.weight.astype(np.int64) << exponent
    return {
        "weight": kernel[:, :, ::-1, ::-1].transpose(0, 3, 2, 1).copy(),
        "input_shape": (columns, rows, channels),
        "padding": (conv.padding[2], conv.padding[0]),
        "stride": (conv.stride[1], conv.stride[0]),
        "dilation": (conv.dilation[1], conv.dilation[0]),
        "groups": conv.groups,
    }


def out_shape(conv):
    """Return channels, height, width of what a convolution gives."""
    return (conv.weight.shape[0], *_out_extent(conv))
