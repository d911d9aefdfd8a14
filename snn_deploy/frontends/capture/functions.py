"""Which torch functions are followed, and by whom; a function that is not here loses the value,
which matters only if a layer or an output needs it."""

from collections.abc import Mapping

from snn_deploy.frontends.capture import layers, sums, time, views
from snn_deploy.frontends.capture.axes import Over
from snn_deploy.frontends.capture.calls import Handler

_POOL = (("kernel_size", None), ("stride", None), ("padding", 0))
_AVERAGE = (*_POOL, ("ceil_mode", False), ("count_include_pad", True))
_MAX = (*_POOL, ("dilation", 1), ("ceil_mode", False), ("return_indices", False))

HANDLERS: Mapping[str, Handler] = {
    **dict.fromkeys(
        (
            *("clone", "detach", "detach_", "contiguous", "data", "float", "double", "cpu"),
            *("cuda", "to", "type", "type_as", "requires_grad_", "alias", "positive"),
        ),
        sums.same,
    ),
    **dict.fromkeys(
        ("dropout", "dropout1d", "dropout2d", "alpha_dropout", "feature_dropout"), sums.dropout
    ),
    **dict.fromkeys(
        (
            *("zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like"),
            *("new_zeros", "new_ones", "new_full", "new_empty", "new_tensor"),
        ),
        sums.constant,
    ),
    **dict.fromkeys(("add", "add_", "__add__", "__radd__", "__iadd__"), sums.add),
    **dict.fromkeys(("sub", "sub_", "subtract", "__sub__", "__isub__"), sums.subtract),
    **dict.fromkeys(("rsub", "__rsub__"), sums.subtract_from),
    **dict.fromkeys(("mul", "mul_", "multiply", "__mul__", "__rmul__", "__imul__"), sums.multiply),
    **dict.fromkeys(
        ("div", "div_", "divide", "true_divide", "__truediv__", "__itruediv__"), sums.divide
    ),
    **dict.fromkeys(("neg", "neg_", "negative", "__neg__"), sums.negate),
    **dict.fromkeys(
        ("reshape", "view", "flatten", "unflatten", "reshape_as", "view_as"), views.reshape
    ),
    "squeeze": views.squeeze,
    "unsqueeze": views.unsqueeze,
    "permute": views.permute,
    **dict.fromkeys(("transpose", "swapaxes", "swapdims"), views.transpose),
    **dict.fromkeys(("t", "T"), views.swap),
    **dict.fromkeys(("movedim", "moveaxis"), views.move),
    **dict.fromkeys(("repeat", "expand", "expand_as", "broadcast_to"), views.repeat),
    "__getitem__": time.item,
    "select": time.select,
    "unbind": time.unbind,
    **dict.fromkeys(("split", "chunk", "tensor_split"), time.split),
    "stack": time.stack,
    **dict.fromkeys(("cat", "concat", "concatenate"), time.concatenate),
    "__setitem__": time.set_item,
    "sum": time.over_time(Over.SUM),
    "mean": time.over_time(Over.MEAN),
    "amax": time.over_time(Over.MAX),
    "max": time.over_time(Over.MAX),
    "linear": layers.linear,
    **dict.fromkeys(("matmul", "mm", "__matmul__"), layers.matmul),
    "conv1d": layers.convolving(1),
    "conv2d": layers.convolving(2),
    "conv_transpose1d": layers.transposing(1),
    "conv_transpose2d": layers.transposing(2),
    "avg_pool1d": layers.by_module("AvgPool1d", *_AVERAGE),
    "avg_pool2d": layers.by_module("AvgPool2d", *_AVERAGE, ("divisor_override", None)),
    "max_pool1d": layers.by_module("MaxPool1d", *_MAX),
    "max_pool2d": layers.by_module("MaxPool2d", *_MAX),
    "adaptive_avg_pool1d": layers.by_module("AdaptiveAvgPool1d", ("output_size", None)),
    "adaptive_avg_pool2d": layers.by_module("AdaptiveAvgPool2d", ("output_size", None)),
    "interpolate": layers.by_module(
        "Upsample", ("size", None), ("scale_factor", None), ("mode", "nearest")
    ),
    **dict.fromkeys(("relu", "relu_"), layers.rectify),
    "relu6": layers.rectify_to_six,
    **dict.fromkeys(("clamp", "clamp_", "clip"), layers.clamp),
    "batch_norm": layers.batch_norm,
}
"""What is followed, by the function's name."""

HARMLESS = frozenset(
    {
        *("shape", "size", "dim", "ndim", "numel", "nelement", "dtype", "device", "layout"),
        *("is_cuda", "is_cpu", "is_mps", "is_sparse", "is_quantized", "is_meta", "is_leaf"),
        *("is_floating_point", "is_complex", "is_contiguous", "is_nested", "is_mkldnn"),
        *("requires_grad", "retains_grad", "grad", "grad_fn", "names", "has_names", "stride"),
        *("element_size", "itemsize", "nbytes", "storage_offset", "data_ptr", "get_device"),
        *("_version", "_base", "__len__", "__repr__", "__format__", "__hash__", "ndimension"),
        *(
            "is_same_size",
            "is_inference",
            "register_hook",
            "retain_grad",
            "__dir__",
            "untyped_storage",
        ),
    }
)
"""Functions that tell about a tensor without telling its values."""
