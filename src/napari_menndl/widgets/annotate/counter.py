"""Background count of the defects that are marked on the frame in view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject
from superqt.utils import QSignalThrottler

from napari_menndl.widgets.background import LatestTask

if TYPE_CHECKING:
    from napari_menndl.annotation.annotation import Annotation
    from napari_menndl.widgets.annotate.class_table import ClassModel

#: Shortest interval between two counts while strokes or frames follow each other [ms].
PAUSE = 150


class Counter(QObject):
    """Background counter for the column of counts in the class table.

    Parameters
    ----------
    table : ClassModel
    """

    def __init__(self, table: ClassModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._table = table
        self._wanted: tuple[Annotation, int] | None = None
        self._latest = LatestTask(lambda wanted: wanted[0].counts(wanted[1]), self)
        self._latest.answered.connect(self._counted)
        self._throttle = QSignalThrottler(parent=self)
        self._throttle.setTimeout(PAUSE)
        self._throttle.triggered.connect(self._count)

    def count(self, annotation: Annotation | None, frame: int) -> None:
        """Request a count; ignored without an annotation, or for a frame beyond its end."""
        self._wanted = (annotation, frame) if annotation is not None and frame < len(annotation) else None
        self._throttle.throttle()

    def _count(self) -> None:
        if self._wanted is not None:
            self._latest.ask(self._wanted)

    def _counted(self, wanted: tuple[Annotation, int], counts: dict[str, int]) -> None:
        if wanted == self._wanted and counts != self._table.counts:
            self._table.show_counts(counts)
