"""Frames of video files, in grey, decoded by PyAV."""

from __future__ import annotations

import os
import threading
import warnings
from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_menndl.errors import InputError
from napari_menndl.movie.axes import FrameAxes
from napari_menndl.movie.movie import Movie, lazy_frames
from napari_menndl.movie.signals import Signal, Wanted, choose

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

EXTRA = 'pip install "napari-menndl[video]"'
REMEDY = (
    "Copy it anew. Better, use the recorded intensities: a picture or video has lost them. Export the movie as TIFF."
)
#: Restricts opening to local video files: playlists and the like could make FFmpeg fetch other files, even from the
#: network.
_SAFE = {"protocol_whitelist": "file", "format_whitelist": "mov,avi,matroska,asf,mpeg"}
#: Frames decoded along with the requested one, since decoding starts at a key frame, which may be far before it.
_BEFORE, _AFTER = 8, 24
#: Size of the cache of decoded frames, for all videos together [bytes].
_KEPT = 2**26
#: Largest difference between a pixel's channels that lossy compression makes of grey.
_GREY_WITHIN = 12


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise InputError(
            "the package av, which reads videos",
            "that it is not installed",
            f"Install the extra video: {EXTRA}; or export the recorded frames as TIFF.",
        ) from error
    return av


@dataclass(frozen=True)
class VideoIndex:
    """Index of the frames of a video stream.

    Attributes
    ----------
    stream : int
        Number among the video streams.
    times : tuple of int
        Times of the frames, in display order [time_base].
    keys : tuple of int
        Times of key frames, where decoding can start.
    time_base : float [s]
    """

    stream: int
    times: tuple[int, ...]
    keys: tuple[int, ...]
    time_base: float

    @property
    def frame_time(self) -> float | None:
        """Time from frame to frame [s]; None for a single frame or unevenly spaced ones."""
        if len(self.times) < 2:
            return None
        steps = np.diff(self.times)
        # Times are rounded to whole multiples of the time base.
        if steps.max() - steps.min() > 2:
            return None
        return float((self.times[-1] - self.times[0]) / (len(self.times) - 1) * self.time_base)


class VideoFrames:
    """Reads single frames of a video; can be pickled, and keeps the file open only while decoding.

    Parameters
    ----------
    path : Path
    index : VideoIndex
    shape : (Y, X)
    """

    def __init__(self, path: Path, index: VideoIndex, shape: tuple[int, int]) -> None:
        self.path = path
        self.index = index
        self.shape = shape

    def __call__(self, t: int) -> NDArray[Any]:
        about = self.path.stat()
        stamp = (os.fspath(self.path), about.st_mtime_ns, about.st_size, self.index.stream)
        with _DECODED.lock:
            if (stamp, t) not in _DECODED.frames:
                for number, frame in self._around(t).items():
                    _DECODED.keep((stamp, number), frame)
            return _DECODED.frames[stamp, t]

    def _around(self, t: int) -> dict[int, NDArray[Any]]:
        """Decode frame `t` and its neighbours; return them by number, `t` last."""
        times = self.index.times
        first, last = max(t - _BEFORE, 0), min(t + _AFTER, len(times) - 1)
        numbers = dict(zip(times[first : last + 1], range(first, last + 1), strict=True))
        found = self._decoded(_key_before(self.index.keys, times[first]), numbers)
        if t not in found:  # a seek may land after its target
            found = self._decoded(None, numbers)
        if t not in found or found[t].shape != self.shape:
            what = "nothing at its time" if t not in found else f"one of {found[t].shape} px"
            raise InputError(f"frame {t} of {self.path.name} of {self.shape} px", what, REMEDY)
        return {number: found[number] for number in (*sorted(found.keys() - {t}), t)}

    def _decoded(self, start: int | None, numbers: dict[int, int]) -> dict[int, NDArray[Any]]:
        """Decode frames by number, starting at the key frame `start`, or at the beginning if it is None."""
        found: dict[int, NDArray[Any]] = {}
        with _opened(self.path) as container:
            if start is not None:
                container.seek(start, stream=container.streams.video[self.index.stream])
            for frame in _frames(container, self.index.stream):
                if frame.pts in numbers:
                    found[numbers[frame.pts]] = grey(frame)
                if frame.pts is not None and frame.pts >= max(numbers):
                    break
        return found


class _Decoded:
    """Cache of the latest decoded frames of all videos."""

    def __init__(self) -> None:
        self.frames: OrderedDict[Any, NDArray[Any]] = OrderedDict()
        self.lock = threading.Lock()
        self._size = 0

    def keep(self, key: Any, frame: NDArray[Any]) -> None:
        """Add a frame, and drop the oldest beyond the size limit."""
        if key in self.frames:
            self._size -= self.frames.pop(key).nbytes
        self.frames[key] = frame
        self._size += frame.nbytes
        while self._size > _KEPT and len(self.frames) > 1:
            self._size -= self.frames.popitem(last=False)[1].nbytes


_DECODED = _Decoded()


def read_video(path: Path, signal: Wanted = None) -> Movie:
    """Open a video file as a movie, without a pixel size.

    Parameters
    ----------
    path : Path
    signal : str, int, callable or None
        Number of one of several videos in the file, or a callable that chooses.

    Raises
    ------
    InputError
        If it is damaged or truncated, or if PyAV is not installed.

    Warns
    -----
    UserWarning
        Names what was lost, grey values by compression and colour by conversion, and that times are those of playback.
    """
    _av()
    try:
        with _opened(path) as container:
            signals = [_signal(stream, number, path) for number, stream in enumerate(container.streams.video)]
        if not signals:
            raise InputError("a video", f"none in {path}", "Export the recorded frames as TIFF.")
        (chosen,) = choose(signals, signal, path.name)
        return _movie(path, chosen)
    except InputError:
        raise
    except Exception as error:  # damaged files cause many types of error, such as StopIteration
        raise InputError(
            f"a complete video at {path}",
            f"{type(error).__name__}: {error}",
            REMEDY,
        ) from error


