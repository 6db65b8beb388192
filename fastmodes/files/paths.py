"""Local paths and folders, checked before anything is computed."""

import errno
import os
import sys
from pathlib import Path
from typing import TypeAlias

from ..validation import shown

#: What is taken for a path.
PathLike: TypeAlias = str | os.PathLike[str]
#: File systems allow 255 bytes.
_LONGEST_NAME = 255


def local_path(name: str, value: PathLike) -> Path:
    """Return ``value`` as a local Path.

    Raises
    ------
    TypeError
        If it is no path.
    ValueError
        If it looks like a URL (netCDF would open the network), or is empty.
    """
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{name} must be a local file path; got {shown(value)}")
    text = os.fspath(value)
    if isinstance(text, bytes):
        raise TypeError(f"{name} must be a local file path of text; got {shown(value)}")
    if (
        not text.strip()
        or "\0" in text
        or "://" in text
        or text.split(":")[0].lower() in ("http", "https", "dap2", "dap4")
    ):
        raise ValueError(f"{name} must be a local file path, not a URL and not empty; got {shown(text)}")
    return Path(text)


def check_writable(name: str, value: PathLike) -> Path:
    """Return ``value`` as a Path whose folder exists and can be written: to be called before computing.

    Raises
    ------
    ValueError
        If the path is a URL, a folder, a device, or too long.
    OSError
        If its folder does not exist or cannot be written.
    """
    path = local_path(name, value)
    try:
        length = len(os.fsencode(path.name))
    except UnicodeEncodeError:
        raise ValueError(
            f"{name} must be a file name that this locale's encoding, {sys.getfilesystemencoding()}, can express; "
            f"got {path.name!a}; set PYTHONUTF8=1"
        ) from None
    if length > _LONGEST_NAME:
        raise ValueError(f"{name} must be a file name of at most {_LONGEST_NAME} bytes; got {shown(path.name)}")
    # Renaming onto a device or a pipe would replace it by a file: as root even /dev/null.
    if path.is_dir() or (path.exists() and not path.is_file()):
        kind = "a folder" if path.is_dir() else "a device or pipe"
        raise ValueError(f"{name} must be the path of a file, new or old; got {str(path)!r}, {kind}")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"{name} must lie in an existing folder; there is none", str(folder))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"{name} must lie in a writable folder; this one is not", str(folder))
    return path


def make_folder(name: str, value: PathLike) -> Path:
    """Return ``value`` as the Path of a folder that exists and can be written; it is made if missing.

    Raises
    ------
    ValueError
        If the path is a URL.
    OSError
        If it is a file, or cannot be made or written.
    """
    folder = local_path(name, value)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, f"{name} must be a folder; this is a file", str(folder)) from None
    except OSError as error:
        raise OSError(error.errno, f"{name} cannot be made: {error.strerror}", str(folder)) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"{name} must be a writable folder; this one is not", str(folder))
    return folder
