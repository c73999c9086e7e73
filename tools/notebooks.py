"""Run the notebooks, each from a fresh kernel in an empty folder: ``python tools/notebooks.py [--write] [NAME …]``.

By default on small budgets, and no notebook is changed. With ``--write`` on the budgets that stand in the notebooks,
and their outputs are kept. Notebooks whose data cannot be reached are named, and not run.
"""

import argparse
import base64
import io
import os
import re
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image

from napari_menndl import InputError
from napari_menndl.samples import PLATINUM, URL_VARIABLE

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
#: Copy of the sample images beside the repository, used where there is one instead of a download.
IMAGES = ROOT.parent / "shared" / "data" / "pt_on_nc"
#: Budget of a search instead of the minutes in the notebooks; not in seconds, in which a busy machine may do nothing.
SHORT = "3networks"
#: Longest time for one cell [s].
PATIENCE = 600
#: Largest width of a picture that is kept [px].
WIDTH = 1000
#: A warning with the place in the code that gave it, of which only the message is kept.
_WARNING = re.compile(r"^\S+\.py:\d+: (\w+: .*\n)(?:  .*\n)?", re.MULTILINE)
#: What a notebook needs that may be out of reach; InputError if it is.
NEEDS = {"02_real_images": PLATINUM.fetch}


def run(path: Path, write: bool) -> tuple[bool, str]:
    """Execute a notebook; return whether it failed, and its time or the traceback of the first cell that fails."""
    began = time.monotonic()
    try:
        _execute(path, write)
    except CellExecutionError as error:
        return True, str(error)
    return False, f"{time.monotonic() - began:.0f} s"


def _execute(path: Path, write: bool) -> None:
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory(prefix="notebook-") as folder:
        client = NotebookClient(
            notebook,
            timeout=PATIENCE,
            kernel_name="python3",
            store_widget_state=False,  # they have ended
            resources={"metadata": {"path": folder}},
        )
        client.execute()
        if write:
            _clean(notebook, folder)
            nbformat.write(notebook, path)


def _clean(notebook: nbformat.NotebookNode, folder: str) -> None:
    """Remove what tells of the machine and not of the result, and make the pictures smaller."""
    notebook.metadata.language_info = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if "outputs" in cell:
            cell.outputs = [one for one in cell.outputs if one.get("data", {}).get("text/html") != ""]
        for output in cell.get("outputs", ()):
            if "text" in output:
                output.text = _WARNING.sub(r"\1", output.text).replace(f"{folder}/", "")
            data = output.get("data", {})
            if "text/html" in data:
                data.pop("text/plain", None)
            if "image/png" in data:
                data["image/png"] = _smaller(data["image/png"])


def _smaller(picture: str) -> str:
    """Return a PNG in base64 that is at most `WIDTH` wide and has at most 256 colours."""
    with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
        reduced = image.convert("RGB")
    reduced.thumbnail((WIDTH, WIDTH))
    written = io.BytesIO()
    # By coverage: rare colours are what a picture of errors shows.
    reduced.quantize(256, Image.Quantize.MAXCOVERAGE).save(written, "PNG", optimize=True)
    return base64.b64encode(written.getvalue()).decode()


def main() -> int:
    """Run the notebooks that are named, or all."""
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("names", nargs="*", help="beginnings of the notebooks' names; all by default")
    ask.add_argument("--write", action="store_true", help="on full budgets, and keep the outputs in the notebooks")
    ask.add_argument("--jobs", type=int, default=2, help="notebooks run at a time; with --write one")
    given = ask.parse_args()
    if IMAGES.is_dir():
        os.environ.setdefault(URL_VARIABLE, str(IMAGES))
    if not given.write:
        os.environ["MENNDL_NOTEBOOK_BUDGET"] = SHORT
    # Said wherever ipywidgets are not installed; the notebooks do without.
    os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"
    os.environ.pop("MENNDL_NOTEBOOK_FOLDER", None)
    chosen = [path for path in NOTEBOOKS if path.name.startswith(tuple(given.names) or "")]
    failed = not chosen
    # Processes: a notebook's client has an event loop of its own, and handles signals.
    with ProcessPoolExecutor(1 if given.write else given.jobs) as pool:
        running = {}
        for path in chosen:
            try:
                NEEDS.get(path.stem, lambda: None)()
            except InputError as missing:
                print(f"{path.stem}: NOT RUN. {missing}", flush=True)
            else:
                running[pool.submit(run, path, given.write)] = path.stem
        for ended in as_completed(running):
            bad, told = ended.result()
            failed |= bad
            print(f"{running[ended]}: {told}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
