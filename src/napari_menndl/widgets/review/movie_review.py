"""Review of a whole movie in threads: the frame in view first, then the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_menndl.progress import Pace
from napari_menndl.widgets.background import LatestTask, in_window
from napari_menndl.widgets.review.frame_review import FrameReview, Level, PartialFrame, Question, Setting
from napari_menndl.widgets.review.reviewer import FrameReviewer

if TYPE_CHECKING:
    from collections.abc import Iterable


#: Niceness of work that a person waits for, after the window but before a search on the same computer; and of the rest.
WAITED_FOR, BESIDE = 10, 19


class MovieReview(QObject):
    """Reviews of the frames of a movie, renewed when they become invalid.

    Attributes
    ----------
    reviewer : FrameReviewer
    reviews : dict of int to FrameReview
        Latest review of each frame, for this source, movie and annotation; the threshold may have changed since.
    in_view : int
        The frame that is reviewed first.
    partial : PartialFrame or None
        Parts known so far of a frame in view that is being predicted.
    centre : (y, x) float [px]
        Centre of the view in the frame in view.
    reviewed : Signal(frame)
        The review of a frame is new.
    predicting : Signal(frame)
        One more part of the frame in view is predicted.
    failed : Signal(exception)
        A frame could not be reviewed; the rest is not tried.
    warned : Signal(text)
    """

    reviewed = Signal(int)
    failed = Signal(object)
    warned = Signal(str)
    predicting = Signal(int)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.reviewer = FrameReviewer()
        self.reviews: dict[int, FrameReview] = {}
        self.setting: Setting | None = None
        self.in_view = 0
        self._frames: tuple[int, ...] = ()
        self._valid: dict[int, tuple[Level | None, int]] = {}
        self._revisions: dict[int, int] = {}
        self.partial: PartialFrame | None = None
        self.centre = (0.0, 0.0)
        self._first, self._rest = (
            LatestTask(self._answer_first, self, WAITED_FOR),
            LatestTask(self.reviewer.answer, self, BESIDE),
        )
        self._tell_part = in_window(self._take_part)
        self.pace, self._part_pace = Pace(), Pace()
        self._going = False
        for latest in (self._first, self._rest):
            latest.answered.connect(self._answered)
            latest.failed.connect(self._fail)
            latest.warned.connect(self.warned)
        self.destroyed.connect(self.reviewer.close)

    @property
    def busy(self) -> bool:
        return self._first.busy or self._rest.busy

    @property
    def going(self) -> bool:
        """Whether frames besides the one in view are still to be reviewed."""
        return self._going and self.done < len(self._frames)

    @property
    def left(self) -> float | None:
        """Estimated time until all frames are reviewed [s]; None if unknown."""
        return self.pace.left(self.done, len(self._frames)) if self.going else None

    @property
    def part_left(self) -> float | None:
        """Estimated time until the frame in view is predicted [s]; None if unknown."""
        part = self.partial
        return None if part is None else self._part_pace.left(part.done, part.parts)

    @property
    def done(self) -> int:
        """Number of frames whose review is valid."""
        return sum(self._holds(t) for t in self._frames)

    def _answer_first(self, question: Question) -> FrameReview:
        return self.reviewer.answer_at_once(question, self.centre, self._tell_part)

    def _take_part(self, question: Question, part: PartialFrame) -> None:
        setting = self.setting
        if setting is not None and _what(question.setting) == _what(setting) and not self._holds(part.frame):
            if self.partial is None or self.partial.frame != part.frame:
                self._part_pace.begin(part.done)
            self.partial = part
            self.predicting.emit(part.frame)

    def now(self, frame: int) -> FrameReview | None:
        """Return the review of a frame if it is still valid."""
        return self.reviews[frame] if self._holds(frame) else None

    def begin(self, setting: Setting) -> bool:
        """Review by this setting from now on; return whether existing reviews are kept until they are renewed."""
        before, self.setting = self.setting, setting
        kept = before is not None and _what(before) == _what(setting)
        if not kept:
            self.reviews, self._valid, self._revisions = {}, {}, {}
            self._rest.forget()
        elif before is not None and before.annotation != setting.annotation:
            self.touch(self.reviews)
        return kept

    def review_first(self, frame: int) -> FrameReview | None:
        """Review this frame first; return its review if it is available already."""
        self.in_view = frame
        self.reviewer.prioritise(frame)
        if self._holds(frame):
            self._first.forget()
            self._continue()
            return self.reviews[frame]
        self._first.ask(self._question(frame))
        return None

    def touch(self, frames: Iterable[int]) -> None:
        """Mark some frames as changed in their annotation."""
        for frame in frames:
            self._revisions[frame] = self._revisions.get(frame, 0) + 1

    def review_rest(self, frames: Iterable[int]) -> None:
        """Continue with these frames, in this order, after the one in view."""
        if not self.going:
            self._frames = tuple(frames)
            self.pace.begin(self.done)
        self._frames, self._going = tuple(frames), True
        self._continue()

    def stop(self) -> None:
        """Stop reviewing the rest."""
        self._going = False
        self._rest.forget()
        self.reviewer.rest()

    def forget(self) -> None:
        """Drop everything, without waiting for running work."""
        self.stop()
        self.reviewer.close()
        self._first.forget()
        self.partial = None
        self.setting, self.reviews, self._valid = None, {}, {}

    def _holds(self, frame: int) -> bool:
        return self.setting is not None and self._valid.get(frame) == self._state(frame)

    def _state(self, frame: int) -> tuple[Level | None, int]:
        return (None if self.setting is None else self.setting.level), self._revisions.get(frame, 0)

    def _question(self, frame: int, thorough: bool = False) -> Question:
        assert self.setting is not None
        return Question(self.setting, frame, self._revisions.get(frame, 0), thorough)

    def _answered(self, question: Question, review: FrameReview) -> None:
        setting, frame = self.setting, question.frame
        if self.partial is not None and self.partial.frame == frame:
            self.partial = None
        if setting is not None and _what(question.setting) == _what(setting):
            same = question.setting.annotation == setting.annotation
            state = question.setting.level, question.revision
            if same and state == self._state(frame):
                known = self.now(frame)
                self._valid[frame] = state
                if known is None or review.thorough or not known.thorough:
                    self.reviews[frame] = review
                    self.reviewed.emit(frame)
        self._continue()

    def _fail(self, question: Question, error: Exception) -> None:
        setting = self.setting
        if setting is not None and _what(question.setting) == _what(setting):
            self.stop()
            self.failed.emit(error)

    def _continue(self) -> None:
        """Start the next review of the rest, unless the frame in view is waited for."""
        if self.setting is None or self._first.busy or self._rest.busy:
            return
        if (seen := self.now(self.in_view)) is not None and not seen.thorough:
            self._rest.ask(self._question(self.in_view, thorough=True))
        elif self._going and (following := next(filter(self._lacks, self._frames), None)) is not None:
            thorough = self._holds(following) or self.is_annotated(following)
            self._rest.ask(self._question(following, thorough))

    def _lacks(self, frame: int) -> bool:
        known = self.now(frame)
        return known is None or (known.annotated and not known.thorough)

    def is_annotated(self, frame: int) -> bool:
        """Whether a frame is annotated, as far as can be told without reading its labels."""
        known = self.reviews.get(frame)
        if known is not None:
            return known.annotated
        layer = self.setting.annotation if self.setting is not None else None
        annotation: Any = None if layer is None else layer.metadata.get("annotation")
        if annotation is None:
            return False
        return frame < len(annotation) and annotation.status[frame] != "untouched"


def _what(setting: Setting) -> tuple[object, ...]:
    return setting.source, setting.movie, setting.reading, setting.keep, setting.pool, setting.answer
