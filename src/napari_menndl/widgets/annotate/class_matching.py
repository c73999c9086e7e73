"""Form for how defects of the selected class are matched: by centres within a tolerance, or by overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.notifications import show_error
from qtpy.QtWidgets import QFormLayout, QVBoxLayout, QWidget

from napari_menndl.errors import InputError
from napari_menndl.widgets.annotate.settings import MatchSettings
from napari_menndl.widgets.form import lay_out, make_form

if TYPE_CHECKING:
    from napari_menndl.annotation.annotation import Annotation


class ClassMatching(QWidget):
    """Form for the fields of a class that its table row has no room for."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._annotation: Annotation | None = None
        self._row = 0
        self.form = make_form(MatchSettings)
        self._tolerance = self.form["tolerance"]
        self._tolerance.native.setSpecialValueText("automatic")
        body = lay_out(self.form)
        self._rows: QFormLayout = body.layout()  # type: ignore[assignment]
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(body)
        self.form.changed.connect(self._changed)

    def show_class(self, annotation: Annotation | None, row: int) -> None:
        """Show the fields of a class, by its row; disabled without an annotation."""
        self._annotation, self._row = annotation, row
        self.setEnabled(annotation is not None)
        if annotation is None or row >= len(annotation.classes):
            return
        defect = annotation.classes[row]
        unit = "px" if annotation.pixel_size is None else "nm"
        self._rows.labelForField(self._tolerance.native).setText(f"Tolerance [{unit}]")  # type: ignore[union-attr]
        with self.form.changed.blocked():
            self.form["extended"].value = defect.extended
            self._tolerance.value = defect.tolerance or 0.0
        self._tolerance.enabled = not defect.extended

    def _changed(self) -> None:
        if self._annotation is None:
            return
        extended, tolerance = self.form["extended"].value, self._tolerance.value
        try:
            self._annotation.change_class(self._row, extended=extended, tolerance=tolerance or None)
        except InputError as error:
            show_error(str(error))
            self.show_class(self._annotation, self._row)
