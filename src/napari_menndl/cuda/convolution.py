"""Convolutions on CUDA devices by kernels that serve every shape.

cuDNN chooses, loads and prepares a kernel for each combination of channels, kernel, dilation and tile: most of a second
for a fresh network, as long as its training; and its grouped convolutions are slow. These kernels are compiled once and
read their shapes as arguments. They compute with TF32, depthwise convolutions with float32, always in the same order.

All tensors have their channels last in memory, those of a group beside each other. For each tap of the kernel, what the
pixels of the output see through it, (pixels, channels), is multiplied by the weights of the tap, (channels, filters).
The gradient of the input is a convolution of the output's gradient with the flipped kernel. If the convolution took
steps, that gradient is spread out: only every `spread`-th pixel of the input of that convolution has a value.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

#: Pixels, and at most channels and filters, that a program multiplies at a time.
_PIXELS, _CHANNELS, _FILTERS = 128, 32, 64
#: Most values that a pixel sees for these to be copied first.
_FEW = 512
#: Programs that keep a GPU busy, and the most parts of the pixels over which they sum the gradient of the weights.
_PROGRAMS, _PARTS = 1024, 48
#: Offset of coordinates, which may be negative, to pack two of them in one number.
_BIAS = tl.constexpr(2**14)
#: Read at run time, so that the kernels need no compilation for other shapes.
_GENERIC = [
    "pixels",
    "height",
    "width",
    "channels",
    "filters",
    "groups",
    "taps",
    "across",
    "dilation",
    "part",
    "all_blocks",
]


@triton.jit
def _corner(corners, block, pixels, height, width, P: tl.constexpr):
    """Return a block of pixels of the output, none beyond its image, and where the first tap of each lies.

    Returns the pixels, whether they are in the image, the first pixel of the input's image, y and x.
    """
    blocks = tl.cdiv(pixels, P)
    image = block // blocks
    pixel = (block - image * blocks) * P + tl.arange(0, P)
    inside = pixel < pixels
    packed = tl.load(corners + pixel, mask=inside, other=0)
    return image * pixels + pixel, inside, image * height * width, (packed >> 15) - _BIAS, (packed & 32767) - _BIAS


@triton.jit
def _seen(image, y, x, tap, height, width, across, dilation, SPREAD: tl.constexpr):
    """Return the pixel of the input that lies under a tap, and whether there is one."""
    down = tap // across
    y += down * dilation
    x += (tap - down * across) * dilation
    inside = (y >= 0) & (x >= 0)
    if SPREAD > 1:
        inside = inside & (y % SPREAD == 0) & (x % SPREAD == 0)
        y = y // SPREAD
        x = x // SPREAD
    return image + y * width + x, inside & (y < height) & (x < width)


@triton.jit(do_not_specialize=_GENERIC)
def _full(
    values, weight, out, corners,
    pixels, height, width, channels, filters, groups, taps, across, dilation, part, all_blocks,
    FLIPPED: tl.constexpr, SPREAD: tl.constexpr, P: tl.constexpr, C: tl.constexpr, F: tl.constexpr,
    CU: tl.constexpr, FU: tl.constexpr,
):  # fmt: skip
    """Convolve; FLIPPED for a gradient, whose `channels` are the filters of the weights."""
    channels *= CU
    filters *= FU
    f = tl.program_id(1) * F + tl.arange(0, F)
    group = tl.program_id(2)
    pixel, there, image, y, x = _corner(corners, tl.program_id(0), pixels, height, width, P)
    total = tl.zeros((P, F), tl.float32)
    for tap in range(taps):
        place, inside = _seen(image, y, x, tap, height, width, across, dilation, SPREAD)
        row = place * (channels * groups) + group * channels
        for first in range(0, channels, C):
            c = first + tl.arange(0, C)
            seen = tl.load(
                values + row[:, None] + c[None, :], mask=inside[:, None] & (c < channels)[None, :], other=0.0
            )
            if FLIPPED:
                at = ((group * channels + c) * taps + (taps - 1 - tap))[:, None] * filters + f[None, :]
            else:
                at = ((group * filters + f) * taps + tap)[None, :] * channels + c[:, None]
            kernel = tl.load(weight + at, mask=(c < channels)[:, None] & (f < filters)[None, :], other=0.0)
            total += tl.dot(seen, kernel, input_precision="tf32")
    at = (pixel * (filters * groups) + group * filters)[:, None] + f[None, :]
    tl.store(out + at, total, mask=there[:, None] & (f < filters)[None, :])


@triton.jit(do_not_specialize=_GENERIC)
def _full_weights(
    values, slope, out, corners,
    pixels, height, width, channels, filters, groups, taps, across, dilation, part, all_blocks,
    P: tl.constexpr, C: tl.constexpr, F: tl.constexpr, CU: tl.constexpr, FU: tl.constexpr,
):  # fmt: skip
    """Sum the gradient of the weights over parts of the pixels: out (parts, groups * filters, taps, channels)."""
    channels *= CU
    filters *= FU
    blocks = tl.cdiv(channels, C)
    tap = tl.program_id(0) // blocks
    c = (tl.program_id(0) % blocks) * C + tl.arange(0, C)
    blocks = tl.cdiv(filters, F)
    group = tl.program_id(1) // blocks
    f = (tl.program_id(1) % blocks) * F + tl.arange(0, F)
    total = tl.zeros((F, C), tl.float32)
    begin = tl.program_id(2) * part
    for block in range(begin, tl.minimum(begin + part, all_blocks)):
        pixel, there, image, y, x = _corner(corners, block, pixels, height, width, P)
        place, inside = _seen(image, y, x, tap, height, width, across, dilation, 1)
        at = (place * (channels * groups) + group * channels)[:, None] + c[None, :]
        seen = tl.load(values + at, mask=inside[:, None] & (c < channels)[None, :], other=0.0)
        at = (pixel * (filters * groups) + group * filters)[:, None] + f[None, :]
        slopes = tl.load(slope + at, mask=there[:, None] & (f < filters)[None, :], other=0.0)
        total += tl.dot(tl.trans(slopes), seen, input_precision="tf32")
    at = ((tl.program_id(2) * groups * filters + group * filters + f)[:, None] * taps + tap) * channels + c[None, :]
    tl.store(out + at, total, mask=(f < filters)[:, None] & (c < channels)[None, :])


@triton.jit(do_not_specialize=_GENERIC)
def _depthwise(
    values, weight, out, corners,
    pixels, height, width, channels, filters, groups, taps, across, dilation, part, all_blocks,
    FLIPPED: tl.constexpr, SPREAD: tl.constexpr, P: tl.constexpr, C: tl.constexpr, CU: tl.constexpr,
):  # fmt: skip
    """Convolve each channel, of `groups`, with a kernel of its own."""
    groups *= CU
    c = tl.program_id(1) * C + tl.arange(0, C)
    pixel, there, image, y, x = _corner(corners, tl.program_id(0), pixels, height, width, P)
    total = tl.zeros((P, C), tl.float32)
    for tap in range(taps):
        place, inside = _seen(image, y, x, tap, height, width, across, dilation, SPREAD)
        at = (place * groups)[:, None] + c[None, :]
        seen = tl.load(values + at, mask=inside[:, None] & (c < groups)[None, :], other=0.0)
        mine = taps - 1 - tap if FLIPPED else tap
        total += seen * tl.load(weight + c * taps + mine, mask=c < groups, other=0.0)[None, :]
    kept = there[:, None] & (c < groups)[None, :]
    tl.store(out + (pixel * groups)[:, None] + c[None, :], total, mask=kept)


@triton.jit(do_not_specialize=_GENERIC)
def _depthwise_weights(
    values, slope, out, corners,
    pixels, height, width, channels, filters, groups, taps, across, dilation, part, all_blocks,
    P: tl.constexpr, C: tl.constexpr, CU: tl.constexpr,
):  # fmt: skip
    """Sum the gradient of the weights of `_depthwise` over parts of the pixels: out (parts, groups, taps)."""
    groups *= CU
    tap = tl.program_id(0)
    c = tl.program_id(1) * C + tl.arange(0, C)
    total = tl.zeros((P, C), tl.float32)
    begin = tl.program_id(2) * part
    for block in range(begin, tl.minimum(begin + part, all_blocks)):
        pixel, _, image, y, x = _corner(corners, block, pixels, height, width, P)
        place, inside = _seen(image, y, x, tap, height, width, across, dilation, 1)
        kept = inside[:, None] & (c < groups)[None, :]
        seen = tl.load(values + (place * groups)[:, None] + c[None, :], mask=kept, other=0.0)
        total += seen * tl.load(slope + (pixel * groups)[:, None] + c[None, :], mask=kept, other=0.0)
    at = (tl.program_id(2) * groups + c) * taps + tap
    tl.store(out + at, tl.sum(total, 0), mask=c < groups)


@triton.jit(do_not_specialize=_GENERIC)
def _columns(
    values, out, corners, taps_and_channels,
    pixels, height, width, channels, filters, groups, taps, across, dilation, part, all_blocks,
    P: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Copy what each pixel of the output sees: out (pixels, groups, taps * channels)."""
    k = tl.program_id(1) * C + tl.arange(0, C)
    length = taps * channels
    packed = tl.load(taps_and_channels + k, mask=k < length, other=0)
    channel = packed & 1023
    group = tl.program_id(2)
    pixel, there, image, y, x = _corner(corners, tl.program_id(0), pixels, height, width, P)
    down = y[:, None] + (packed >> 20)[None, :] * dilation
    right = x[:, None] + ((packed >> 10) & 1023)[None, :] * dilation
    inside = (down >= 0) & (right >= 0) & (down < height) & (right < width) & (k < length)[None, :]
    place = (image + down * width + right) * (channels * groups) + group * channels + channel[None, :]
    seen = tl.load(values + place, mask=inside, other=0.0)
    kept = there[:, None] & (k < length)[None, :]
    tl.store(out + ((pixel * groups + group) * length)[:, None] + k[None, :], seen, mask=kept)


