"""Tables of a live prediction: appended to frame by frame, and continued after whatever ended it."""

from __future__ import annotations

import csv
import io
import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from napari_menndl.errors import InputError
from napari_menndl.files import atomic_write
from napari_menndl.metrics.defect_table import DEFECT_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from napari_menndl.predict.live import FrameReport

FORM, SCHEMA = "napari-menndl live tables", 1
#: Last frames whose digests are kept, to recognise the source when the tables are continued.
_RECENT = 100
#: Columns of the table of frames: number, time since frame 0 [s], name of file or page; when it appeared (UTC); whether
#: it was predicted; time from its appearance until its defects were written [s], and that of the prediction [s]; number
#: of its defects; network (digest) and number of networks that predicted; digest of its grey values; what was said.
FRAME_COLUMNS = (
    *("frame", "time_s", "name", "appeared", "state", "latency_s", "prediction_s", "defects"),
    *("network", "networks", "digest", "note"),
)


class LiveTables:
    """The tables ``defects.csv`` and ``frames.csv`` in a folder.

    A frame counts when its line is in ``frames.csv``, which is written after the lines of its defects are on the disk:
    what was cut short between is removed when the tables are continued, and that frame is predicted again. When the
    source begins another recording, tables of their own follow: ``defects-2.csv`` and ``frames-2.csv``.

    Parameters
    ----------
    folder : Path
        Created if it does not exist.
    source : str
        What is followed.
    class_names : C str

    Attributes
    ----------
    last : int or None
        Number of the last frame in the tables; None if there is none yet.
    recent : dict of int to str
        Digests of the last frames; empty text where a frame was not predicted.

    Raises
    ------
    InputError
        If the folder holds something else, tables of another source or of other classes, or damaged tables; if another
        process writes them, or if it cannot be written.
    """

    def __init__(self, folder: Path, source: str, class_names: Sequence[str]) -> None:
        self.folder = folder
        self.last: int | None = None
        self.recent: dict[int, str] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(str(folder / "follow.lock"))
            self._lock.acquire(timeout=0)
        except Timeout:
            raise InputError(
                f"to be the only one that writes {folder}", "another process at work in it", "Choose another folder."
            ) from None
        except OSError as error:
            raise _unwritable(folder, error) from error
        try:
            self._number = self._check({"source": source, "class_names": list(class_names)})
            self._open()
        except OSError as error:
            self._lock.release()
            raise _unwritable(folder, error) from error
        except BaseException:
            self._lock.release()
            raise

    @property
    def defects_path(self) -> Path:
        """Table of the defects of the present recording."""
        return self._path("defects")

    @property
    def frames_path(self) -> Path:
        """Table of the frames of the present recording."""
        return self._path("frames")

    def _path(self, name: str, number: int | None = None) -> Path:
        number = self._number if number is None else number
        return self.folder / (f"{name}.csv" if number == 1 else f"{name}-{number}.csv")

    def _check(self, about: Mapping[str, Any]) -> int:
        """Check whose tables the folder holds, if any; return the number of the latest recording."""
        note = self.folder / "follow.json"
        about = {"format": FORM, "schema": SCHEMA, **about}
        if not note.exists():
            if found := sorted(one.name for one in self.folder.iterdir() if one.name != "follow.lock"):
                raise InputError(
                    "a new or empty folder, or one with tables of this source",
                    f"{self.folder} with {', '.join(found[:3])}{', …' if len(found) > 3 else ''}",
                    "Choose another folder.",
                )
            atomic_write(note, json.dumps(about, indent=1).encode())
            return 1
        try:
            had = json.loads(note.read_text())
        except ValueError:
            had = None
        if not isinstance(had, dict) or had.get("format") != FORM:
            raise InputError("tables that follow has written", f"another {note}", "Choose another folder.")
        for name, what in (("schema", "version"), ("source", "source"), ("class_names", "classes")):
            if had.get(name) != about[name]:
                raise InputError(
                    f"tables of the {what} {about[name]}",
                    f"those of {had.get(name)} in {self.folder}",
                    "Choose another folder: one table holds the defects of one source and the same classes.",
                )
        number = 1
        while self._path("frames", number + 1).exists():
            number += 1
        return number

    def _open(self) -> None:
        """Begin or continue the tables of the present recording."""
        self._columns: tuple[str, ...] = DEFECT_COLUMNS
        for path, columns in ((self.defects_path, DEFECT_COLUMNS), (self.frames_path, FRAME_COLUMNS)):
            header = _lines([], columns, header=True)
            there = _first_line(path)
            if not there.endswith(b"\n"):
                atomic_write(path, header)
                there = header
            if path == self.defects_path and there in _OLDER:
                self._columns = _OLDER[there]
            elif there != header:
                raise InputError(f"the columns {', '.join(columns)}", f"others in {path}", "Choose another folder.")
        self._defects = self.defects_path.open("r+b", buffering=0)
        self._frames = self.frames_path.open("r+b", buffering=0)
        self._continue()

    def _continue(self) -> None:
        """Find the end of the tables, and remove what was cut short."""
        count, end = 0, 0
        self.last, self.recent = None, {}
        with self.frames_path.open("rb") as frames:
            for line in frames:
                if not line.endswith(b"\n"):
                    break
                end += len(line)
                if end == len(line):  # the header
                    continue
                row = dict(zip(FRAME_COLUMNS, next(csv.reader([line.decode(errors="replace")])), strict=False))
                try:
                    number = int(row["frame"])
                    count += int(row["defects"] or 0)
                except (KeyError, ValueError):
                    raise _changed(self.frames_path, f"the line {line.decode(errors='replace')!r}") from None
                self.last = number if self.last is None else max(self.last, number)
                self.recent[number] = row.get("digest", "")
                if len(self.recent) > _RECENT:
                    del self.recent[next(iter(self.recent))]
        there = -1  # the header
        place = 0
        with self.defects_path.open("rb") as defects:
            for line in defects:
                if there == count or not line.endswith(b"\n"):
                    break
                there, place = there + 1, place + len(line)
        if there < count:
            raise _changed(self.defects_path, f"{there} defects, while {self.frames_path.name} counts {count}")
        for file, size in ((self._frames, end), (self._defects, place)):
            file.truncate(size)
            file.seek(0, os.SEEK_END)

    def begin_another(self) -> None:
        """Begin tables of another recording of the source."""
        self._close_files()
        self._number += 1
        self._open()

    def add_defects(self, defects: pd.DataFrame) -> None:
        """Append the defects of a frame.

        Raises
        ------
        InputError
            If they cannot be written.
        """
        if len(defects):
            told = defects[list(self._columns)].replace(r"[\r\n]+", " ", regex=True)
            text = told.to_csv(index=False, header=False)
            self._append(self._defects, text.encode(), safely=True)

    def add_frame(self, report: FrameReport, digest: str = "") -> None:
        """Append a frame, with the digest of its grey values if it was predicted; its defects were appended before.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        self._append(self._frames, _lines([_row(report, digest)], FRAME_COLUMNS))

    def _append(self, file: Any, data: bytes, safely: bool = False) -> None:
        try:
            while data:
                data = data[file.write(data) :]
            if safely:
                os.fsync(file.fileno())
        except OSError as error:
            raise _unwritable(self.folder, error) from error

    def close(self) -> None:
        """Close the tables."""
        self._close_files()
        self._lock.release()

    def _close_files(self) -> None:
        for file in (self._defects, self._frames):
            os.fsync(file.fileno())
            file.close()


def _row(report: FrameReport, digest: str) -> dict[str, Any]:
    found, appeared = report.prediction, report.appeared
    return {
        "frame": report.number,
        "time_s": report.time,
        "name": report.name,
        "appeared": None if appeared is None else datetime.fromtimestamp(appeared, UTC).isoformat(" ", "milliseconds"),
        "state": report.state,
        "latency_s": None if report.latency is None else round(report.latency, 4),
        "prediction_s": found and round(found.seconds, 4),
        "defects": found and len(found.defects),
        "network": found and found.network,
        "networks": found and found.members[0],
        "digest": digest,
        "note": report.note,
    }


def _first_line(path: Path) -> bytes:
    if not path.exists():
        return b""
    with path.open("rb") as file:
        return file.readline()


def _lines(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], header: bool = False) -> bytes:
    """Return lines of CSV; only the header if wanted."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    if header:
        writer.writeheader()
    else:
        writer.writerows({k: " ".join(v.split()) if isinstance(v, str) else v for k, v in row.items()} for row in rows)
    return text.getvalue().encode()


#: Headers of the tables of defects that earlier versions began, which are continued with their own columns.
_OLDER = {_lines([], columns, header=True): columns for columns in (DEFECT_COLUMNS[:-1],)}


def _changed(path: Path, found: str) -> InputError:
    return InputError(f"{path} as it was written", found, "Choose another folder, or put back what was changed.")


def _unwritable(folder: Path, error: OSError) -> InputError:
    return InputError(
        "a folder that can be written",
        f"{folder}: {error}",
        "Make room or change permissions; then follow again into it.",
    )
