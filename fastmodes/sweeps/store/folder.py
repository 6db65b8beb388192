"""The folder of a sweep. A block is there if and only if its file is there, complete.

    DIR/plan.json                     the plan with its own SHA-256
    DIR/blocks/0012/012345.<sha>.nc   block 12345; the name holds the SHA-256 of the content
    DIR/blocks/set-aside/             what stood in a block's place and is none of this sweep's
    DIR/manifest.json                 derived list of blocks, written when a run ends

A block and its checksum come into being by one rename, so nothing can fall between them, and any number of processes
may work in the same folder: they share the blocks where the file system knows locks, and whoever computes a block
twice writes the same name.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import re
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ...files.disk import Damaged, digest, explained, read_bytes, remove_stray, sync_folder, write_bytes
from ...files.paths import local_path
from ..plan.config import PlanError
from ..plan.differences import differences
from ..plan.plan import Plan

if TYPE_CHECKING:
    from ...files.paths import PathLike

#: Bytes a folder takes on most file systems.
_FOLDER_BYTES = 4096
_BLOCK = re.compile(r"(\d{6,7})\.([0-9a-f]{64})\.nc")
_FOLDER = re.compile(r"\d{4}")
_STRAY = re.compile(r"\..*\.part")

logger = logging.getLogger("fastmodes")


class Store:
    """The folder of one sweep; nothing is written outside it.

    Parameters
    ----------
    folder : path-like
        A local path.

    Raises
    ------
    TypeError, ValueError
        If it is not one, or its ``blocks`` folder is a symbolic link.
    """

    def __init__(self, folder: PathLike) -> None:
        self.folder = local_path("out", folder).absolute()
        self.blocks = self.folder / "blocks"
        if self.blocks.is_symlink() or (self.folder / "plan.json").is_symlink():
            raise ValueError(f"out must hold its own files; {str(self.folder)!r} holds a symbolic link")

    def plan(self) -> Plan:
        """The plan kept in the folder.

        Raises
        ------
        FileNotFoundError
            If there is no sweep here.
        OSError
            If the plan is damaged.
        """
        path = self.folder / "plan.json"
        try:
            content = read_bytes(path)
        except FileNotFoundError:
            raise FileNotFoundError(errno.ENOENT, "out holds no sweep here (no plan.json)", str(self.folder)) from None
        except NotADirectoryError:
            raise NotADirectoryError(errno.ENOTDIR, "out must be a folder", str(self.folder)) from None
        try:
            kept = json.loads(content)
            plan = Plan(kept["plan"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Damaged(path, f"damaged plan: {error}") from error
        if content != _plan_file(plan):
            raise Damaged(path, "damaged plan: its checksum does not match, or it is another version's")
        return plan

    def prepare(self, plan: Plan) -> None:
        """Make the folder for ``plan``, or check that it holds the same plan; remove stray temporary files.

        Raises
        ------
        PlanError
            If another plan is kept here; what differs and both hashes are shown.
        OSError
            If the folder cannot be made or written.
        """
        _make(self.folder, parents=True)
        if not (self.folder / "plan.json").exists():
            self._claim(plan)
        kept = self.plan()
        if kept.sha256 != plan.sha256:
            raise PlanError(
                f"out holds a sweep of another plan, which differs in {differences(kept, plan)}; choose another folder "
                f"than {str(self.folder)!r} (plan {kept.sha256} there, {plan.sha256} asked for)"
            )
        _make(self.blocks)
        sync_folder(self.folder)
        self.remove_strays()

    def _claim(self, plan: Plan) -> None:
        """Put the plan into a new folder; of several processes doing so at once, one wins."""
        draft = self.folder / f".plan.{os.getpid()}.{plan.sha256}.part"
        others = [name for name in os.listdir(self.folder) if not _STRAY.fullmatch(name)]
        if set(others) - {"plan.json", "blocks", "manifest.json", "figure.png"}:
            raise PlanError(f"out must be a new folder or a sweep; {str(self.folder)!r} holds {sorted(others)[0]!r}")
        path = self.folder / "plan.json"
        try:
            write_bytes(draft, _plan_file(plan))
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error
        try:
            # A draft that is gone was taken for a stray one by a process that had put its plan there before.
            with contextlib.suppress(FileExistsError, FileNotFoundError):
                _link_or_replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)

    def remove_strays(self) -> int:
        """Remove temporary files whose writer is gone; return how many."""
        folders = [self.folder, *self._block_folders()]
        return sum(
            remove_stray(folder / name) for folder in folders for name in os.listdir(folder) if _STRAY.fullmatch(name)
        )

    def _block_folders(self) -> list[Path]:
        try:
            entries = sorted(os.scandir(self.blocks), key=lambda entry: entry.name)
        except FileNotFoundError:
            return []
        entries = [entry for entry in entries if _FOLDER.fullmatch(entry.name)]
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                raise NotADirectoryError(
                    errno.ENOTDIR, "out must hold its own folders of blocks, not files nor symbolic links", entry.path
                )
        return [Path(entry.path) for entry in entries]

    def files(self, indices: Iterable[int] | None = None) -> dict[int, list[Path]]:
        """Block index -> sorted list of its files (one, unless different versions computed it).

        With ``indices``, only the folders of these blocks are looked into.
        """
        found: dict[int, list[Path]] = {}
        for folder in self._block_folders() if indices is None else {self._folder_of(index) for index in indices}:
            with contextlib.suppress(FileNotFoundError):
                _collect(folder, found)
        return found

    def files_of(self, index: int) -> list[Path]:
        """Files of one block."""
        return self.files([index]).get(index, [])

    def _folder_of(self, index: int) -> Path:
        return self.blocks / f"{index // 1000:04d}"

    def commit(self, index: int, content: bytes | memoryview) -> Path:
        """Write block ``index``; return its path."""
        path = self.make_folder_of(index) / f"{index:06d}.{digest(content)}.nc"
        write_bytes(path, content)
        for other in self.files_of(index):
            if other != path and not intact(other):
                other.unlink(missing_ok=True)
        return path

    def make_folder_of(self, index: int) -> Path:
        """The folder of a block, made if missing."""
        folder = self._folder_of(index)
        if not folder.is_dir():
            _make(folder)
            sync_folder(self.blocks)
        if folder.is_symlink():
            raise OSError(errno.ELOOP, "out must hold its own files, not symbolic links", str(folder))
        return folder

    def claim_of(self, index: int) -> Path:
        """The file that whoever computes a block keeps locked; it looks like any temporary one."""
        return self._folder_of(index) / f".{index:06d}.claim.part"

    def set_aside(self, path: Path, reason: str | None) -> None:
        """Move what stands in a block's place out of the way, and say so."""
        folder = self.blocks / "set-aside"
        _make(folder)
        kept = folder / f"{path.name}.{secrets.token_hex(4)}"
        with contextlib.suppress(FileNotFoundError):
            os.rename(path, kept)
            logger.warning("%s is no block of this sweep (%s): set aside as %s", path, reason, kept)

    def write_manifest(self, plan: Plan) -> Path:
        """Write the derived list of blocks with their SHA-256, unless it is there already; return its path."""
        listed = [
            {"block": index, "file": paths[0].name, "sha256": sha256_in_name(paths[0]),
             "bytes": paths[0].lstat().st_size, "points": list(plan.block(index))}
            for index, paths in sorted(self.files().items()) if index < plan.blocks
        ]  # fmt: skip
        manifest = {"plan_sha256": plan.sha256, "blocks": listed, "complete": len(listed) == plan.blocks}
        path, content = self.folder / "manifest.json", json.dumps(manifest, indent=1).encode()
        with contextlib.suppress(OSError):
            if read_bytes(path) == content:
                return path
        write_bytes(path, content)
        return path


