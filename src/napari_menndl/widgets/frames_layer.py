"""Layer with an image for each frame of a movie, shown together with the frame."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_menndl.widgets.frame_layer import OwnLayer
from napari_menndl.widgets.layers import frame_in_view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.layers import Image
    from napari.viewer import Viewer

#: Size of drawn images that are kept to be shown again [bytes].
READY = 256 * 2**20


class FrameArray:
    """Array (T, Y, X) or (Y, X) uint8 whose frames are read when they are accessed.

    Parameters
    ----------
    shape : (T, Y, X) or (Y, X)
    read : callable
        ``read(t)`` returns (Y, X) uint8, or None if nothing is known of the frame.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, shape: tuple[int, ...], read: Callable[[int], np.ndarray | None]) -> None:
        self.shape, self.ndim = shape, len(shape)
        self._read = read
        self._nothing = np.broadcast_to(np.uint8(0), shape[-2:])

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[t] for t in range(len(self)))

    def __getitem__(self, key: Any) -> np.ndarray:
        key = key if isinstance(key, tuple) else (key,)
        if self.ndim == 2:
            return self._frame(0)[key]
        if isinstance(key[0], slice):
            frames = [self._frame(t)[key[1:]] for t in range(len(self))[key[0]]]
            return np.stack(frames) if frames else np.zeros((0, *self.shape[1:]), np.uint8)
        return self._frame(range(len(self))[int(key[0])])[key[1:]]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        whole = self[:] if self.ndim > 2 else self._frame(0)
        return np.array(whole, dtype) if dtype is not None or copy else whole

    def _frame(self, t: int) -> np.ndarray:
        known = self._read(t)
        # The movie may just have been replaced by one of another size.
        return self._nothing if known is None or known.shape != self.shape[-2:] else known


class FramesLayer(OwnLayer):
    """Layer with an image of what is known of each frame of a movie.

    napari requests the image together with the frame, so that one drawing shows both, and never the image of another
    frame.

    Parameters
    ----------
    viewer : napari.Viewer
    source : callable
        ``source(t)`` returns what the image of a frame is drawn from, the same object as long as that does not change,
        or None.

    Attributes
    ----------
    drawn : object or None
        The source of the image in view.
    image : (Y, X) uint8
        The image in view.
    """

    def __init__(self, viewer: Viewer, source: Callable[[int], Any]) -> None:
        super().__init__(viewer)
        self._source = source
        self._ready: OrderedDict[int, tuple[Any, np.ndarray]] = OrderedDict()
        self.drawn: Any = None
        self.image = np.zeros((0, 0), np.uint8)

    def draw(self, source: Any) -> np.ndarray:
        """Return the image (Y, X) uint8 that is drawn from a source."""
        raise NotImplementedError

    def show(self, movie: Image) -> None:
        """Show the layer over a movie; redraw it only if the source of the frame in view has changed."""
        shape = movie.data.shape
        if self.layer is not None and self.layer.data.shape != shape and not self.removed:
            if self.layer.ndim == len(shape) and self.layer.data.shape[-2:] == shape[-2:]:
                self.layer.data = FrameArray(shape, self._read)  # only the number of frames changed: the layer stays
            else:
                self.remove()
        self._lay(FrameArray(shape, self._read), movie)
        if self.drawn is not self._source(frame_in_view(movie, self._viewer.dims.point)):
            self.layer.refresh()

    def redraw(self) -> None:
        """Redraw all images, because sources or style have changed."""
        self._ready.clear()
        if self.layer is not None:
            self.layer.refresh()

    def _read(self, t: int) -> np.ndarray | None:
        self.drawn = source = self._source(t)
        if source is None:
            self._ready.pop(t, None)
            self.image = np.zeros_like(self.image)
            return None
        if t not in self._ready or self._ready[t][0] is not source:
            self._ready[t] = source, self.draw(source)
            self._ready.move_to_end(t)
            while len(self._ready) > 1 and sum(image.nbytes for _, image in self._ready.values()) > READY:
                self._ready.popitem(last=False)
        self._ready.move_to_end(t)
        self.image = self._ready[t][1]
        return self.image


def outlined(labels: np.ndarray) -> np.ndarray:
    """Return only the outermost pixels of each defect in labels (Y, X).

    A layer's own contour takes 50 ms at 2048² whenever a frame comes into view.
    """
    edge = np.zeros(labels.shape, bool)
    for ahead, behind in (
        ((slice(1, None),), (slice(None, -1),)),
        ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
    ):
        differs = labels[ahead] != labels[behind]
        edge[ahead] |= differs
        edge[behind] |= differs
    return labels * edge
