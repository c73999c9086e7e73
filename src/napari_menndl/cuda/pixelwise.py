"""Computations over the channels of each pixel on CUDA devices, in one kernel instead of many small ones."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

#: Values that a program computes at a time; rows, of the channels of a pixel, are padded to powers of two.
_VALUES = 2048


@triton.jit(do_not_specialize=["rows", "channels"])
def _normalise(values, out, factors, rows, channels, epsilon, R: tl.constexpr, C: tl.constexpr):
    row = tl.program_id(0) * R + tl.arange(0, R)
    c = tl.arange(0, C)[None, :]
    kept = (row < rows)[:, None] & (c < channels)
    at = row[:, None] * channels + c
    value = tl.load(values + at, mask=kept, other=0.0)
    apart = tl.where(kept, value - (tl.sum(value, 1) / channels)[:, None], 0.0)
    factor = 1.0 / tl.sqrt(tl.sum(apart * apart, 1) / channels + epsilon)
    tl.store(out + at, apart * factor[:, None], mask=kept)
    tl.store(factors + row, factor, mask=row < rows)


@triton.jit(do_not_specialize=["rows", "channels"])
def _normalise_slope(normalised, factors, slope, out, rows, channels, R: tl.constexpr, C: tl.constexpr):
    row = tl.program_id(0) * R + tl.arange(0, R)
    c = tl.arange(0, C)[None, :]
    kept = (row < rows)[:, None] & (c < channels)
    at = row[:, None] * channels + c
    value = tl.load(normalised + at, mask=kept, other=0.0)
    one = tl.load(slope + at, mask=kept, other=0.0)
    factor = tl.load(factors + row, mask=row < rows, other=0.0)
    common = (tl.sum(one, 1) / channels)[:, None] + value * (tl.sum(one * value, 1) / channels)[:, None]
    tl.store(out + at, factor[:, None] * (one - common), mask=kept)


def _blocks(channels: int) -> dict[str, int]:
    """Return the rows R and the channels C that a program computes."""
    width = triton.next_power_of_2(channels)
    return {"R": max(1, _VALUES // width), "C": width}


class _Normalisation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, epsilon: float) -> Tensor:
        count, channels = rows.shape
        out, factors = torch.empty_like(rows), rows.new_empty(count)
        options = _blocks(channels)
        _normalise[(triton.cdiv(count, options["R"]),)](rows, out, factors, count, channels, epsilon, **options)
        ctx.save_for_backward(out, factors)
        return out

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        normalised, factors = ctx.saved_tensors
        count, channels = normalised.shape
        out = torch.empty_like(normalised)
        options = _blocks(channels)
        _normalise_slope[(triton.cdiv(count, options["R"]),)](
            normalised, factors, slope.contiguous(), out, count, channels, **options
        )
        return out, None


def normalise(rows: Tensor, epsilon: float) -> Tensor:
    """Normalise each row of (n, C) float32 to mean 0 and variance 1, as `torch.nn.functional.layer_norm` does."""
    normalised: Tensor = _Normalisation.apply(rows.contiguous(), epsilon)
    return normalised


@triton.jit
def _prepared(logits, target, weights, copy, pixel, pixels, copies, classes, unknown, C: tl.constexpr):
    """Return probability, truth, what it misses, cross-entropy, weight, and known or not (R, C), of a copy's pixels."""
    c = tl.arange(0, C)[None, :]
    kept = (pixel < pixels)[:, None] & (c < classes)
    z = tl.load(logits + (pixel[:, None] * copies + copy) * classes + c, mask=kept, other=0.0)
    label = tl.load(target + copy * pixels + pixel, mask=pixel < pixels, other=0).to(tl.int32)[:, None]
    known = tl.where(kept & (label != unknown), 1.0, 0.0)
    true = tl.where(label == c + 1, known, 0.0)
    weight = 1.0 + (tl.load(weights + copy * classes + c, mask=c < classes, other=1.0) - 1.0) * true
    p = 1.0 / (1.0 + tl.exp(-z))
    entropy = tl.maximum(z, 0.0) - z * true + tl.log(1.0 + tl.exp(-tl.abs(z)))
    return p, true, true + p * (1.0 - 2.0 * true), entropy, weight, known


