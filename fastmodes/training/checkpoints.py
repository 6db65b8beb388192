"""Checkpoints of long trainings: a file from which :func:`fastmodes.resume` goes on, whatever ends the process."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..files.netcdf import check_writable, write_netcdf
from ..interrupts import PATIENCE
from .parameters import TRAIN

if TYPE_CHECKING:
    from ..files.paths import PathLike
    from .results import Results


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """Where a training keeps what it goes on from.

    Attributes
    ----------
    path : pathlib.Path
        A netCDF file, complete or absent, replaced as a whole.
    every : float
        Seconds between two.
    stays : bool
        Whether it is left as it is at the end, for a caller who still has the result to write.
    """

    path: Path
    every: float
    stays: bool = False

    @contextlib.contextmanager
    def following(self, results: Results) -> Iterator[None]:
        """Inside, write the file again and again; afterwards remove it, or write it a last time if interrupted."""
        over = threading.Event()

        def follow() -> None:
            while not over.wait(self.every):
                self.write(results)

        writer = threading.Thread(target=follow, daemon=True, name="fastmodes checkpoint")
        writer.start()
        try:
            yield
        except KeyboardInterrupt:
            over.set()
            writer.join(PATIENCE)
            if not self.stays and not writer.is_alive():
                self.write(results)
            raise
        finally:
            over.set()
        writer.join()
        if not self.stays:
            self.remove()

    def write(self, results: Results) -> None:
        """Write what is known by now; a disk that is full is no reason to give up a training."""
        try:
            if (dataset := results.checkpoint()) is not None:
                write_netcdf(dataset, self.path)
        except (OSError, MemoryError) as error:
            warnings.warn(f"no checkpoint could be written: {error}", RuntimeWarning, stacklevel=1)

    def remove(self) -> None:
        """Remove the file, if there is one."""
        self.path.unlink(missing_ok=True)


def check_checkpoint(checkpoint: PathLike | Checkpoint | None, every: float, *, old: bool = False) -> Checkpoint | None:
    """Where to write checkpoints, None for nowhere.

    Raises
    ------
    TypeError, ValueError, OSError
        If no file can be written there, there is one (unless it may be ``old``), or ``every`` is no positive number.
    """
    every = TRAIN["checkpoint_every"].check("checkpoint_every", every)
    if checkpoint is None:
        return None
    chosen = checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint(Path(), every)
    path = check_writable("checkpoint", chosen.path if isinstance(checkpoint, Checkpoint) else checkpoint)
    if path.exists() and not old:
        raise ValueError(
            f"checkpoint must be a new file; {str(path)!r} is there, perhaps of a training that did not end: go on "
            "with it (fastmodes.resume, or fastmodes resume), or remove it"
        )
    return dataclasses.replace(chosen, path=path)
