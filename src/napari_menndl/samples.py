"""Real sample images, downloaded once: single Pt atoms on N-doped carbon."""

from __future__ import annotations

import os
import shutil
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pandas as pd

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.classes import DefectClass
from napari_menndl.annotation.points import read_points
from napari_menndl.errors import InputError
from napari_menndl.movie.reading import open_movie

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_menndl.movie.movie import Movie

#: Environment variable: another source to download from, an address or a folder that contains ``images`` and
#: ``coordinates``.
URL_VARIABLE = "NAPARI_MENNDL_SAMPLES_URL"
#: Environment variable: a folder for downloads instead of the user's cache folder.
CACHE_VARIABLE = "NAPARI_MENNDL_SAMPLES"


@dataclass(frozen=True)
class ImageSet:
    """Images with clicked points on a server.

    Attributes
    ----------
    name : str
        Name of the set and of its folder in the cache.
    defect : DefectClass
        Class of the clicked points.
    radius : float [px]
        Radius of the disc around a click.
    checksums : dict of str to str
        sha256 of ``images/….tif`` and ``coordinates/….csv``, in turn: image, its points, next image …
    addresses : dict of str to str
        Address of the files in ``images`` and in ``coordinates``.
    """

    name: str
    defect: DefectClass
    radius: float
    checksums: dict[str, str]
    addresses: dict[str, str]

    def fetch(
        self, base_url: str | None = None, progress: Callable[[int, int], bool] | None = None
    ) -> tuple[Movie, Annotation]:
        """Download the files that are not in the cache yet, and open them.

        Parameters
        ----------
        base_url : str, optional
            Where to download from; by default the value of ``NAPARI_MENNDL_SAMPLES_URL``, or else the images' own
            repository.
        progress : callable, optional
            Called with (files present, all files); False cancels the download.

        Returns
        -------
        movie : Movie
            One image per frame: different fields of view, not a time series.
        annotation : Annotation
            Every frame complete.

        Raises
        ------
        InputError
            If a file cannot be downloaded, its checksum differs, or `progress` cancelled.
        """
        files = []
        for count, name in enumerate(self.checksums):
            if progress is not None and progress(count, len(self.checksums)) is False:
                raise InputError(f"{self.name} to be downloaded", "a download that was cancelled", "Open it again.")
            files.append(self._fetch(name, base_url or os.environ.get(URL_VARIABLE)))
        movie = open_movie(files[::2])
        clicked = [read_points(path).assign(frame=t) for t, path in enumerate(files[1::2])]
        points = pd.concat(clicked, ignore_index=True).assign(**{"class": self.defect.name})
        annotation = Annotation.from_points(
            points, movie.shape, self.radius, [self.defect], pixel_size=movie.pixel_size, unit="px"
        )
        return movie, annotation

    def _fetch(self, name: str, base_url: str | None) -> str:
        import pooch  # here, because its import is slow and few users download a sample

        folder, _, file = name.partition("/")
        address = f"{base_url.rstrip('/')}/{name}" if base_url else f"{self.addresses[folder]}/{file}"
        if base_url and Path(base_url).is_dir():
            address = Path(base_url, name).absolute().as_uri()
        kept = Path(os.environ.get(CACHE_VARIABLE) or pooch.os_cache("napari-menndl")) / self.name
        get = _copy if urlsplit(address).scheme == "file" else pooch.HTTPDownloader(timeout=30)
        pooch.get_logger().setLevel("WARNING")
        try:
            path = pooch.retrieve(address, f"sha256:{self.checksums[name]}", f"{folder}-{file}", kept, downloader=get)
        except (OSError, ValueError) as problem:  # ValueError: another checksum
            another = "another file of this name" if isinstance(problem, ValueError) else type(problem).__name__
            raise InputError(
                f"{file} at {address}",
                another,
                f"Check the connection; or let {URL_VARIABLE} name a folder or server with a copy of the images.",
            ) from problem
        return str(path)


def _copy(url: str, path: str, _: object) -> None:
    shutil.copyfile(urllib.request.url2pathname(urlsplit(url).path), path)


_REPOSITORY = "https://raw.githubusercontent.com/HPAI-BSC/AtomDetection_ACSTEM"

