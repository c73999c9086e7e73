"""Commands on pools: check one, create the certificates for other machines, print a SLURM job script."""

# No postponed annotations: typer makes the options from the evaluated types.

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from napari_menndl.cli.arguments import AsJson
from napari_menndl.cli.terminal import echo, out, report_errors

if TYPE_CHECKING:
    from napari_menndl.pool.report import PoolReport

#: At most this many machines are listed.
_SHOWN = 20

pool = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Try a pool, see the job that SLURM would get, make certificates for machines beyond this one.",
)


@pool.command()
def check(
    spec: Annotated[
        str,
        typer.Argument(
            help="local, serial, tcp://127.0.0.1:PORT, tls://HOST:PORT, scheduler-file:PATH, ssh:HOSTS, "
            "slurm:PROFILE.yaml or POOL.yaml."
        ),
    ] = "local",
    patience: Annotated[float | None, typer.Option(help="How long the first worker is waited for [s].", min=1)] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a pool has to offer: workers, slots, GPUs, memory, versions against ours, and how fast it answers."""
    from napari_menndl.pool.check import probe_pool

    with report_errors():
        found = probe_pool(spec, patience)
        if as_json:
            print(json.dumps(found.to_json()))
        else:
            out.print(connection_view(found))


@pool.command()
def certificates(
    folder: Annotated[
        Path | None, typer.Argument(help="Where to write them [default: a folder of yours, which tls:// then uses].")
    ] = None,
    days: Annotated[float, typer.Option(help="How long they are good for.", min=0.01, max=3650)] = 30,
) -> None:
    """Make an authority and certificates for a scheduler, its workers and their clients; earlier ones are replaced."""
    from napari_menndl.pool.clusters.certificates import certificates_folder, write_certificates

    with report_errors():
        place = certificates_folder(str(folder) if folder else "")
        write_certificates(place, days)
        tls = "--tls-ca-file {0}/ca.pem --tls-cert {0}/{1}.pem --tls-key {0}/{1}.key"
        echo(f"Wrote certificates that are good for {days:g} days to {place}. Whoever has a key can use the pool.")
        echo("Start the scheduler with (its own address for ADDRESS):")
        echo(f"  dask scheduler --host ADDRESS --dashboard-address 127.0.0.1:0 {tls.format(place, 'scheduler')}")
        echo("and on each machine, with ca.pem, worker.pem and worker.key there and as many threads as slots:")
        dashboard = "--dashboard-address 127.0.0.1:0"
        echo(f"  dask worker tls://ADDRESS:8786 --nworkers 1 --nthreads 4 {dashboard} {tls.format('DIR', 'worker')}")
        echo(f"Then try it: napari-menndl pool check 'tls://ADDRESS:8786?certificates={place}'")


@pool.command()
def script(profile: Annotated[Path, typer.Argument(help="SLURM profile (YAML).")]) -> None:
    """Print the job that would be submitted for a SLURM profile; nothing is submitted."""
    from napari_menndl.pool.spec import read_pool

    with report_errors():
        echo(read_pool(f"slurm:{profile}").cluster().job_script())  # type: ignore[attr-defined]


def connection_view(found: "PoolReport") -> Group:
    """Return the view of a pool's report: its machines and their totals, versions, speed and notes."""
    machines = Table(box=box.SIMPLE, pad_edge=False)
    for name in ("machine", "slots", "GPUs", "memory"):
        machines.add_column(name, justify="left" if name == "machine" else "right", no_wrap=True)
    for one in found.machines[:_SHOWN]:
        machines.add_row(one.host, str(one.slots), str(one.gpus), f"{one.memory / 2**30:.0f} GiB")
    if found.workers > 1:
        sums = (f"{found.workers} workers", str(found.slots), str(found.gpus), f"{found.memory / 2**30:.0f} GiB")
        machines.add_row(*sums, style="bold")
    same = "as here" if found.matches else "other than here"
    versions = ", ".join(f"{name} {version}" for name, version in found.there.items())
    lines = [Text(f"{versions}: {same}", style="" if found.matches else "red")]
    if found.seconds:
        speed = f"{found.bytes_per_second / 1e6:.0f} MB/s to a worker's disk"
        lines.append(Text(f"answers in {1000 * found.seconds:.1f} ms; {speed}"))
    lines += [Text(note, style="yellow") for note in found.notes]
    return Group(machines, *lines)
