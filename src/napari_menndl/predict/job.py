"""Job function of a trainer for predictions: one frame, with arguments and results as plain data and bytes."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_menndl.errors import InputError
from napari_menndl.predict.ensemble import open_predictor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_menndl.predict.prediction_spec import Predictor
    from napari_menndl.predict.resample import PixelSize

#: Job function with which pools are opened for prediction.
ENTRY = "napari_menndl.predict.job:run"
#: Dtypes whose values float32 represents exactly: frames of these are sent in their own dtype.
_SMALL = frozenset({"bool", "uint8", "int8", "uint16", "int16", "float16"})


def frame_message(
    frame: NDArray[np.float32], dtype: np.dtype[Any], pixel_size: PixelSize | None
) -> tuple[dict[str, Any], bytes]:
    """Return the message that sends a frame to a trainer.

    Parameters
    ----------
    frame : (Y, X) or (5, Y, X) float32
        The frame alone or with its neighbours.
    dtype : dtype
        Dtype of the movie; used for the message if smaller than float32.
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
        ``"network"``: path of a saved network or ensemble; ``"digest"``: its digest; and the payload of
        `frame_message`.
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
        If another network is at the path, or the frame cannot be predicted.
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
    """Open a network, cached per process."""
    network = open_predictor(path)
    if network.digest != digest:
        found = f"digest {network.digest} in {path}"
        raise InputError(f"the network with digest {digest}", found, "Predict again.")
    return network
