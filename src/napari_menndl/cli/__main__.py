import sys

from napari_menndl.cli import app

sys.exit(app())