#: HAADF-STEM images of single Pt atoms on N-doped carbon, 512 × 512 px, 15 nm wide, with experts' clicks. From
#: the repository HPAI-BSC/AtomDetection_ACSTEM, MIT licence; Mitchell et al., J. Am. Chem. Soc. 144, 8018 (2022),
#: doi:10.1021/jacs.1c12466. Clicks scatter by about 2.5 px: discs of 4 px, found within 0.18 nm (6 px).
PLATINUM = ImageSet(
    "Pt on N-doped carbon",
    DefectClass("Pt atom", tolerance=0.18),
    radius=4.0,
    checksums=dict(
        line.split()
        for line in """
images/021_HAADF_15nm_Sample_PtNC_21Oct20.tif b6ede5ba1a90761148ad1a8930e7a08fbb170d8d8a636eb05ea326989440e67a
coordinates/021_Results.csv 58665b278db79ae81666af4770ae3dff963ed5914c6a44118d81f779815deb2c
images/025_HAADF_15nm_Sample_PtNC_21Oct20.tif 8fc63f003353b8f1622cd7eef87f0d2d5e8e3449a0f05c6987ad13f6285c25a1
coordinates/025_Results.csv 8955047ea154f7fd613339f285d5b946d21279a70f53381232c8ad503ace0218
images/027_HAADF_15nm_Sample_PtNC_21Oct20.tif f967ac4458b4171beef33b02e6acfc059ea2d5ff972e324d196179edfe3c8efa
coordinates/027_Results.csv 857218031cf1d76dff1ddf2ce5433dce2c3154a84770fcf5ab18d9ec257d3f85
images/034_HAADF_15nm_Sample_PtNC_20Oct20.tif 20015641a5731a791f7eab01cccc24334f97f7dbf22c75fccbfb27e22a85cc39
coordinates/034_Results.csv 7838d9879da7d1a61364e5aab8d938e57001c2731fcfb7d52d8ecf53d8b7cc77
images/037_HAADF_15nm_Sample_PtNC_20Oct20.tif acbb8562b2d35c2812bb9759ff42a1fa97c11da7b875a19d9a2753899830b060
coordinates/037_Results.csv 312e918648d6c916d24c0dc044ebf5486d79407fbf6c13ea3c37e8b0f2990e07
images/038_HAADF_15nm_Sample_PtNC_21Oct20.tif 9699c0bb12f72f4b301a60bc15b378150cdacaa419578993ddacd97a1f8336c4
coordinates/038_Results.csv 587cfa74086c7d8fdb832fab78c8f64cd55e5aec4d412663730435748b84d77b
images/045_HAADF_15nm_Sample_PtNC_20Oct20.tif 58c07d54759efb84e71021756291b9e121f97bf32881843d80f3eb9b613c9cb8
coordinates/045_Results.csv 0b5a9262445f2a39f198664126857899a1d6e91280a4eebc0d411e5e554ac923
images/047_HAADF_15nm_Sample_PtNC_21Oct20.tif 8812ade263cf110ed6a0076b43cd60d25896ebecb575b1e56f3b6224ae070bff
coordinates/047_Results.csv c442c864ec1a32623489dc46fa025464efe345bafee6dcbbe91ba9533dcc143f
images/048_HAADF_15nm_Sample_PtNC_21Oct20.tif 94ab84190e1e11da596acbf68f32625c3069c5d1978ff810e068ed10fbaf0cb2
coordinates/048_Results.csv 24b69206e78a136a4d8fae908f0f81701eb313f28ea47327a21570a14e3f18c1
images/049_HAADF_15nm_Sample_PtNC_20Oct20.tif 6b6086cfe07efd9a25a01aca74a984229f84c61d679da56c0a9d48971f63c93a
coordinates/049_Results.csv 1631d650c02099100f3bd087eecf6e102e570839c53bdac1d5ffb855d1897de8
images/051_HAADF_15nm_Sample_PtNC_21Oct20.tif d7ceef2e90db2efd1afaf8808a0560cf1aeacac3aac217adf95eb2a54fbcd2c1
coordinates/051_Results.csv 87ef85e1218115781238ef5f23443517b8b5f13bc23c5f93b84161a605f8fab4
""".strip().splitlines()
    ),
    addresses={
        "images": f"{_REPOSITORY}/938747043ef0a07b842ee5adb22e2a8e2785f3f3/data/tif_data",
        "coordinates": f"{_REPOSITORY}/354bb5493acc1163d6888456f9df0ecdc5c6ced4/data/label_coordinates",
    },
)
