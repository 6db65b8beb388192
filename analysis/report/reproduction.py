"""Every experiment, every figure and the table of claims, in one folder; what is there is not computed again."""

from __future__ import annotations

import dataclasses
import io
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fastmodes.files.disk import write_bytes
from fastmodes.files.netcdf import make_folder, read_netcdf, write_netcdf

from .claims import claims
from .experiments import EXPERIMENTS, FULL, QUICK
from .gallery import PICTURES
from .html import html_report
from .verdicts import QUICK_CAVEAT

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    import xarray as xr

    from fastmodes.typing import PathLike

    from .experiments import Datasets, Experiment, Size
    from .verdicts import Claim


_HASH = "experiment_hash"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What was made: the report's path, the judged claims, and the datasets by name."""

    report: Path
    claims: list[Claim]
    datasets: dict[str, xr.Dataset]


def reproduce(out: PathLike, *, quick: bool = False, progress: bool = True) -> Outcome:
    """Run everything, or what is missing, and write datasets, figures, the table of claims and a report.

    Each dataset is written complete or not at all, with a hash of its settings and of the code that computes it, and is
    used again where the hash is the same: an interrupted run goes on where it was.

    Parameters
    ----------
    out : path-like
        A folder, made if missing: datasets/NAME.nc, figures/NAME.png, claims.json, report.html.
    quick : bool
        A small version of everything, to see that it works; its verdicts mean nothing.
    progress : bool
        Report on stderr.

    Returns
    -------
    Outcome

    Raises
    ------
    ValueError, OSError
        If the folder cannot be made or written.
    """
    folder = make_folder("out", out)
    data_folder, figure_folder = make_folder("out", folder / "datasets"), make_folder("out", folder / "figures")
    size, began = (QUICK if quick else FULL), time.perf_counter()
    say = _say if progress else (lambda message: None)
    datasets: dict[str, xr.Dataset] = {}
    for place, experiment in enumerate(EXPERIMENTS, 1):
        say(f"[{place}/{len(EXPERIMENTS)}] {experiment.title}")
        datasets[experiment.name] = _dataset(experiment, size, datasets, data_folder, progress, say)
    say("Judging the claims")
    rows = claims(datasets)
    caveat = {"caveat": QUICK_CAVEAT} if quick else {}
    table = [row.as_dict() | caveat for row in rows]
    _write_text(folder / "claims.json", json.dumps(table, indent=1, default=_plain))
    say("Drawing the figures")
    pictures = []
    for picture in PICTURES:
        path = figure_folder / f"{picture.name}.png"
        drawn = io.BytesIO()
        picture.draw(datasets).savefig(drawn, dpi=110, format="png")
        write_bytes(path, drawn.getbuffer())
        pictures.append((picture, path))
    report = _write_text(folder / "report.html", html_report(rows, pictures, datasets, quick=quick))
    say(f"Done in {time.perf_counter() - began:.0f} s.")
    return Outcome(report, rows, datasets)


def _dataset(
    experiment: Experiment, size: Size, datasets: Datasets, folder: Path, progress: bool, say: Callable[[str], None]
) -> xr.Dataset:
    """The experiment's dataset: from its file where that is still right, computed and written otherwise."""
    path, wanted = folder / f"{experiment.name}.nc", experiment.fingerprint(size)
    if path.is_file():
        try:
            stored = read_netcdf(path)
            if stored.attrs.get(_HASH) == wanted:
                say("      already there")
                return stored
        except OSError:
            say("      the file there is damaged; computing it again")
    start = time.perf_counter()
    computed = experiment.compute(size, datasets, progress)
    computed.attrs[_HASH] = wanted
    write_netcdf(computed, path)
    say(f"      {time.perf_counter() - start:.1f} s")
    # What is judged and drawn is what the file holds.
    return read_netcdf(path)


def _write_text(path: Path, text: str) -> Path:
    write_bytes(path, text.encode())
    return path


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else np.asarray(value).tolist()