def _make(folder: Path, parents: bool = False) -> None:
    """Make a folder, or leave it."""
    try:
        folder.mkdir(parents=parents, exist_ok=True)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise explained(error, folder, _FOLDER_BYTES) from error


def _link_or_replace(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except (FileExistsError, FileNotFoundError):
        raise
    except OSError:
        # No hard links on this file system: the later of two starts would win, and the check that follows tells.
        os.replace(draft, path)


def _collect(folder: Path, found: dict[int, list[Path]]) -> None:
    for name in sorted(os.listdir(folder)):
        match = _BLOCK.fullmatch(name)
        if match and folder.name == f"{int(match[1]) // 1000:04d}":
            found.setdefault(int(match[1]), []).append(folder / name)


def sha256_in_name(path: Path) -> str:
    """The SHA-256 that a block's name promises."""
    match = _BLOCK.fullmatch(path.name)
    assert match is not None, path
    return match[2]


def intact(path: Path) -> bool:
    """True if the content of a block's file matches its name; False if it does not or cannot be read."""
    try:
        return digest(read_bytes(path)) == sha256_in_name(path)
    except OSError:
        return False


def _plan_file(plan: Plan) -> bytes:
    kept = {"plan_sha256": plan.sha256, "plan": json.loads(plan.canonical)}
    return json.dumps(kept, indent=1).encode()
