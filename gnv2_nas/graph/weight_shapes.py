"""Which weights a network has: key and shape of every tensor of its state dict. Without numpy."""

from __future__ import annotations

from gnv2_nas.graph.op import Graph, Op

_COUNTERS = frozenset(
    {
        "num_batches_tracked",
        # thop, ptflops and their like, beside every module
        "total_ops", "total_params", "total_flops", "total_macs", "total_memory", "__flops__",
        "__params__", "__macs__", "flops", "params", "macs", "ops",
        # averages of weights
        "n_averaged", "num_updates", "num_averaged", "initted", "step", "decay",
    }
)  # fmt: skip


def kernel_shape(op: Op) -> tuple[int, ...]:
    """Shape of the weight tensor of a convolution or linear layer in the torch module."""
    if op.kind == "linear":
        return (op.shape[0], op.in_channels)
    return (op.shape[0], op.in_channels // op.groups, *op.kernel)


def expected_shapes(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Key → shape of every tensor the state dict of this network holds.

    Without batch norm's `num_batches_tracked`, which no computation reads.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for op in graph.ops:
        if not op.weight:
            continue
        shapes[f"{op.weight}.weight"] = kernel_shape(op)
        if op.bias:
            shapes[f"{op.weight}.bias"] = op.shape[:1]
        if op.norm:
            for part in ("weight", "bias", "running_mean", "running_var"):
                shapes[f"{op.norm}.{part}"] = op.shape[:1]
    return shapes


def optional_shapes(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Key → shape of tensors a state dict may hold and no computation reads."""
    return {f"{op.norm}.num_batches_tracked": () for op in graph.ops if op.norm}


def is_bookkeeping(key: str, shape: tuple[int, ...]) -> bool:
    """Whether a tensor counts something that no computation reads: operations, steps, updates."""
    return max((1, *shape)) == 1 and key.rpartition(".")[2] in _COUNTERS


def clipped_axes(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Key of a depthwise kernel → its axes (2: height, 3: width) at the limit of its map.

    On a side of m pixels, taps beyond ±(m-1) meet only zero padding, so an architecture holds at
    most 2m-1 of them. Along these axes a larger kernel, for instance of the same network made
    for larger images, computes the same as its centre (`centre_crop`).
    """
    axes: dict[str, tuple[int, ...]] = {}
    for op in graph.ops:
        if op.kind == "conv" and op.groups == op.in_channels:
            sides = graph.ops[op.inputs[0]].shape[1:]
            pairs = zip((2, 3), op.kernel, sides, strict=True)
            axes[f"{op.weight}.weight"] = tuple(
                axis for axis, taps, side in pairs if taps >= 2 * side - 1
            )
    return axes
