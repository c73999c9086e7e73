"""Weights as safetensors bytes, which cannot execute code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from safetensors import SafetensorError
from safetensors.torch import load, save

from napari_menndl.errors import InputError
from napari_menndl.network.checksum import BLANK, NAME, is_intact, seal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


def to_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """Serialise named tensors, on any device, with metadata.

    Parameters
    ----------
    tensors : mapping of str to Tensor
    metadata : mapping of str to str, optional

    Returns
    -------
    bytes
        In the safetensors format, with a checksum of the whole content.
    """
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    return seal(save(plain, {**(metadata or {}), NAME: BLANK}))


def of_fold(tensors: Mapping[str, Tensor], fold: int | str) -> dict[str, Tensor]:
    """Return the tensors of one fold or member by parameter name, from those named ``"<fold>/<parameter>"``."""
    return {name.removeprefix(f"{fold}/"): tensor for name, tensor in tensors.items() if name.startswith(f"{fold}/")}


def from_bytes(blob: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the output of `to_bytes`.

    Returns
    -------
    tensors : dict of str to Tensor
        On the CPU.
    metadata : dict of str to str

    Raises
    ------
    InputError
        If the bytes are not safetensors, or are truncated or altered.
    """
    remedy = "Take a fresh copy of them; where there is none, train the network anew."
    if not is_intact(blob):
        found = f"{len(blob)} bytes that are damaged, cut short, or something else"
        raise InputError("whole weights in the safetensors format", found, remedy)
    try:
        tensors = load(blob)
    except (SafetensorError, ValueError, KeyError) as problem:
        found = f"{len(blob)} bytes that are not ({problem})"
        raise InputError("weights in the safetensors format", found, remedy) from problem
    # The first eight bytes are the header's length, little-endian; safetensors' own reader does not return metadata.
    length = int.from_bytes(blob[:8], "little")
    metadata: dict[str, str] = json.loads(blob[8 : 8 + length]).get("__metadata__", {})
    metadata.pop(NAME, None)
    return tensors, metadata
