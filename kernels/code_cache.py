"""Compiled code on disk: in a folder that nobody else can write to, in files that carry their own checksum.

Loading compiled code is running it. So the folder and every file in it must belong to the user (or to root), be no
link, and be writable by nobody else; otherwise nothing is read from there, and kernels compile in memory. Every file
ends in the SHA-256 of what comes before, checked before a byte of it is interpreted: a file that was cut, damaged or
emptied is compiled anew. Where code cannot be written (a full disk, a read-only folder), what is there is still read.

``FASTMODES_CACHE_DIR`` chooses another place than the user's cache folder.
"""

import contextlib
import functools
import hashlib
import io
import os
import stat
import sys
import tempfile
from pathlib import Path

import llvmlite.binding
import numba
import platformdirs
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile

_SEAL = hashlib.sha256().digest_size
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH

#: Called with a sentence, once, when it turns out that compiled code cannot be written.
listeners: list = []
_failures: list = []


class Untrusted(OSError):
    """A folder or file of compiled code that others could have written."""


def source_digest():
    """SHA-256, cut, of all kernel sources in every subfolder: compiled code depends on other files than its own."""
    digest, here = hashlib.sha256(), Path(__file__).parent
    for source in sorted(here.rglob("*.py")):
        digest.update(source.relative_to(here).as_posix().encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:16]


@functools.cache
def _folder_name():
    return f"numba-{numba.__version__}-{llvmlite.binding.get_host_cpu_name()}-{source_digest()}"


def _user():
    """Number of the user, None on systems without."""
    return os.geteuid() if hasattr(os, "geteuid") else None


def _check(path, found, kind):
    """Check what ``os.stat`` found: of the right kind, the user's own or root's, writable by nobody else.

    In a folder with the sticky bit, others cannot replace what is ours.
    """
    if not kind(found.st_mode):
        raise Untrusted(f"{path} is not a plain {'folder' if kind is stat.S_ISDIR else 'file'}")
    if _user() is None:
        return
    if found.st_uid not in (_user(), 0):
        raise Untrusted(f"{path} belongs to user {found.st_uid}, not to you (user {_user()})")
    if found.st_mode & _OTHERS_WRITE and not (stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX):
        raise Untrusted(f"others can write to {path}; chmod go-w makes it safe")


def _private(path):
    """Make a folder that is nobody else's business if it is missing; take from others what they need not have."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    _check(path, found, stat.S_ISDIR)
    if found.st_uid == _user() and stat.S_IMODE(found.st_mode) & 0o077:
        with contextlib.suppress(OSError):
            path.chmod(stat.S_IMODE(found.st_mode) & 0o700)


def _open_folder(base):
    """The folder of compiled code below ``base``, made if missing.

    ``base`` may be a link that the user has made.
    """
    base.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        base.mkdir(mode=0o700)
    if base.is_symlink() and base.lstat().st_uid not in (_user(), 0):
        raise Untrusted(f"{base} is a link of user {base.lstat().st_uid}")
    _check(base, base.stat(), stat.S_ISDIR)
    folder = base / _folder_name()
    _private(folder)
    return folder


def _bases():
    """Where to look for a place, in order; without a home, a private folder among the temporary ones."""
    given = os.environ.get("FASTMODES_CACHE_DIR")
    if given:
        yield Path(given).absolute()
        return
    # A user without a home and without an entry in the password file has no cache folder.
    with contextlib.suppress(RuntimeError, KeyError):
        usual = platformdirs.user_cache_path("fastmodes")
        if usual.is_absolute():
            # Made by earlier versions with whatever the umask left.
            with contextlib.suppress(OSError):
                if not usual.is_symlink() and usual.stat().st_uid == _user():
                    usual.chmod(stat.S_IMODE(usual.stat().st_mode) & ~_OTHERS_WRITE)
            yield usual
    with contextlib.suppress(OSError):
        yield Path(tempfile.gettempdir()) / f"fastmodes-{_user()}"


@functools.cache
def _place():
    """Folder or None, and why None."""
    why = "no folder for it was found"
    for base in _bases():
        try:
            return _open_folder(base), ""
        except Untrusted as error:
            # Where someone interferes, nothing is tried elsewhere.
            return None, str(error)
        except OSError as error:
            why = f"{base} cannot be used ({error.strerror})"
    return None, why


def cache_folder():
    """Folder of the compiled kernels, or None where there is none to be trusted.

    Returns
    -------
    pathlib.Path or None
        Private to the user, to the numba version, to the processor and to the exact kernel sources.
    """
    return _place()[0]


def cache_problem():
    """Why compiled code is not kept for next time, as far as is known; an empty text if it is."""
    folder, why = _place()
    effective = os.access in os.supports_effective_ids
    if folder is not None and not _failures and not os.access(folder, os.W_OK, effective_ids=effective):
        return f"{folder} is read-only"
    return why or "".join(_failures)


def sealed(path):
    """Whether ``path`` is a file of ours whose checksum is right; False where it is not there.

    Raises
    ------
    Untrusted
        If others could have written it.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        handle = os.open(path, flags)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise Untrusted(f"{path} cannot be opened as a plain file ({error.strerror})") from None
    with open(handle, "rb") as file:
        _check(path, os.fstat(handle), stat.S_ISREG)
        content = file.read()
    return len(content) > _SEAL and hashlib.sha256(content[:-_SEAL]).digest() == content[-_SEAL:]


