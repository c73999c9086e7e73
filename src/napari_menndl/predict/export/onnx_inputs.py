"""Input channels of networks as ONNX: the same calculations as `network.inputs`, for frames of any size.

The transforms of `normalisation` and `filters` are matrices here, made for the frame's size when the graph runs: ONNX
has no cosine transform. With large frames that takes longer than a transform.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from napari_menndl.genome.genes import SHARED, Blob, FilterBank, FourierInput, FrameInput
from napari_menndl.movie.neighbours import OFFSETS
from napari_menndl.movie.normalisation import FLOOR, LIMIT
from napari_menndl.network.filters import INTEGRATION, SAMPLE
from napari_menndl.predict.export.onnx_graph import inexpressible

if TYPE_CHECKING:
    from napari_menndl.genome.genes import Input
    from napari_menndl.genome.genome import Genome
    from napari_menndl.predict.export.onnx_graph import Graph

#: Share of the pixels clipped on each side as outliers.
_OUTLIERS = 0.0005


class Channels:
    """Input channels of several networks, each computed once.

    Parameters
    ----------
    graph : Graph
    planes : str
        The frame, with its neighbours if there are several planes, (1, P, Y, X) float.
    """

    def __init__(self, graph: Graph, planes: str) -> None:
        self.graph = graph
        self._planes = planes
        self._bases = _Bases(graph, planes)
        self._frames: dict[tuple[int, str, float], str] = {}
        self._spectra: dict[str, _Spectrum] = {}
        self._made: dict[tuple[Input, str, float], str] = {}

    def of(self, genome: Genome) -> str:
        """Return the channels of a genome, (1, K, Y, X) float; see `network.inputs.channels`."""
        kind, radius = genome.training.normalisation, genome.training.radius
        parts = [self._input(one, kind, radius) for one in genome.inputs]
        return parts[0] if len(parts) == 1 else self.graph.add("Concat", *parts, axis=1)

    def _input(self, one: Input, kind: str, radius: float) -> str:
        if isinstance(one, Blob) and one.normalisation != SHARED:
            kind, radius = one.normalisation, one.radius
        key = (one, kind, radius)
        if key not in self._made:
            self._made[key] = self._make(one, kind, radius)
        return self._made[key]

    def _make(self, one: Input, kind: str, radius: float) -> str:
        match one:
            case FrameInput():
                return self._image(self._frame(one.reach, kind, radius))
            case FilterBank():
                return self._bank(self._frame(one.reach, kind, radius), one.sigmas)
            case Blob():
                return self._image(self._blob(self._frame(0, kind, radius), one))
            case FourierInput():
                raise inexpressible(one.kind)

    def _image(self, plane: str) -> str:
        """Return a plane (Y, X) as (1, 1, Y, X)."""
        return self.graph.add("Unsqueeze", plane, self.graph.constant([0, 1], "int"))

    # Normalisation ----------------------------------------------------------------------------------------------------

    def _frame(self, reach: int, kind: str, radius: float) -> str:
        """Return the normalised frame, averaged with its neighbours, (Y, X) float."""
        key = (reach, kind, radius)
        if key not in self._frames:
            g = self.graph
            taken = [0, *(1 + i for i, offset in enumerate(OFFSETS) if abs(offset) <= reach)] if reach else [0]
            planes = g.add("Gather", self._planes, g.constant(taken, "int"), axis=1)
            mean = g.add("ReduceMean", planes, g.constant([0, 1], "int"), keepdims=0)
            self._frames[key] = self._normalised(mean, kind, radius)
        return self._frames[key]

    def _normalised(self, frame: str, kind: str, radius: float) -> str:
        """Return `movie.normalisation.normalise` of a frame (Y, X)."""
        g = self.graph
        values = g.cast(frame, "double")
        if kind == "global":
            unit = self._robust(values)
        else:
            values = self._without_outliers(values)
            blur = _Blur(self._bases, radius)
            flat = g.add("Sub", values, blur(values))
            unit = self._robust(flat) if kind == "flattened" else self._local(flat, blur)
        return g.cast(g.clip(unit, -LIMIT, LIMIT, "double"), "float")

    def _robust(self, values: str) -> str:
        g = self.graph
        centred = self._relative(values)
        centred = g.add("Sub", centred, g.median(centred))
        spread = g.add("Mul", g.median(g.add("Abs", centred)), g.constant(1.4826, "double"))
        return g.add("Div", centred, g.instead(spread, g.spread(centred), "double"))

    def _relative(self, values: str) -> str:
        """Divide by the largest absolute value."""
        g = self.graph
        largest = g.instead(g.reduce("Max", g.add("Abs", values)), g.constant(1, "double"), "double")
        return g.add("Div", values, largest)

    def _without_outliers(self, values: str) -> str:
        g = self.graph
        values = self._relative(values)
        low, high = g.quantiles(values, _OUTLIERS)
        same = g.add("Equal", low, high)
        low = g.add("Where", same, g.reduce("Min", values), low)
        high = g.add("Where", same, g.reduce("Max", values), high)
        return g.clip(g.add("Div", g.add("Sub", values, low), g.add("Sub", high, low)), -1, 2, "double")

    def _local(self, flat: str, blur: _Blur) -> str:
        g = self.graph
        square = blur(g.add("Mul", flat, flat))
        spread = g.add("Sqrt", g.add("Max", square, g.constant(0, "double")))
        usual = g.instead(g.median(spread), g.spread(flat), "double")
        return g.add("Div", flat, g.add("Max", spread, g.add("Mul", usual, g.constant(FLOOR, "double"))))

    # Filters ----------------------------------------------------------------------------------------------------------

    def _spectrum(self, frame: str) -> _Spectrum:
        if frame not in self._spectra:
            self._spectra[frame] = _Spectrum(self._bases, frame)
        return self._spectra[frame]

    def _bank(self, frame: str, sigmas: tuple[float, ...]) -> str:
        """Return `network.filters.filter_bank` of a normalised frame (Y, X): (1, K, Y, X)."""
        g, spectrum = self.graph, self._spectrum(frame)
        planes = [frame]
        for sigma in sigmas:
            planes.append(spectrum.filtered(sigma))
            scale = g.constant(sigma**2)
            planes += self._eigenvalues(
                *(g.add("Mul", scale, spectrum.filtered(sigma, order)) for order in ((2, 0), (0, 2), (1, 1)))
            )
            if sigma > 1:
                gradients = (spectrum.filtered(sigma, order) for order in ((1, 0), (0, 1)))
                gy, gx = (g.add("Mul", g.constant(sigma), one) for one in gradients)
                smooth = INTEGRATION * sigma
                yy, xx = (_Spectrum(self._bases, g.add("Mul", one, one)).filtered(smooth) for one in (gy, gx))
                yx = _Spectrum(self._bases, g.add("Mul", gy, gx), odd=True).filtered(smooth)
                zero = g.constant(0)
                planes += [g.add("Sqrt", g.add("Max", one, zero)) for one in self._eigenvalues(yy, xx, yx)]
        return g.add("Concat", *(self._image(self._robustly_scaled(one)) for one in planes), axis=1)

    def _eigenvalues(self, yy: str, xx: str, yx: str) -> tuple[str, str]:
        g = self.graph
        half = g.constant(0.5)
        mean, apart = (g.add("Mul", half, g.add(kind, yy, xx)) for kind in ("Add", "Sub"))
        apart = g.add("Sqrt", g.add("Add", g.add("Mul", apart, apart), g.add("Mul", yx, yx)))
        return g.add("Add", mean, apart), g.add("Sub", mean, apart)

    def _robustly_scaled(self, plane: str) -> str:
        g = self.graph
        flat = g.flat(plane)
        one = g.constant(1, "int")
        step = g.add("Max", g.add("Div", g.size(flat, 0), g.constant(SAMPLE, "int")), one)
        even = g.add("Mod", g.add("Add", step, one), g.constant(2, "int"))
        step = g.vector(g.add("Add", step, even))
        zero = g.constant([0], "int")
        sample = g.add("Slice", flat, zero, g.vector(g.size(flat, 0)), zero, step)
        centre = g.median(sample)
        spread = g.add("Mul", g.median(g.add("Abs", g.add("Sub", sample, centre))), g.constant(1.4826))
        scaled = g.clip(g.add("Div", g.add("Sub", plane, centre), spread), -LIMIT, LIMIT, "float")
        return g.add("Where", g.add("Greater", spread, g.constant(1e-6)), scaled, g.constant(0))

    def _blob(self, frame: str, gene: Blob) -> str:
        g, spectrum = self.graph, self._spectrum(frame)
        curved = g.add("Add", spectrum.filtered(gene.sigma, (2, 0)), spectrum.filtered(gene.sigma, (0, 2)))
        factor = gene.sigma**2 * math.sqrt(2 * math.pi) * gene.sigma * (-1 if gene.sign == "bright" else 1)
        return g.add("Mul", g.constant(factor), curved)


class _Bases:
    """Cosines and sines along the axes of a frame, each made once.

    Parameters
    ----------
    graph : Graph
    planes : str
        (1, P, Y, X)
    """

    def __init__(self, graph: Graph, planes: str) -> None:
        self.graph = graph
        self.lengths = [graph.size(planes, axis) for axis in (2, 3)]
        self._made: dict[tuple[int, bool, int, str], _Basis] = {}

    def along(self, axis: int, sine: bool = False, first: int = 0, kind: str = "float") -> _Basis:
        """Return the waves along an axis, numbered from `first`: 1 for the sines of a signal that changes sign."""
        key = (axis, sine, first, kind)
        if key not in self._made:
            self._made[key] = _Basis(self.graph, self.lengths[axis], sine, first, kind)
        return self._made[key]


class _Basis:
    """Waves along an axis: ``cos(pi / n * k * (i + 1 / 2))``, or sines, of pixel i and wave k.

    Attributes
    ----------
    waves : str
        (k, i)
    frequency : str
        (k,): ``pi / n * k`` [1/px].
    weight : str
        (k,): factor of each wave in the inverse transform.
    """

    def __init__(self, graph: Graph, length: str, sine: bool, first: int, kind: str) -> None:
        g = graph
        number = g.add("Add", g.arange(0, length), g.constant(first, "int"))
        pixel = g.add("Add", g.add("Mul", g.arange(0, length), g.constant(2, "int")), g.constant(1, "int"))
        # The remainder of ints, so that the angle of a high wave is as exact as that of a low one.
        product = g.add("Mul", g.add("Unsqueeze", number, g.constant([1], "int")), pixel)
        product = g.cast(g.add("Mod", product, g.add("Mul", length, g.constant(4, "int"))), "double")
        wave = g.add("Div", g.constant(math.pi, "double"), g.cast(length, "double"))
        angle = g.add("Mul", product, g.add("Mul", wave, g.constant(0.5, "double")))
        self.waves = g.cast(g.add("Sin" if sine else "Cos", angle), kind)
        self.frequency = g.cast(g.add("Mul", g.cast(number, "double"), wave), kind)
        # Wave 0 of the cosines and wave n of the sines count once, the others twice.
        twice = g.add("Min", g.add("Mod", number, length), g.constant(1, "int"))
        share = g.cast(g.add("Add", twice, g.constant(1, "int")), "double")
        self.weight = g.cast(g.add("Div", share, g.cast(length, "double")), kind)


class _Spectrum:
    """Cosine or sine transform of a frame that is extended by mirroring: `network.filters.MirroredSpectrum`."""

    def __init__(self, bases: _Bases, frame: str, odd: bool = False) -> None:
        self._graph, self._all = bases.graph, bases
        self._bases = [bases.along(axis, odd, int(odd)) for axis in (0, 1)]
        self._coefficients = _transformed(self._graph, self._bases[0].waves, frame, self._bases[1].waves)

    def filtered(self, sigma: float, order: tuple[int, int] = (0, 0)) -> str:
        """Return a derivative of the Gaussian mean, (Y, X) float."""
        g = self._graph
        sides = []
        for axis, (basis, times) in enumerate(zip(self._bases, order, strict=True)):
            scaled = g.add("Mul", basis.frequency, g.constant(sigma))
            factor = g.add("Exp", g.add("Mul", g.add("Mul", scaled, scaled), g.constant(-0.5)))
            for _ in range(times):
                factor = g.add("Mul", factor, basis.frequency)
            factor = g.add("Mul", g.add("Neg", factor) if times else factor, basis.weight)
            # The first derivative of a cosine is a sine of the same frequency.
            back = basis if times != 1 else self._all.along(axis, sine=True)
            side = g.add("Mul", g.add("Unsqueeze", factor, g.constant([1], "int")), back.waves)
            sides.append(g.add("Transpose", side, perm=[1, 0]))
        return _transformed(g, sides[0], self._coefficients, sides[1])


class _Blur:
    """Gaussian mean of a frame that is extended by mirroring, truncated at 4 sigma: `normalisation._blurred`."""

    def __init__(self, bases: _Bases, radius: float) -> None:
        g = self._graph = bases.graph
        sigma = g.add("Min", g.constant(radius, "double"), g.cast(g.add("Max", *bases.lengths), "double"))
        reach = g.add("Add", g.add("Mul", sigma, g.constant(4, "double")), g.constant(0.5, "double"))
        self._offsets = g.arange(1, g.add("Add", g.cast(reach, "int"), g.constant(1, "int")))
        scaled = g.add("Div", g.cast(self._offsets, "double"), sigma)
        self._weights = g.add("Exp", g.add("Mul", g.add("Mul", scaled, scaled), g.constant(-0.5, "double")))
        total = g.add("Mul", g.reduce("Sum", self._weights), g.constant(2, "double"))
        self._total = g.add("Add", total, g.constant(1, "double"))
        self._sides = [self._side(bases.along(axis, kind="double"), bases.lengths[axis]) for axis in (0, 1)]

    def __call__(self, frame: str) -> str:
        return _transformed(self._graph, self._sides[0], frame, self._sides[1])

    def _side(self, basis: _Basis, length: str) -> str:
        """Return the matrix (n, n) of the mean along an axis."""
        g = self._graph
        product = g.add("Mul", g.add("Unsqueeze", g.arange(0, length), g.constant([1], "int")), self._offsets)
        product = g.add("Mod", product, g.add("Mul", length, g.constant(2, "int")))
        wave = g.add("Div", g.constant(math.pi, "double"), g.cast(length, "double"))
        seen = g.add("MatMul", g.add("Cos", g.add("Mul", g.cast(product, "double"), wave)), self._weights)
        factor = g.add("Add", g.add("Mul", seen, g.constant(2, "double")), g.constant(1, "double"))
        factor = g.add("Mul", g.add("Div", factor, self._total), basis.weight)
        scaled = g.add("Mul", g.add("Unsqueeze", factor, g.constant([1], "int")), basis.waves)
        return g.add("MatMul", g.add("Transpose", basis.waves, perm=[1, 0]), scaled)


def _transformed(graph: Graph, left: str, frame: str, right: str) -> str:
    """Multiply a frame (Y, X) by a matrix along y, and by one along x."""
    return graph.add("MatMul", graph.add("MatMul", left, frame), graph.add("Transpose", right, perm=[1, 0]))
