"""What a trainer child is told to run for a prediction: one frame, as plain data and bytes."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_menndl.errors import InputError
from napari_menndl.predict.ensemble import open_predictor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_menndl.predict.prediction import Predictor
    from napari_menndl.predict.resample import PixelSize

#: What a pool that predicts is opened with.
ENTRY = "napari_menndl.predict.job:run"
#: Types whose every value float32 has too: such frames travel as they were recorded.
_SMALL = frozenset({"bool", "uint8", "int8", "uint16", "int16", "float16"})


def frame_message(
    frame: NDArray[np.float32], dtype: np.dtype[Any], pixel_size: PixelSize | None
) -> tuple[dict[str, Any], bytes]:
    """A frame on its way to a trainer.

    Parameters
    ----------
    frame : (Y, X) or (5, Y, X) float32
        Alone or with its neighbours.
    dtype : dtype
        Of the movie; where it is smaller than float32, so is the message.
    pixel_size : (y, x) float [nm] or None

    Returns
    -------
    payload : dict
    attachment : bytes
    """
    small = dtype.name if dtype.name in _SMALL else "float32"
    payload = {"dtype": small, "shape": list(frame.shape), "pixel_size": list(pixel_size) if pixel_size else None}
    return payload, frame.astype(np.dtype(small).newbyteorder("<")).tobytes()


def run(payload: dict[str, Any], attachment: bytes) -> tuple[dict[str, Any], bytes]:
    """Predict a frame.

    Parameters
    ----------
    payload : dict
        ``"network"``: path of a saved network or ensemble; ``"digest"``: its own; and of `frame_message`.
    attachment : bytes
        The frame.

    Returns
    -------
    payload : dict
        ``"warnings"``: list of str.
    attachment : bytes
        The probabilities, (C, Y, X) float32, little-endian.

    Raises
    ------
    InputError
        Where another network is at the path, or the frame cannot be predicted.
    """
    network = _open(payload["network"], payload["digest"])
    frame = np.frombuffer(attachment, np.dtype(payload["dtype"]).newbyteorder("<")).reshape(payload["shape"])
    size = payload["pixel_size"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        probabilities = network.predict_frame(frame, (size[0], size[1]) if size else None)
    return {"warnings": [str(one.message) for one in caught]}, probabilities.astype("<f4", copy=False).tobytes()


@lru_cache(maxsize=1)
def _open(path: str, digest: str) -> Predictor:
    """Open a network once per process."""
    network = open_predictor(path)
    if network.digest != digest:
        found = f"digest {network.digest} in {path}"
        raise InputError(f"the network with digest {digest}", found, "Predict again.")
    return network