class _SealedFiles(IndexDataCacheFile):
    """Index and data files that end in their SHA-256, which numba's own readers do not reach."""

    def _load_index(self):
        return super()._load_index() if sealed(self._index_path) else {}

    def _load_data(self, name):
        return super()._load_data(name) if sealed(self._data_path(name)) else None

    def save(self, key, data):
        # The name follows from the key: two processes that save different code never share a file.
        name = f"{self._index_name.removesuffix('.nbi')}.{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}.nbc"
        self._save_data(name, data)
        self._save_index(self._load_index() | {key: name})

    @contextlib.contextmanager
    def _open_for_write(self, filepath):
        content = io.BytesIO()
        yield content
        handle, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=self._cache_path)
        try:
            with open(handle, "wb") as file:
                file.write(content.getvalue() + hashlib.sha256(content.getvalue()).digest())
            os.replace(temporary, filepath)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


class _Locator:
    """What numba asks of a place: nothing but the source file, for warnings."""

    def __init__(self, source):
        self._py_file = source

    def ensure_cache_path(self):
        """The folder is there."""


class _Contents(CompileResultCacheImpl):
    """How a compiled function is written down; its name on disk says module, function, line and Python version."""

    def __init__(self, function):
        code = function.__code__
        self._lineno, self._locator = code.co_firstlineno, _Locator(code.co_filename)


class SealedCache(FunctionCache):
    """Numba's cache of one function, with files in which only the user's own compiler can have written."""

    def __init__(self, function, folder):
        self._name, self._py_func, self._impl = repr(function), function, _Contents(function)
        self._cache_path = str(folder)
        name = f"{function.__module__}.{function.__qualname__}".replace("<", "").replace(">", "")
        python = f"py{sys.version_info[0]}{sys.version_info[1]}"
        self._cache_file = _SealedFiles(self._cache_path, f"{name}-{self._impl._lineno}.{python}", folder.name)
        self.enable()

    def load_overload(self, sig, target_context):
        """The compiled function for these types, or None where it is to be compiled."""
        try:
            return super().load_overload(sig, target_context)
        except Untrusted as error:
            self.disable()
            _report(str(error))
        except (OSError, ValueError, EOFError, AttributeError, ImportError, IndexError, KeyError, TypeError):
            # Sealed by us, yet not what this version of numba reads.
            pass
        return None

    def save_overload(self, sig, data):
        """Write a compiled function down, where that can be done."""
        if _failures:
            return
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _report(str(error) if isinstance(error, Untrusted) else f"{self._cache_path}: {error.strerror}")


def _report(why):
    if why not in _failures:
        _failures.append(why)
        for listener in listeners:
            listener(why)


def keep_compiled(dispatcher, function):
    """Let a compiled function be kept on disk, where there is a place to be trusted."""
    folder = cache_folder()
    if folder is not None and hasattr(dispatcher, "_cache"):
        dispatcher._cache = SealedCache(function, folder)
    return dispatcher
