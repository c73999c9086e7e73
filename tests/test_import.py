"""Importing the package is cheap and needs no window, no GPU library and no network."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import napari_menndl

HEAVY = ("torch", "napari", "qtpy", "PyQt6", "PySide6", "distributed", "dask", "magicgui")


def imported_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    assert not imported_after("import napari_menndl") & set(HEAVY)


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        ("search.runner genome.variation genome.plan review.review pool.process.slot", {"torch"}),
        ("process", {"torch", "pandas", "dask", "distributed"}),
        ("training.job", {"pandas", "dask", "distributed", "matplotlib", "scipy.signal", "scipy.stats"}),
        ("cli", {"torch", "pandas", "dask", "distributed", "zarr", "skimage", "matplotlib"}),
    ],
)
def test_what_is_started_often_loads_nothing_it_does_not_need(modules, heavy):
    """The search process, each of its trainers, a command."""
    loaded = imported_after("\n".join(f"import napari_menndl.{module}" for module in modules.split()))
    assert not loaded & heavy


def test_a_training_does_not_load_the_compiler_of_torch():
    """Half of what a trainer needs before its first network."""
    folder = Path(__file__).parent / "training"
    loaded = imported_after(f"""
import sys
sys.path.insert(0, {str(folder)!r})
from conftest import blob_task, small_genome
from napari_menndl.genome.evaluation import Rung
from napari_menndl.genome.genes import OPTIMISERS
from napari_menndl.training.evaluate import evaluate
for optimiser in OPTIMISERS:
    evaluate(small_genome(optimiser=optimiser), blob_task(), Rung("first", 40_000), seed=0)
""")
    assert "torch" in loaded
    assert "torch._dynamo" not in loaded


@pytest.mark.parametrize("name", napari_menndl.__all__)
def test_every_public_name_exists(name):
    assert getattr(napari_menndl, name) is not None
    assert name in dir(napari_menndl)


@pytest.mark.parametrize("stub", sorted(Path(napari_menndl.__file__).parent.glob("*/__init__.pyi")))
def test_every_public_name_of_a_package_exists(stub):
    package = import_module(f"napari_menndl.{stub.parent.name}")
    assert package.__all__
    assert all(getattr(package, name) is not None for name in package.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"attribute '?train"):
        napari_menndl.train
