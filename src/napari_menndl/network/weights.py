"""Weights as bytes that cannot execute anything: safetensors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from safetensors import SafetensorError
from safetensors.torch import load, save

from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


def to_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """Write named tensors, of any device, and remarks.

    Parameters
    ----------
    tensors : mapping of str to Tensor
    metadata : mapping of str to str, optional

    Returns
    -------
    bytes
        In the safetensors format.
    """
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    return save(plain, dict(metadata) if metadata else None)


def from_bytes(blob: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Undo `to_bytes`.

    Returns
    -------
    tensors : dict of str to Tensor
        On the CPU.
    metadata : dict of str to str

    Raises
    ------
    InputError
        On bytes that are not safetensors, or were cut short.
    """
    try:
        tensors = load(blob)
    except (SafetensorError, ValueError, KeyError) as problem:
        found = f"{len(blob)} bytes that are not ({problem})"
        raise InputError("weights in the safetensors format", found, "Train the network anew.") from problem
    # The header's length stands in the first eight bytes, little-endian; safetensors' own reader hides the metadata.
    length = int.from_bytes(blob[:8], "little")
    metadata: dict[str, str] = json.loads(blob[8 : 8 + length]).get("__metadata__", {})
    return tensors, metadata