class Geometry(NamedTuple):
    """Geometry of a convolution: steps, dilation, and zeros around the input [px]."""

    step: int
    dilation: int
    above: int
    below: int
    left: int
    right: int

    def size(self, height: int, width: int, down: int, across: int) -> tuple[int, int]:
        """Return the size of the output (Y, X) for an input and a kernel."""
        tall = height + self.above + self.below - self.dilation * (down - 1)
        wide = width + self.left + self.right - self.dilation * (across - 1)
        return (tall - 1) // self.step + 1, (wide - 1) // self.step + 1


def convolve(values: Tensor, weight: Tensor, groups: int, geometry: Geometry) -> Tensor:
    """Convolve (B, G * C, Y, X) with weights (G * F, C, ky, kx), both float32 and best with channels last in memory."""
    rows, kernels = (tensor.movedim(1, -1).contiguous() for tensor in (values, weight))
    convolved: Tensor = _Convolution.apply(rows, kernels, groups, geometry)
    return convolved.movedim(-1, 1)


class _Convolution(torch.autograd.Function):
    """Convolution of values (B, Y, X, G * C) with weights (G * F, ky, kx, C), both contiguous."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, groups: int, geometry: Geometry) -> Tensor:
        ctx.groups, ctx.geometry = groups, geometry
        count, height, width, _ = values.shape
        filters, down, across, channels = weight.shape
        out = values.new_empty((count, *geometry.size(height, width, down, across), filters))
        if down * across > 1 and channels < 16 and filters > groups and down * across * channels <= _FEW:
            # Few channels would leave the tensor cores idle: the taps take their place.
            columns, kernels = _as_columns(values, weight, out, groups, geometry), weight.reshape(filters, 1, 1, -1)
            _run(columns, kernels, out, groups, 1, 1, 0, 0)
            ctx.save_for_backward(values, weight, columns)
        else:
            _run(values, weight, out, groups, geometry.step, geometry.dilation, geometry.above, geometry.left)
            ctx.save_for_backward(values, weight)
        return out

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        values, weight, *columns = ctx.saved_tensors
        geometry, slope = ctx.geometry, slope.contiguous()
        in_values = in_weight = None
        if ctx.needs_input_grad[0]:
            in_values = torch.empty_like(values)
            reach_y = geometry.dilation * (weight.shape[1] - 1) - geometry.above
            reach_x = geometry.dilation * (weight.shape[2] - 1) - geometry.left
            _run(slope, weight, in_values, ctx.groups, 1, geometry.dilation, reach_y, reach_x, spread=geometry.step)
        if columns:
            kernels = weight.reshape(len(weight), 1, 1, -1)
            in_weight = _sum_weights(columns[0], slope, kernels, ctx.groups, Geometry(1, 1, 0, 0, 0, 0))
            in_weight = in_weight.reshape(weight.shape)
        elif ctx.needs_input_grad[1]:
            in_weight = _sum_weights(values, slope, weight, ctx.groups, geometry)
        return in_values, in_weight, None, None


def _run(
    values: Tensor, weight: Tensor, out: Tensor, groups: int,
    step: int, dilation: int, above: int, left: int, spread: int = 0,
) -> None:  # fmt: skip
    """Convolve, or with `spread` compute the gradient of the values of a convolution with so many steps."""
    pixels = out.shape[1] * out.shape[2]
    channels, filters = values.shape[3] // groups, out.shape[3] // groups
    taps = weight.shape[1] * weight.shape[2]
    corners = _corners(out.shape[1], out.shape[2], step, above, left, out.device)
    blocks = out.shape[0] * triton.cdiv(pixels, _PIXELS)
    flags = {"FLIPPED": spread > 0, "SPREAD": max(1, spread), "P": _PIXELS}
    window = taps, weight.shape[2], dilation, 0, blocks
    if channels == filters == 1:
        unit = _unit(groups)
        numbers = (pixels, *values.shape[1:3], 1, 1, groups // unit, *window)
        _depthwise[blocks, triton.cdiv(groups, _CHANNELS)](
            values, weight, out, corners, *numbers, **flags, C=_CHANNELS, CU=unit
        )
        return
    c, f, cu, fu = _block(channels, _CHANNELS), _block(filters, _FILTERS), _unit(channels), _unit(filters)
    numbers = (pixels, *values.shape[1:3], channels // cu, filters // fu, groups, *window)
    _full[blocks, triton.cdiv(filters, f), groups](
        values, weight, out, corners, *numbers, **flags, C=c, F=f, CU=cu, FU=fu
    )


def _sum_weights(values: Tensor, slope: Tensor, weight: Tensor, groups: int, geometry: Geometry) -> Tensor:
    """Return the gradient of the weights for that of the output, `slope`."""
    pixels = slope.shape[1] * slope.shape[2]
    channels, filters = values.shape[3] // groups, slope.shape[3] // groups
    taps = weight.shape[1] * weight.shape[2]
    blocks = slope.shape[0] * triton.cdiv(pixels, _PIXELS)
    corners = _corners(slope.shape[1], slope.shape[2], geometry.step, geometry.above, geometry.left, values.device)
    depthwise = channels == filters == 1
    if depthwise:
        c, f, cu, fu = _CHANNELS, 1, _unit(groups), 1
        programs = taps, triton.cdiv(groups, c)
        sizes = 1, 1, groups // cu
    else:
        c, f, cu, fu = _block(channels, _CHANNELS), _block(filters, _FILTERS), _unit(channels), _unit(filters)
        programs = taps * triton.cdiv(channels, c), groups * triton.cdiv(filters, f)
        sizes = channels // cu, filters // fu, groups
    part = triton.cdiv(blocks, min(_PARTS, triton.cdiv(_PROGRAMS, programs[0] * programs[1])))
    parts = triton.cdiv(blocks, part)
    sums = values.new_empty((parts, *weight.shape))
    numbers = (pixels, *values.shape[1:3], *sizes, taps, weight.shape[2], geometry.dilation, part, blocks)
    grid = *programs, parts
    if depthwise:
        _depthwise_weights[grid](values, slope, sums, corners, *numbers, P=_PIXELS, C=c, CU=cu)
    else:
        _full_weights[grid](values, slope, sums, corners, *numbers, P=_PIXELS, C=c, F=f, CU=cu, FU=fu)
    return sums.sum(0) if parts > 1 else sums[0]


def _as_columns(values: Tensor, weight: Tensor, out: Tensor, groups: int, geometry: Geometry) -> Tensor:
    """Return (B, Y', X', G * taps * C): for each pixel of the output, the values that it sees."""
    count, height, width, _ = out.shape
    _, down, across, channels = weight.shape
    length = down * across * channels
    columns = values.new_empty((count, height, width, groups * length))
    corners = _corners(height, width, geometry.step, geometry.above, geometry.left, values.device)
    blocks = count * triton.cdiv(height * width, _PIXELS)
    sizes = channels, 0, groups, down * across, across, geometry.dilation, 0, blocks
    grid = blocks, triton.cdiv(length, _CHANNELS), groups
    table = _taps(down, across, channels, values.device)
    numbers = (height * width, *values.shape[1:3], *sizes)
    _columns[grid](values, columns, corners, table, *numbers, P=_PIXELS, C=_CHANNELS)
    return columns


@cache
def _taps(down: int, across: int, channels: int, device: torch.device) -> Tensor:
    """Return (ky * kx * C,) int32: y, x and channel of each value that a pixel sees, packed in one number."""
    y, x, c = (torch.arange(n, dtype=torch.int32) for n in (down, across, channels))
    return ((y[:, None, None] * 2**20 + x[:, None] * 2**10) + c).flatten().to(device)


# Never forgotten, since recorded steps go on reading it.
@cache
def _corners(height: int, width: int, step: int, above: int, left: int, device: torch.device) -> Tensor:
    """Return (Y * X,) int32: y and x, packed in one number, that pixels of an output see through the first tap.

    The kernels would spend their time on these divisions.
    """
    y = torch.arange(height, dtype=torch.int32) * step - above + _BIAS.value
    x = torch.arange(width, dtype=torch.int32) * step - left + _BIAS.value
    return (y[:, None] * 2**15 + x).flatten().to(device)


def _block(count: int, largest: int) -> int:
    """Return how many of `count` channels to multiply at a time: a power of two, at least 16 for the tensor cores."""
    return min(largest, max(16, triton.next_power_of_2(count)))


def _unit(count: int) -> int:
    """Return a divisor of the number of channels that is known to the compiler, which then reads as many at once."""
    return 4 if count % 4 == 0 else 1
