from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
#: Enough networks for every cell to have something to show.
BUDGET = "3networks"
#: What in a notebook takes minutes, and what takes seconds instead.
SHORTER = {
    "simulate_movie(frames=8)": "simulate_movie(frames=8, shape=(144, 144))",
    "pixels=600_000": "pixels=10_000, pool='serial', founders=('bank_logistic',)",
}


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_a_clean_kernel(notebook, tmp_path, monkeypatch):
    monkeypatch.setenv("MENNDL_NOTEBOOK_BUDGET", BUDGET)
    monkeypatch.setenv("MENNDL_NOTEBOOK_FOLDER", str(tmp_path / "out"))
    source = notebook.read_text()
    for long, short in SHORTER.items():
        assert long in source
        source = source.replace(long, short)
    NotebookClient(nbformat.reads(source, as_version=4), timeout=300, kernel_name="python3").execute()
    assert list((tmp_path / "out").glob("*.defects.csv"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_kept_without_outputs(notebook):
    cells = nbformat.read(notebook, as_version=4).cells
    assert all(not cell.outputs and cell.execution_count is None for cell in cells if cell.cell_type == "code")
