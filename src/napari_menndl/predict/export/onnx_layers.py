"""Layers of a network as ONNX: each node of its plan becomes one operation, or a few."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_menndl.predict.export.onnx_graph import inexpressible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from napari_menndl.genome.nodes import Node
    from napari_menndl.genome.plan import Plan
    from napari_menndl.predict.export.onnx_graph import Graph

#: Added to variances, as in torch.
_EPSILON = 1e-5


def add_network(graph: Graph, plan: Plan, weights: Mapping[str, Tensor], channels: str) -> str:
    """Add a network, and return its probabilities.

    Parameters
    ----------
    graph : Graph
    plan : Plan
    weights : mapping of str to Tensor
        As of `network.module.Network`.
    channels : str
        Input channels, (1, K, Y, X) float.

    Returns
    -------
    str
        (1, C, Y, X) float.
    """
    layers = _Layers(graph, weights)
    values = [_fit_to_stride(graph, channels, plan.stride)]
    for node in plan.nodes[1:]:
        values.append(layers.add(node, *(values[i] for i in node.inputs)))
    logits = values[-1]
    if (stride := plan.nodes[-1].stride) > 1:
        logits = _resize(graph, logits, stride, "bilinear")
    zero, axes = graph.constant([0, 0], "int"), graph.constant([2, 3], "int")
    ends = graph.vector(graph.size(channels, 2), graph.size(channels, 3))
    return graph.add("Sigmoid", graph.add("Slice", logits, zero, ends, axes))


def _fit_to_stride(graph: Graph, channels: str, stride: int) -> str:
    """Pad below and on the right, with the outermost pixels, to a multiple of the total stride."""
    if stride == 1:
        return channels
    step = graph.constant(stride, "int")
    missing = [
        graph.add("Mod", graph.add("Sub", step, graph.add("Mod", graph.size(channels, axis), step)), step)
        for axis in (2, 3)
    ]
    none = graph.constant([0] * 6, "int")
    return graph.add("Pad", channels, graph.add("Concat", none, graph.vector(*missing), axis=0), mode="edge")


def _resize(graph: Graph, value: str, factor: int, mode: str) -> str:
    scales = graph.constant([1, 1, factor, factor])
    if mode == "nearest":
        how = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
    else:
        how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    return graph.add("Resize", value, "", scales, **how)


class _Layers:
    def __init__(self, graph: Graph, weights: Mapping[str, Tensor]) -> None:
        self._graph = graph
        self._weights = weights

    def add(self, node: Node, *inputs: str) -> str:
        """Add a node of a plan and return its output."""
        g, first = self._graph, inputs[0]
        match node.kind:
            case "conv":
                parameters = [self._weight(node, "weight"), *([self._weight(node, "bias")] if node.bias else [])]
                dilations = [node.dilation] * 2
                return g.add("Conv", first, *parameters, dilations=dilations, group=node.groups, **_window(node))
            case "norm" if node.mode == "batch":
                names = ("weight", "bias", "running_mean", "running_var")
                parameters = [self._weight(node, name) for name in names]
                return g.add("BatchNormalization", first, *parameters, epsilon=_EPSILON)
            case "norm":
                parameters = [self._weight(node, name) for name in ("weight", "bias")]
                last = g.add("Transpose", first, perm=[0, 2, 3, 1])
                scaled = g.add("LayerNormalization", last, *parameters, axis=-1, epsilon=_EPSILON)
                return g.add("Transpose", scaled, perm=[0, 3, 1, 2])
            case "activation":
                return self._activation(node.mode, first)
            case "pool" if node.mode == "max":
                return g.add("MaxPool", first, **_window(node))
            case "pool":
                return g.add("AveragePool", first, count_include_pad=1, **_window(node))
            case "upsample":
                return _resize(g, first, node.step, node.mode)
            case "add":
                return g.add("Add", *inputs)
            case "concat":
                return g.add("Concat", *inputs, axis=1)
            case "dropout":
                return first
            case _:
                raise inexpressible(node.kind)

    def _weight(self, node: Node, name: str) -> str:
        return self._graph.constant(self._weights[f"steps.{node.name}.{name}"].detach().cpu().numpy())

    def _activation(self, mode: str, value: str) -> str:
        g = self._graph
        match mode:
            case "relu":
                return g.add("Relu", value)
            case "leaky":
                return g.add("LeakyRelu", value, alpha=0.01)
            case "elu":
                return g.add("Elu", value, alpha=1.0)
            case "tanh":
                return g.add("Tanh", value)
            case "silu":
                return g.add("Mul", value, g.add("Sigmoid", value))
            case "gelu":
                upper = g.add("Erf", g.add("Mul", value, g.constant(np.sqrt(0.5))))
                share = g.add("Mul", g.add("Add", upper, g.constant(1)), g.constant(0.5))
                return g.add("Mul", value, share)
            case _:
                raise inexpressible(mode)


def _window(node: Node) -> dict[str, list[int]]:
    (above, below), (left, right) = node.padding
    return {"kernel_shape": list(node.kernel), "strides": [node.step] * 2, "pads": [above, left, below, right]}
