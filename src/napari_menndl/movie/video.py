"""Frames of video files, in grey; PyAV decodes them."""

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
#: What may be opened: a file that names others, a playlist for one, would have them fetched, from the network even.
_SAFE = {"protocol_whitelist": "file", "format_whitelist": "mov,avi,matroska,asf,mpeg"}
#: Frames that are decoded beside the one that is asked for: each decoding begins at a key frame, perhaps far before it.
_BEFORE, _AFTER = 8, 24
#: Decoded frames that are kept, of all videos together [bytes].
_KEPT = 2**26
#: Difference of the channels of a pixel that lossy compression makes of grey ones.
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
    """Where the frames of a video stream are.

    Attributes
    ----------
    stream : int
        Its number among the video streams.
    times : tuple of int
        Of the frames, in the order in which they are shown [time_base].
    keys : tuple of int
        Times at which decoding may begin.
    time_base : float [s]
    """

    stream: int
    times: tuple[int, ...]
    keys: tuple[int, ...]
    time_base: float

    @property
    def frame_time(self) -> float | None:
        """From frame to frame [s]; None for a single frame, and where they are not evenly spaced."""
        if len(self.times) < 2:
            return None
        steps = np.diff(self.times)
        # Times are whole numbers of the time base, and rounded to it.
        if steps.max() - steps.min() > 2:
            return None
        return float((self.times[-1] - self.times[0]) / (len(self.times) - 1) * self.time_base)


class VideoFrames:
    """Reads single frames of a video, also after unpickling; the file is open only while it decodes.

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
        """Frame `t` and its neighbours, by number; it is the last of them."""
        times = self.index.times
        first, last = max(t - _BEFORE, 0), min(t + _AFTER, len(times) - 1)
        numbers = dict(zip(times[first : last + 1], range(first, last + 1), strict=True))
        found = self._decoded(_key_before(self.index.keys, times[first]), numbers)
        if t not in found:  # a seek may come out behind its goal
            found = self._decoded(None, numbers)
        if t not in found or found[t].shape != self.shape:
            what = "nothing at its time" if t not in found else f"one of {found[t].shape} px"
            raise InputError(f"frame {t} of {self.path.name} of {self.shape} px", what, REMEDY)
        return {number: found[number] for number in (*sorted(found.keys() - {t}), t)}

    def _decoded(self, start: int | None, numbers: dict[int, int]) -> dict[int, NDArray[Any]]:
        """Frames by their numbers, decoded from the key frame at `start`; from the beginning where it is None."""
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
    """The frames that were decoded last, of all videos."""

    def __init__(self) -> None:
        self.frames: OrderedDict[Any, NDArray[Any]] = OrderedDict()
        self.lock = threading.Lock()
        self._size = 0

    def keep(self, key: Any, frame: NDArray[Any]) -> None:
        """Keep a frame, and let go of the oldest."""
        if key in self.frames:
            self._size -= self.frames.pop(key).nbytes
        self.frames[key] = frame
        self._size += frame.nbytes
        while self._size > _KEPT and len(self.frames) > 1:
            self._size -= self.frames.popitem(last=False)[1].nbytes


_DECODED = _Decoded()


def read_video(path: Path, signal: Wanted = None) -> Movie:
    """The video in a file as a movie, without a pixel size.

    Parameters
    ----------
    path : Path
    signal : str, int, callable or None
        The number of one of several videos in the file, or who is asked.

    Raises
    ------
    InputError
        If it is damaged or cut short, or if PyAV is missing.

    Warns
    -----
    UserWarning
        What the file has lost: grey values by compression, colour by reading; and that its times are those of playing.
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
    except Exception as error:  # a damaged file ends in many kinds of error, the end of an iterator for one
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
    """A video stream as one that can be chosen; how many frames it has is known later."""
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
    frames(len(index.times) - 1)  # a file that is cut short is told at once
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
    """The frames of a video stream, from its packets, and what is to be said of them."""
    said: list[str] = []
    with _opened(path) as container:
        stream = container.streams.video[number]
        # The last of a file that is cut short is corrupt; what has neither a time nor a size only ends the stream.
        packets = [
            packet
            for packet in container.demux(stream)
            if (packet.dts is not None or packet.size) and not packet.is_corrupt
        ]
        announced, base = int(stream.frames), float(stream.time_base)
        alone = len(container.streams) == 1
        duration = (container.duration or 0) / 1e6 if alone else 0.0  # [s]; that of the sound, where there is some
    shown = [packet for packet in packets if packet.size and not packet.is_discard]
    times = sorted(packet.pts for packet in shown if packet.pts is not None)
    keys = sorted(packet.pts for packet in packets if packet.is_keyframe and packet.pts is not None)
    if len(set(times)) < len(shown):  # not every frame has a time: those that are decoded count
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
    index = VideoIndex(number, tuple(times), tuple(keys), base)
    lasts = (times[-1] - times[0]) * base
    if index.frame_time is not None and lasts + 2.5 * index.frame_time < duration:
        said.append(
            f"it announces {duration:.4g} s and ends after {lasts + index.frame_time:.4g} s: it may be cut short"
        )
    return index, said


def _key_before(keys: tuple[int, ...], time: int) -> int | None:
    """The last key frame up to a time; None where there is none."""
    place = bisect_right(keys, time)
    return keys[place - 1] if place else None


def grey(frame: Any) -> NDArray[Any]:
    """The grey values of a decoded frame.

    Parameters
    ----------
    frame : av.VideoFrame

    Returns
    -------
    (Y, X) uint8, or uint16 where it has more than 8 bits
        Grey videos as they are; of colours the luma of ITU-R BT.601, which leaves grey ones as they are.
    """
    deep = max(component.bits for component in frame.format.components) > 8
    if frame.format.name.startswith("gray") or not (frame.format.is_rgb or frame.format.has_palette):
        plain: NDArray[Any] = frame.to_ndarray(format="gray16le" if deep else "gray")
        return plain
    colours = frame.to_ndarray(format="rgb48le" if deep else "rgb24").astype(np.uint32)
    luma = (colours @ np.array([299, 587, 114], np.uint32) + 500) // 1000
    return luma.astype(np.uint16 if deep else np.uint8)


def has_colour(frame: Any) -> bool:
    """Whether a decoded frame shows more than grey, small errors of compression apart."""
    if frame.format.name.startswith("gray"):
        return False
    colours = frame.to_ndarray(format="rgb24")
    return bool(np.mean(np.ptp(colours, axis=-1) > _GREY_WITHIN) > 1e-3)
