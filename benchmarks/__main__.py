"""The benchmarks, one after the other: ``python -m benchmarks [path to pt_on_nc]``. Finished cells are skipped.

Those that need a screen (gui.py, viewer_kills.py), a GPU (gpu.py), SLURM (real_slurm.py) or a night (landscape.py) are
started by themselves.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
REAL = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent.parent / "shared" / "data" / "pt_on_nc"

for name, arguments in {
    "births": [],
    "faults": [],
    "islands": [],
    "dispatch": [],
    "thresholds": [],
    "inputs": [],
    "few_labels": [],
    "augmentation": [],
    "short_budgets": [],
    "images": [],
    "ws2": [],
    "heldout": [str(REAL)],
}.items():
    if name == "heldout" and not REAL.exists():
        print(f"Skipped heldout.py: no images at {REAL}; give their folder.")
        continue
    print(f"== {name}.py", flush=True)
    subprocess.run([sys.executable, str(HERE / f"{name}.py"), *arguments], check=True)