@triton.jit(do_not_specialize=["pixels", "copies", "classes", "unknown"])
def _loss_sums(
    logits, target, weights, out, pixels, copies, classes, unknown, bce, focal,
    R: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Sum over blocks of pixels: out (4, blocks, copies, classes), of surprise, known pixels, overlap and sizes."""
    copy = tl.program_id(1)
    pixel = tl.program_id(0) * R + tl.arange(0, R)
    p, true, missed, entropy, weight, known = _prepared(
        logits, target, weights, copy, pixel, pixels, copies, classes, unknown, C
    )
    surprise = entropy * weight * (bce + focal * missed * missed) * known
    c = tl.arange(0, C)
    at = out + (tl.program_id(0) * copies + copy) * classes + c
    step = tl.num_programs(0) * copies * classes
    tl.store(at, tl.sum(surprise, 0), mask=c < classes)
    tl.store(at + step, tl.sum(known, 0), mask=c < classes)
    tl.store(at + 2 * step, tl.sum(p * true, 0), mask=c < classes)
    tl.store(at + 3 * step, tl.sum(p * p * known + true, 0), mask=c < classes)


@triton.jit(do_not_specialize=["pixels", "copies", "classes", "unknown"])
def _loss_slope(
    logits, target, weights, factors, out, pixels, copies, classes, unknown, bce, focal,
    R: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Compute the gradient of the logits; factors (3, copies, classes) of the surprise, the truth and the output."""
    copy = tl.program_id(1)
    pixel = tl.program_id(0) * R + tl.arange(0, R)
    p, true, missed, entropy, weight, known = _prepared(
        logits, target, weights, copy, pixel, pixels, copies, classes, unknown, C
    )
    inner = p * (1.0 - p)
    slope = (p - true) * (bce + focal * missed * missed)
    slope += entropy * focal * 2.0 * missed * inner * (1.0 - 2.0 * true)
    c = tl.arange(0, C)[None, :]
    at = factors + copy * classes + c
    one = tl.load(at, mask=c < classes, other=0.0)
    two = tl.load(at + copies * classes, mask=c < classes, other=0.0)
    three = tl.load(at + 2 * copies * classes, mask=c < classes, other=0.0)
    slope = known * (one * weight * slope + inner * (two * true + three * p))
    kept = (pixel < pixels)[:, None] & (c < classes)
    tl.store(out + (pixel[:, None] * copies + copy) * classes + c, slope, mask=kept)


class _Loss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, target: Tensor, weights: Tensor, parts: tuple[float, float, float], unknown: int
    ) -> Tensor:
        bce, focal, dice = parts
        copies, classes = weights.shape
        pixels = logits.numel() // (copies * classes)
        ctx.options = _blocks(classes)
        blocks = triton.cdiv(pixels, ctx.options["R"])
        ctx.numbers = pixels, copies, classes, unknown, bce, focal
        sums = logits.new_empty((4, blocks, copies, classes))
        _loss_sums[(blocks, copies)](logits, target, weights, sums, *ctx.numbers, **ctx.options)
        surprise, known, overlap, sizes = sums.sum(1)
        counted = known.sum(1, keepdim=True).clamp(min=1)
        similarity = (2 * overlap + 1) / (sizes + 1)
        ctx.save_for_backward(logits, target, weights, counted, similarity, sizes)
        ctx.dice, ctx.shares = dice, sum(parts)
        return (surprise.sum(1) / counted[:, 0] + dice * (1 - similarity).mean(1)) / ctx.shares

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None, None, None]:
        logits, target, weights, counted, similarity, sizes = ctx.saved_tensors
        outer = slope[:, None] / ctx.shares
        overlapping = outer * (-2 * ctx.dice / weights.shape[1]) / (sizes + 1)
        factors = torch.stack([(outer / counted).expand_as(sizes), overlapping, -overlapping * similarity])
        out = torch.empty_like(logits)
        grid = triton.cdiv(ctx.numbers[0], ctx.options["R"]), ctx.numbers[1]
        _loss_slope[grid](logits, target, weights, factors, out, *ctx.numbers, **ctx.options)
        return out, None, None, None, None


def mixed_loss(
    logits: Tensor, target: Tensor, weights: Tensor, parts: tuple[float, float, float], unknown: int
) -> Tensor:
    """Compute the loss of networks side by side, as `training.losses.MixedLoss` does.

    Parameters
    ----------
    logits : (B, G * C, Y, X) float32
        Best with channels last in memory.
    target : (G, B, Y, X) uint8
    weights : (G, C) float32
        Of the pixels of each class.
    parts : tuple of float
        Shares of cross-entropy, focal and Dice loss.
    unknown : int
        Label of unknown pixels.

    Returns
    -------
    (G,) float32
    """
    losses: Tensor = _Loss.apply(logits.movedim(1, -1).contiguous(), target.contiguous(), weights, parts, unknown)
    return losses
