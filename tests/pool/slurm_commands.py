"""Stand-ins for SLURM's commands: a job runs at once, in the background, on this machine."""

import sys
from pathlib import Path

COMMANDS = {
    "sbatch": """
copy = jobs / f"{len(list(jobs.glob('*.sh'))) + 1}.sh"
copy.write_text(Path(sys.argv[-1]).read_text())
output = copy.with_suffix(".out").open("wb")
streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
job = subprocess.Popen(["bash", str(copy)], **streams, start_new_session=True)
copy.with_suffix(".pid").write_text(str(job.pid))
print("Submitted batch job", copy.stem)
""",
    "scancel": """
for job in sys.argv[1:]:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(int((jobs / f"{job}.pid").read_text()), signal.SIGTERM)
""",
    "squeue": """
for file in jobs.glob("*.pid"):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(int(file.read_text()), 0)
        print(file.stem)
""",
}


def write_commands(folder, jobs):
    """Write the commands into a folder; scripts, outputs and process numbers of jobs go into another."""
    folder.mkdir()
    jobs.mkdir()
    head = f"#!{sys.executable}\nimport contextlib, os, signal, subprocess, sys\nfrom pathlib import Path\n"
    for name, body in COMMANDS.items():
        path = Path(folder) / name
        path.write_text(f"{head}jobs = Path({str(jobs)!r})\n{body}")
        path.chmod(0o700)
