"""What a sweep's folder holds: a quick look (status) and a full check of every block (verify)."""

from typing import NamedTuple

import numpy as np

from ...parallel import run_blocks
from ...progress import progress_bar
from ...validation import check_integer
from . import blocks
from .folder import Store


class Status(NamedTuple):
    """What is there, by the names of the files alone."""

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


def status(out) -> Status:
    """What a sweep's folder holds, without reading the blocks.

    Raises
    ------
    OSError
        If there is no sweep, or it cannot be read.
    """
    store = Store(out)
    plan = store.plan()
    files = {index: paths for index, paths in store.files().items() if index < plan.blocks}
    points = sum(stop - start for start, stop in map(plan.block, files))
    size = sum(path.stat().st_size for paths in files.values() for path in paths)
    missing = tuple(index for index in range(plan.blocks) if index not in files)
    return Status(plan.title, plan.job.name, plan.sha256, plan.blocks, len(files), plan.points, points, size, missing)


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


def verify(out, *, recompute=0, progress=True) -> Report:
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
    files = {index: paths for index, paths in store.files().items() if index < plan.blocks}
    chosen = set(
        np.array(sorted(files))[np.linspace(0, len(files) - 1, min(recompute, len(files))).astype(int)].tolist()
    )
    sizes = {index: stop - start for index in files for start, stop in [plan.block(index)]}
    with progress_bar(sum(sizes.values()), "points", progress) as bar:
        found = run_blocks(
            lambda index: _check_block(store, plan, index, files[index], index in chosen),
            files,
            on_done=lambda index: bar.update(sizes[index]),
        )
    damaged = {index: reason for index, (reason, _) in zip(files, found, strict=True) if reason}
    versions = tuple(sorted({version for _, version in found if version}))
    missing = tuple(index for index in range(plan.blocks) if index not in files)
    return Report(plan.blocks, len(files), len(chosen), damaged, missing, versions)


def _check_block(store, plan, index, paths, recompute):
    """Why a block's files are wrong ("" if they are not), and the versions that computed it."""
    version = ""
    for path in paths:
        try:
            decoded = blocks.check(plan, index, store.read(index, [path]))
        except (OSError, ValueError) as error:
            return f"{path.name}: {getattr(error, 'strerror', None) or error}", ""
        version = decoded.attributes["versions"]
        if recompute:
            fresh = blocks.compute(plan, index)
            for name in plan.record:
                if decoded.variables[name].values.tobytes() != fresh[name].values.tobytes():
                    return f"{path.name}: {name} differs from what is computed now", version
    return "", version
