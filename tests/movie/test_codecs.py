"""Compressed files are read, or their codec is named on opening with what helps, never at a later frame."""

import json
from importlib.util import find_spec

import numpy as np
import pytest
import zarr
from PIL import Image, features

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.errors import InputError
from napari_menndl.movie.reading import open_movie

FRAME = np.arange(40 * 48, dtype=np.uint8).reshape(40, 48)
LABELS = np.zeros((40, 48), np.uint8)
LABELS[5:9, 5:9] = LABELS[20:24, 30:34] = 1
#: Of a TIFF file by Pillow, and the package that reads each.
PLAIN = ["packbits", "tiff_adobe_deflate", "lzma"]
BY_PACKAGE = ["tiff_lzw", "jpeg", "zstd"]


@pytest.mark.parametrize("compression", PLAIN)
def test_common_codecs_are_read(tmp_path, compression):
    for name, values in (("frame.tif", FRAME), ("labels.tif", LABELS)):
        Image.fromarray(values).save(tmp_path / name, compression=compression)
    assert np.array_equal(open_movie(tmp_path / "frame.tif").frame(0), FRAME)
    assert np.array_equal(Annotation.open(tmp_path / "labels.tif").frame(0), LABELS)


@pytest.mark.skipif(find_spec("imagecodecs") is not None, reason="imagecodecs is installed: it reads them")
@pytest.mark.skipif(find_spec("compression") is not None, reason="Python 3.14 reads zstd itself")
@pytest.mark.skipif(not features.check("libtiff"), reason="Pillow without libtiff writes none of these")
@pytest.mark.parametrize("opened", [open_movie, Annotation.open], ids=["movie", "labels"])
@pytest.mark.parametrize("compression", BY_PACKAGE)
def test_a_codec_that_is_missing_is_named_with_its_package(tmp_path, compression, opened):
    Image.fromarray(LABELS).save(tmp_path / "a.tif", compression=compression)
    with pytest.raises(
        InputError, match=rf"{compression.removeprefix('tiff_').upper()}.*install the package imagecodecs"
    ):
        opened(tmp_path / "a.tif")


@pytest.mark.parametrize("form", [2, 3])
def test_an_unknown_codec_of_zarr_is_named(tmp_path, form):
    zarr.create_array(str(tmp_path / "a.zarr"), data=FRAME[None], zarr_format=form)
    about = tmp_path / "a.zarr" / (".zarray" if form == 2 else "zarr.json")
    described = json.loads(about.read_text())
    if form == 2:
        described["compressor"] = {"id": "made_up"}
    else:
        described["codecs"][-1] = {"name": "made_up", "configuration": {}}
    about.write_text(json.dumps(described))
    with pytest.raises(InputError, match=r"made_up.*Install what reads this codec"):
        open_movie(tmp_path / "a.zarr")
