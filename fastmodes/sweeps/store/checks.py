"""What a sweep's folder holds: a quick look (status) and a full check of every block (verify)."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...parallel import run_blocks
from ...progress import progress_bar
from ...validation import check_integer
from . import blocks
from .folder import Store
from .judging import check_file

if TYPE_CHECKING:
    from ...files.paths import PathLike
    from ..plan.plan import Plan


class Status(NamedTuple):
    """What is there, by the beginnings of the files alone."""

    title: str
    job: str
    plan_sha256: str
    blocks: int
    blocks_done: int
    points: int
    points_done: int
    bytes: int
    missing: tuple[int, ...]

    @property
    def complete(self) -> bool:
        """True if every block is there."""
        return not self.missing


def status(out: PathLike) -> Status:
    """What a sweep's folder holds: the check of ``verify``, but for the blocks' checksums.

    Raises
    ------
    OSError
        If there is no sweep, or it cannot be read.
    """
    store = Store(out)
    plan = store.plan()
    seen = blocks.Seen()
    found = {index: _first_right(plan, index, paths, seen) for index, paths in _files(store, plan).items()}
    size = {index: path.stat().st_size for index, path in found.items() if path}
    points = sum(stop - start for start, stop in map(plan.block, size))
    missing = tuple(index for index in range(plan.blocks) if index not in size)
    return Status(
        plan.title, plan.job.name, plan.sha256, plan.blocks, len(size), plan.points, points, sum(size.values()), missing
    )


def _files(store: Store, plan: Plan) -> dict[int, list[Path]]:
    return {index: paths for index, paths in store.files().items() if index < plan.blocks}


def _first_right(plan: Plan, index: int, paths: list[Path], seen: blocks.Seen) -> Path | None:
    """The first file of a block that begins as it should."""
    for path in paths:
        with contextlib.suppress(OSError):
            check_file(plan, index, path, whole=False, seen=seen)
            return path
    return None


class Report(NamedTuple):
    """What a full check found: blocks whose files are wrong, and why; blocks missing; the versions that computed."""

    blocks: int
    checked: int
    recomputed: int
    damaged: dict[int, str]
    missing: tuple[int, ...]
    versions: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """True if nothing that is there is wrong."""
        return not self.damaged

    @property
    def complete(self) -> bool:
        """True if every block is there and right."""
        return not self.damaged and not self.missing


def verify(out: PathLike, *, recompute: int = 0, progress: bool = True) -> Report:
    """Check every block: its checksum, the plan it belongs to, its place, its variables and their shapes.

    Parameters
    ----------
    out : path-like
        Folder of the sweep.
    recompute : int
        Compute so many blocks again, spread over the grid, and compare every bit.
    progress : bool
        Show progress on stderr.

    Raises
    ------
    OSError
        If there is no sweep, or its plan is damaged.
    """
    recompute = check_integer("recompute", recompute, 0)
    store = Store(out)
    plan = store.plan()
    files = _files(store, plan)
    chosen = set(
        np.array(sorted(files))[np.linspace(0, len(files) - 1, min(recompute, len(files))).astype(int)].tolist()
    )
    sizes = {index: stop - start for index in files for start, stop in [plan.block(index)]}
    with progress_bar(sum(sizes.values()), "points", progress) as bar:
        found = run_blocks(
            lambda index: _check_block(plan, index, files[index], index in chosen),
            files,
            on_done=lambda index: bar.update(sizes[index]),
        )
    damaged = {index: reason for index, (reason, _) in zip(files, found, strict=True) if reason}
    versions = tuple(sorted({version for _, version in found if version}))
    missing = tuple(index for index in range(plan.blocks) if index not in files)
    return Report(plan.blocks, len(files), len(chosen), damaged, missing, versions)


def _check_block(plan: Plan, index: int, paths: list[Path], recompute: bool) -> tuple[str, str]:
    """Why a block's files are wrong ("" if they are not), and the versions that computed it."""
    version = ""
    for path in paths:
        try:
            decoded = check_file(plan, index, path)
        except OSError as error:
            return f"{path.name}: {error.strerror or error}", ""
        assert decoded is not None
        version = decoded.attributes["versions"]
        if recompute:
            fresh = blocks.compute(plan, index)
            for name in plan.record:
                if decoded.variables[name].values.tobytes() != fresh[name].values.tobytes():
                    return f"{path.name}: {name} differs from what is computed now", version
    return "", version
