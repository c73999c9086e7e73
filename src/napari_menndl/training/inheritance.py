"""Inheritance of weights from a parent by its offspring, layer by layer."""

from __future__ import annotations

import json
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

import torch
from torch import nn

from napari_menndl.errors import InputError
from napari_menndl.genome.genes import Conv
from napari_menndl.genome.genome import Genome
from napari_menndl.network.module import Network
from napari_menndl.network.weights import from_bytes, of_fold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from napari_menndl.genome.plan import Plan


def inherit(weights: bytes, split: int, genome: Genome, plan: Plan, seed: int) -> dict[int, dict[str, Tensor]]:
    """Return the initial weights of an offspring's networks, one network per fold.

    A fold's network starts with the weights of the parent's network of the same fold, which has not seen that fold's
    validation data. Layers are matched in order (longest common subsequence); if the width of a layer has changed, the
    channels common to both are copied. A convolution inserted between two layers starts as the identity, so that the
    other layers receive their usual inputs (Chen, Goodfellow & Shlens 2016, "Net2Net", arXiv:1511.05641; here only
    approximately, because of the normalisation after it). All other weights are random.

    Parameters
    ----------
    weights : bytes
        Weights that `training.evaluate` returned for the parent.
    split : int
        Number of the split of the offspring's rung.
    genome, plan : Genome, Plan
        Genome and plan of the offspring.
    seed : int
        Seed of the random weights.

    Returns
    -------
    dict of int to dict of str to Tensor
        Weights by fold; empty if the parent was trained on another split or has other input channels.
    """
    tensors, metadata = from_bytes(weights)
    try:
        parent = Genome.from_json(json.loads(metadata["described"]))
    except (KeyError, ValueError, InputError):
        return {}
    same_channels = parent.inputs == genome.inputs and parent.training.normalisation == genome.training.normalisation
    if metadata.get("split") != str(split) or not same_channels:
        return {}
    folds = {int(fold) for name in tensors if (fold := name.partition("/")[0]).isdigit()}
    network = Network(plan, seed)
    matched = dict(_matches(parent, genome))
    for index in set(range(len(genome.layers))) - set(matched.values()):
        _make_identity(network, f"layer{index}", genome.layers[index])
    start = network.state_dict()
    return {fold: _taken_over(of_fold(tensors, fold), start, matched) for fold in sorted(folds)}


def _matches(parent: Genome, offspring: Genome) -> Iterator[tuple[int, int]]:
    """Yield indices of matching layers of parent and offspring; a changed layer matches the one in its place."""
    matcher = SequenceMatcher(None, parent.layers, offspring.layers, autojunk=False)
    for kind, i0, i1, j0, j1 in matcher.get_opcodes():
        if kind == "equal" or (kind == "replace" and i1 - i0 == j1 - j0):
            yield from zip(range(i0, i1), range(j0, j1), strict=True)


def _taken_over(
    old: Mapping[str, Tensor], start: Mapping[str, Tensor], matched: Mapping[int, int]
) -> dict[str, Tensor]:
    """Return the offspring's weights: the parent's in matched layers, those of `start` elsewhere."""
    result = {name: tensor.clone() for name, tensor in start.items()}
    for name, tensor in old.items():
        module, _, rest = name.removeprefix("steps.").partition(".")
        layer, _, part = module.partition("_")
        if layer != "head":
            index = layer.removeprefix("layer")
            if not index.isdigit() or int(index) not in matched:
                continue
            layer = f"layer{matched[int(index)]}"
        new = f"steps.{layer}_{part}.{rest}"
        if new not in result or result[new].dim() != tensor.dim() or result[new].shape[2:] != tensor.shape[2:]:
            continue
        both = tuple(slice(min(a, b)) for a, b in zip(tensor.shape[:2], result[new].shape[:2], strict=True))
        if tensor.dim():
            result[new][both] = tensor[both].to(result[new])
        else:
            result[new] = tensor.clone()
    return result


@torch.no_grad()
def _make_identity(network: Network, prefix: str, layer: object) -> None:
    """Initialise a plain convolution as the identity, channel by channel."""
    if not isinstance(layer, Conv) or layer.depthwise or layer.stride > 1:
        return
    conv = dict(network.steps.items()).get(f"{prefix}_conv")
    if isinstance(conv, nn.Conv2d) and all(size % 2 for size in conv.kernel_size):
        nn.init.dirac_(conv.weight)
