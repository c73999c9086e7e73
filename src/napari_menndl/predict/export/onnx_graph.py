"""Builder of ONNX graphs: nodes, constants and the small calculations that several parts need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Version of the ONNX operators: the oldest with all that are needed, so that older programs can read the file.
OPSET = 18
_TYPES = {"float": TensorProto.FLOAT, "double": TensorProto.DOUBLE, "int": TensorProto.INT64, "bool": TensorProto.BOOL}


def inexpressible(what: str) -> InputError:
    """Return the error for a part of a network that has no counterpart here."""
    return InputError("a network of parts that ONNX has", what, "Export it as .safetensors.")


class Graph:
    """A graph under construction; values are known by their names.

    Attributes
    ----------
    nodes : list of NodeProto
    tensors : list of TensorProto
        Weights and constants.
    """

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.tensors: list[TensorProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add an operation and return the name of its output; an empty input is one that is left out."""
        return self.add_many(kind, 1, *inputs, **attributes)[0]

    def add_many(self, kind: str, outputs: int, *inputs: str, **attributes: Any) -> list[str]:
        """Add an operation with several outputs and return their names."""
        names = [f"v{len(self.nodes)}" if i == 0 else f"v{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names

    def constant(self, value: Any, kind: str = "float") -> str:
        """Return the name of a constant; equal ones are stored once.

        Parameters
        ----------
        value : number, sequence or array
        kind : {"float", "double", "int", "bool"}
            float32, float64, int64 or bool.
        """
        dtype = {"float": np.float32, "double": np.float64, "int": np.int64, "bool": np.bool_}[kind]
        array: NDArray[Any] = np.asarray(value, dtype, order="C")
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = f"c{len(self.tensors)}"
            self.tensors.append(numpy_helper.from_array(array, self._constants[key]))
        return self._constants[key]

    def cast(self, value: str, kind: str) -> str:
        """Convert a value to a type of `constant`."""
        return self.add("Cast", value, to=_TYPES[kind])

    def size(self, value: str, axis: int) -> str:
        """Return the length of an axis, as an int with shape ()."""
        return self.add("Gather", self.add("Shape", value), self.constant(axis, "int"))

    def vector(self, *scalars: str) -> str:
        """Join values with shape () to one with shape (n,)."""
        zero = self.constant([0], "int")
        return self.add("Concat", *(self.add("Unsqueeze", one, zero) for one in scalars), axis=0)

    def arange(self, start: int, stop: str) -> str:
        """Return the ints from `start` up to a value, exclusive."""
        return self.add("Range", self.constant(start, "int"), stop, self.constant(1, "int"))

    def flat(self, value: str) -> str:
        """Return all elements of a value, (n,)."""
        return self.add("Reshape", value, self.constant([-1], "int"))

    def reduce(self, kind: str, value: str) -> str:
        """Reduce all elements to one with shape (): "Max", "Min", "Sum", "Mean"."""
        return self.add(f"Reduce{kind}", value, keepdims=0)

    def median(self, value: str) -> str:
        """Return the median of all elements, with shape (): of an even number, the mean of the two in the middle."""
        flat = self.flat(value)
        count = self.size(flat, 0)
        one, two = self.constant(1, "int"), self.constant(2, "int")
        half = self.add("Div", count, two)
        highest, _ = self.add_many("TopK", 2, flat, self.vector(self.add("Add", half, one)))
        upper = self.add("Gather", highest, self.add("Div", self.add("Sub", count, one), two))
        return self.reduce("Mean", self.vector(upper, self.add("Gather", highest, half)))

    def quantiles(self, value: str, share: float) -> tuple[str, str]:
        """Return the quantiles `share` (small) and 1 - `share` of all elements, a double each, as `numpy.quantile`."""
        flat = self.flat(value)
        place = self.add("Sub", self.cast(self.size(flat, 0), "double"), self.constant(1, "double"))
        place = self.add("Mul", place, self.constant(share, "double"))
        below = self.cast(self.add("Floor", place), "int")
        rest = self.add("Sub", place, self.add("Floor", place))
        above = self.add("Min", self.add("Add", below, self.constant(1, "int")), self._last(flat))
        number = self.vector(self.add("Add", above, self.constant(1, "int")))
        found = []
        for largest in (0, 1):
            sorted_, _ = self.add_many("TopK", 2, flat, number, largest=largest)
            first, second = self.add("Gather", sorted_, below), self.add("Gather", sorted_, above)
            found.append(self.add("Add", first, self.add("Mul", rest, self.add("Sub", second, first))))
        return found[0], found[1]

    def spread(self, value: str) -> str:
        """Return the standard deviation of all elements, with shape ()."""
        off = self.add("Sub", value, self.reduce("Mean", value))
        return self.add("Sqrt", self.reduce("Mean", self.add("Mul", off, off)))

    def instead(self, value: str, other: str, kind: str) -> str:
        """Return a value with shape (), or another where it is 0."""
        return self.add("Where", self.add("Equal", value, self.constant(0, kind)), other, value)

    def clip(self, value: str, low: float, high: float, kind: str) -> str:
        """Clip all elements."""
        return self.add("Clip", value, self.constant(low, kind), self.constant(high, kind))

    def _last(self, flat: str) -> str:
        return self.add("Sub", self.size(flat, 0), self.constant(1, "int"))

    def weighted_sum(self, values: Sequence[str], weights: Sequence[Any]) -> str:
        """Sum values, each multiplied by a constant array; terms of weight 0 are left out."""
        terms = [
            self.add("Mul", value, self.constant(weight))
            for value, weight in zip(values, weights, strict=True)
            if np.any(weight)
        ]
        return terms[0] if len(terms) == 1 else self.add("Sum", *terms)

    def add_output(self, value: str, name: str) -> None:
        """Give a value the name of an output."""
        self.nodes.append(helper.make_node("Identity", [value], [name]))