def _opened(path: Path) -> Any:
    return _av().open(os.fspath(path), container_options=_SAFE)


def _frames(container: Any, stream: int) -> Iterator[Any]:
    container.streams.video[stream].thread_type = "AUTO"
    decoded: Iterator[Any] = container.decode(video=stream)
    return decoded


def _signal(stream: Any, number: int, path: Path) -> Signal:
    """Return a video stream as a `Signal`; its number of frames is determined later."""
    if stream.codec_context is None:
        problem = InputError("a video in a compression that can be read", f"another in {path}", REMEDY)
        return Signal(number, "", (), None, None, problem, apart=True)
    shape = (max(int(stream.frames), 1), int(stream.height), int(stream.width))
    axes = FrameAxes(shape, 3, 0, 1, 2)
    name = str(stream.metadata.get("title", ""))
    return Signal(number, name, shape, np.dtype(np.uint8), axes, apart=True)


def _movie(path: Path, chosen: Signal) -> Movie:
    index, said = _index(path, chosen.number)
    with _opened(path) as container:
        codec = container.streams.video[chosen.number].codec_context.codec
        first = next(_frames(container, chosen.number))
        colour, dtype = has_colour(first), grey(first).dtype
    shape = (int(first.height), int(first.width))
    frames = VideoFrames(path, index, shape)
    frames(len(index.times) - 1)  # fails now if the file is truncated
    if codec.lossy:
        name = codec.long_name.partition(" / ")[0]
        said.append(f"it is compressed with loss ({name}): its grey values are no longer the recorded ones")
    if colour:
        said.append("it has colours, which are read as grey")
    frame_time = index.frame_time
    if frame_time is not None:
        said.append(f"its frame time, {frame_time:.4g} s, is that of playing it")
    elif len(index.times) > 1:
        said.append("its frames are not evenly spaced in time")
    if said:
        warnings.warn(f"{path.name} is a video: {'; '.join(said)}.", stacklevel=4)
    lazy = lazy_frames(frames, (len(index.times), *shape), dtype)
    return Movie(lazy, None, frame_time, path.stem, str(path))


def _index(path: Path, number: int) -> tuple[VideoIndex, list[str]]:
    """Index the frames of a video stream by its packets; also return remarks for the warning."""
    said: list[str] = []
    with _opened(path) as container:
        stream = container.streams.video[number]
        # The last packet of a truncated file is corrupt; one without time and size only ends the stream.
        given = [packet for packet in container.demux(stream) if packet.dts is not None or packet.size]
        packets = [packet for packet in given if not packet.is_corrupt]
        announced, base = int(stream.frames), float(stream.time_base)
        alone = len(container.streams) == 1
        duration = (container.duration or 0) / 1e6 if alone else 0.0  # [s]; may be that of the sound
    shown = [packet for packet in packets if packet.size and not packet.is_discard]
    times = sorted(packet.pts for packet in shown if packet.pts is not None)
    keys = sorted(packet.pts for packet in packets if packet.is_keyframe and packet.pts is not None)
    if len(set(times)) < len(shown):  # some packets have no time: use the times of decoded frames
        with _opened(path) as container:
            times = [frame.pts for frame in _frames(container, number) if frame.pts is not None]
        said.append("its frames have no times of their own")
        keys = []
    if len(packets) < announced or not times:
        raise InputError(
            "a complete video",
            f"{path} with {len(packets)} of the {announced} frames that it announces",
            REMEDY,
        )
    if damaged := len(given) - len(packets):
        one = damaged == 1
        said.append(
            f"{damaged} of its frames {'is' if one else 'are'} damaged and left out: the others are numbered without "
            f"{'it' if one else 'them'}"
        )
    index = VideoIndex(number, tuple(times), tuple(keys), base)
    lasts = (times[-1] - times[0]) * base
    if index.frame_time is not None and lasts + 2.5 * index.frame_time < duration:
        said.append(
            f"it announces {duration:.4g} s and ends after {lasts + index.frame_time:.4g} s: it may be cut short"
        )
    return index, said


def _key_before(keys: tuple[int, ...], time: int) -> int | None:
    """Return the time of the last key frame up to a time; None if there is none."""
    place = bisect_right(keys, time)
    return keys[place - 1] if place else None


def grey(frame: Any) -> NDArray[Any]:
    """Return the grey values of a decoded frame.

    Parameters
    ----------
    frame : av.VideoFrame

    Returns
    -------
    (Y, X) uint8, or uint16 where it has more than 8 bits
        Grey videos unchanged; for colour the luma of ITU-R BT.601, which leaves grey pixels unchanged.
    """
    deep = max(component.bits for component in frame.format.components) > 8
    if frame.format.name.startswith("gray") or not (frame.format.is_rgb or frame.format.has_palette):
        plain: NDArray[Any] = frame.to_ndarray(format="gray16le" if deep else "gray")
        return plain
    colours = frame.to_ndarray(format="rgb48le" if deep else "rgb24").astype(np.uint32)
    luma = (colours @ np.array([299, 587, 114], np.uint32) + 500) // 1000
    return luma.astype(np.uint16 if deep else np.uint8)


def has_colour(frame: Any) -> bool:
    """Whether a decoded frame has colour, beyond small compression errors."""
    if frame.format.name.startswith("gray"):
        return False
    colours = frame.to_ndarray(format="rgb24")
    return bool(np.mean(np.ptp(colours, axis=-1) > _GREY_WITHIN) > 1e-3)
