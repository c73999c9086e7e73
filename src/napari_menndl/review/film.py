"""Pictures and films of a prediction: each frame raw, and beside it with its defects in the colours of the review."""

from __future__ import annotations

import os
import uuid
import warnings
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_menndl.errors import InputError
from napari_menndl.files import check_new
from napari_menndl.metrics.components import label_components
from napari_menndl.movie.identity import digest_of, few
from napari_menndl.movie.video import EXTRA
from napari_menndl.review.outcomes import PALETTES, PREDICTED, class_colours_beside, predicted_alone
from napari_menndl.review.panels import (
    OUTCOME_KEY,
    Key,
    Panel,
    counted,
    draw_panels,
    grey_limits,
    redraw_panels,
    reviewed_panel,
)
from napari_menndl.review.picture import save_picture
from napari_menndl.review.review import Review

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari_menndl.annotation.annotation import Annotation
    from napari_menndl.figure import Picture
    from napari_menndl.movie.movie import Movie

#: Suffix of films, their codecs, the first that is there, and the compression of H.264 (smaller is better).
SUFFIX, _CODECS, _QUALITY = ".mp4", ("libx264", "h264", "mpeg4"), "17"


def draw_movie(
    prediction: Any,
    movie: Movie,
    *,
    pictures: str | os.PathLike[str] | None = None,
    film: str | os.PathLike[str] | None = None,
    annotation: Annotation | None = None,
    frames: Sequence[int] | None = None,
    rate: float = 10.0,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Draw frames and, beside each, the frame with its defects: as pictures, as a film, or both.

    Grey values are the same in all frames. Annotated frames are drawn in the colours of a review: white, purple and
    orange; others in a colour for each class.

    Parameters
    ----------
    prediction : Prediction
        Stored or not.
    movie : Movie
        The movie that was predicted, prepared alike.
    pictures : path, optional
        Folder for a PNG of each frame, ``frame_0012.png``; created if it does not exist.
    film : path, optional
        MP4 to write (H.264); needs the extra video. It appears when it is whole.
    annotation : Annotation, optional
        What the prediction is compared with.
    frames : sequence of int, optional
        Frames to draw, in this order; by default all.
    rate : float [1/s]
        Frames per second of the film.
    overwrite : bool
        Whether to replace pictures and a film that exist.
    progress : callable, optional
        Called with the number of frames drawn and the total.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    InputError
        If the movie is not the one that was predicted, a frame is not predicted or not there, something exists, the
        package that writes films is missing, or a file cannot be written.
    """
    spec = prediction.spec
    chosen = list(range(spec.shape[0]) if frames is None else frames)
    if tuple(movie.shape) != tuple(spec.shape):
        raise _other_movie(f"one of shape {tuple(movie.shape)}, not {tuple(spec.shape)}")
    if not chosen or (wrong := [t for t in chosen if not 0 <= t < len(movie)]):
        raise InputError(f"frames from 0 to {len(movie) - 1}", f"{wrong if chosen else 'none'}", "Choose among these.")
    if pictures is None and film is None:
        raise InputError("a folder for pictures, or a film to write", "neither", "Give one of them, or both.")
    names = [] if pictures is None else _names(Path(pictures).expanduser(), chosen, spec.shape[0])
    target = None if film is None else Path(film).expanduser()
    if target is not None and target.suffix.lower() != SUFFIX:
        raise InputError(f"a film that ends in {SUFFIX}", str(target), f"Name it {target.with_suffix(SUFFIX)}.")
    check_new(*names, *filter(None, [target]), overwrite=overwrite)
    for folder in {one.parent for one in (*names[:1], *filter(None, [target]))}:
        _make(folder, create=bool(names) and folder == names[0].parent)
    written: list[Path] = []
    with _Film.writing(target, rate) as show:
        for done, (t, picture) in enumerate(_drawn(prediction, movie, annotation, chosen), start=1):
            if names:
                written.append(save_picture(picture, names[chosen.index(t)]))
            show(picture)
            if progress is not None:
                progress(done, len(chosen))
    return [*written, *([] if target is None else [target])]


def _drawn(
    prediction: Any, movie: Movie, annotation: Annotation | None, frames: list[int]
) -> Iterator[tuple[int, Picture]]:
    """Yield each frame's picture, which is redrawn for the next one."""
    names = prediction.spec.class_names
    review = None
    if annotation is not None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Not annotated.*")  # they are drawn all the same
            review = Review.of(prediction, annotation, frames=[t for t in frames if t < len(annotation)])
    reviewed = set() if review is None else set(review.frames)
    outcomes: Key = OUTCOME_KEY if reviewed else {}
    own = {} if annotation is None else {one.name: one.colour for one in annotation.classes}
    colours = class_colours_beside(names, own, next(iter(PALETTES)) if reviewed else "")
    # A frame that is compared shows in these colours what the annotation says nothing of.
    others = reviewed < set(frames) or (
        annotation is not None
        and (not set(names) <= set(annotation.class_names) or not all(annotation.known(t).all() for t in reviewed))
    )
    limits = _limits(movie, frames)
    picture: Picture | None = None
    for t in frames:
        shown = movie.frame(t, gaps=True)
        digest = prediction.frame_digest(t)
        labels = prediction.frame_labels(t)
        if digest and digest != digest_of(shown):
            raise _other_movie(f"another frame {t} than the one that was predicted")
        when = "" if movie.frame_time is None else f" · {t * movie.frame_time:.4g} s"
        words = {name: name for name in names}
        if review is not None and t in reviewed:
            judged = review.compare(t)
            right = replace(
                reviewed_panel(shown, "Compared with the annotation", judged), colours=judged.overlay, limits=limits
            )
        else:
            counts = {name: len(label_components(labels == c, min_area=1)) for c, name in enumerate(names, start=1)}
            words = {name: f"{name}: {count}" for name, count in counts.items()}
            right = Panel(shown, predicted_alone(labels), "Predicted", counted(sum(counts.values())), limits)
        key = dict(outcomes)
        if others:
            key |= {PREDICTED + c: (colours[name], words[name]) for c, name in enumerate(names)}
        panels = [
            Panel(shown, None, f"Frame {t}{when}", movie.name, limits),
            right,
        ]
        if picture is None:
            picture = draw_panels([panels], key=key, pixel_size=movie.pixel_size)
        else:
            redraw_panels(picture, panels, key)
        yield t, picture


def _limits(movie: Movie, frames: Sequence[int]) -> tuple[float, float]:
    """Return grey values for black and white that suit all frames, by a few of them."""
    low, high = np.array([grey_limits(movie.frame(t, gaps=True)) for t in few(frames)]).T
    return float(low.min()), float(high.max())


def _names(folder: Path, frames: Sequence[int], count: int) -> list[Path]:
    digits = max(4, len(str(count - 1)))
    return [folder / f"frame_{t:0{digits}d}.png" for t in frames]


def _make(folder: Path, create: bool) -> None:
    try:
        if create:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError("a folder that can be written", str(error), "Choose another place.") from error
    if not folder.is_dir():
        raise InputError(f"a folder {folder}", "none", "Create it first, or choose another place.")


def _other_movie(found: str) -> InputError:
    return InputError("the movie that was predicted, prepared alike", found, "Give that movie, or predict this one.")


class _Film:
    """Writer of a film: pictures, all of one size, are added one by one."""

    def __init__(self, path: Path, rate: float) -> None:
        try:
            import av
        except ImportError as error:
            raise InputError(
                "the package av, which writes films",
                "that it is not installed",
                f"Install the extra video: {EXTRA}; or have pictures written.",
            ) from error
        self._av, self._rate = av, Fraction(rate).limit_denominator(1000)
        self._container = av.open(os.fspath(path), "w", format=SUFFIX[1:])
        self._stream: Any = None

    @classmethod
    @contextmanager
    def writing(cls, path: Path | None, rate: float) -> Iterator[Callable[[Picture], None]]:
        """Context that yields a function to add a picture, and brings the film to its place at the end.

        Nothing is written without a path, or if an exception ends the context.

        Raises
        ------
        InputError
            If the rate is not a possible one, the film cannot be written, or the package for it is missing.
        """
        if path is None:
            yield lambda _: None
            return
        if not 0.1 <= rate <= 240:
            raise InputError("0.1 to 240 frames per second", f"{rate:g}", "Choose another rate.")
        beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
        try:
            film = cls(beside, rate)
            try:
                yield film.add
                film.finish()
            finally:
                film.close()
            os.replace(beside, path)
        except OSError as error:
            raise InputError(f"{path} to be writable", str(error), "Choose another place, or make room.") from error
        finally:
            beside.unlink(missing_ok=True)

    def add(self, picture: Picture) -> None:
        """Add a picture."""
        picture.canvas.draw()
        pixels = np.asarray(picture.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]
        height, width = (size - size % 2 for size in pixels.shape[:2])  # H.264 halves the resolution of colours
        if self._stream is None:
            codec = next(name for name in _CODECS if name in self._av.codecs_available)
            self._stream = self._container.add_stream(codec, rate=self._rate)
            self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
            self._stream.options = {"crf": _QUALITY} if "264" in codec else {"q:v": "2"}
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[:height, :width]), format="rgb24")
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write what is still to be encoded."""
        if self._stream is not None:
            self._container.mux(self._stream.encode())

    def close(self) -> None:
        """Close the file."""
        self._container.close()
