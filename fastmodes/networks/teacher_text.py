"""Teachers in words: eigenvalues, a call such as ``rotating(0.9, [0.3, 1.2])``, or a file."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..files.network_files import ENDINGS, MATRICES, read_network
from ..validation import check_choice, shown
from .made import aligned_teacher
from .network import LinearRNN, Modes
from .teachers import delay_line_teacher, nonnormal_teacher, random_teacher, rotating_teacher

if TYPE_CHECKING:
    from ..typing import ArrayLike, BasisName


def _aligned(
    recurrent: ArrayLike, *, readout: ArrayLike = 1.0, input: ArrayLike = 1.0, n_out: int | None = None,
    n_in: int | None = None, basis: BasisName = "identity", seed: int | None = None,
) -> LinearRNN:  # fmt: skip
    return aligned_teacher(Modes(recurrent, readout, input), n_out=n_out, n_in=n_in, basis=basis, seed=seed)


#: Word: the function that makes such a teacher, whose parameters the words in brackets are.
KINDS: dict[str, Callable[..., LinearRNN]] = {
    "aligned": _aligned,
    "rotating": rotating_teacher,
    "nonnormal": nonnormal_teacher,
    "delay_line": delay_line_teacher,
    "random": random_teacher,
}

_CALL = re.compile(r"([A-Za-z][\w-]*)\s*\((.*)\)", re.DOTALL)
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_NUMBERS = re.compile(rf"\s*{_NUMBER}\s*(?:,\s*{_NUMBER}\s*)*")


@dataclasses.dataclass(frozen=True)
class Teacher:
    """A teacher and the words for it.

    Attributes
    ----------
    text : str
        Label of the teacher; where ``made`` is true, what it is made from.
    network : LinearRNN
    made : bool
        Whether the text alone gives the network; otherwise its matrices are kept.
    """

    text: str
    network: LinearRNN
    made: bool

    def __str__(self) -> str:
        return self.text

    def table(self) -> Any:
        """The text, or a mapping of the matrices, in values that JSON has; :func:`teacher_from` takes both back."""
        if self.made:
            return self.text
        return {"name": self.text} | {name: getattr(self.network, name).tolist() for name in MATRICES}


def parse_teacher(text: str) -> LinearRNN:
    """A teacher from text: eigenvalues "0.9,0.5", a call, or the path of a file.

    Parameters
    ----------
    text : str
        Numbers separated by commas are the eigenvalues of an aligned teacher with A* = B* = I. The calls are
        ``aligned(recurrent, readout=, input=, n_out=, n_in=, basis=, seed=)``, ``rotating(modulus, angle, readout=,
        input=)``, ``nonnormal(eigenvalues, departure, seed=)``, ``delay_line(delay, gain=)`` and ``random(hidden,
        n_out=, n_in=, radius=, seed=)``, as the functions of these names take them (:func:`aligned_teacher`, ...);
        several numbers stand in square brackets, [0.9, 0.5]. What ends in .nc or .npz is a file for
        :func:`read_network`.

    Returns
    -------
    LinearRNN

    Raises
    ------
    TypeError, ValueError
        If it is none of these, with the nearest name, or a parameter is out of range.
    OSError
        If a file cannot be read.

    Examples
    --------
    >>> import fastmodes as fm
    >>> fm.parse_teacher("rotating(0.9, [0.3, 1.2])") == fm.rotating_teacher(0.9, [0.3, 1.2])
    True
    """
    return teacher_from_text(text).network


def teacher_from(value: Any) -> Teacher:
    """A teacher from a network, a text, or a table: ``{"kind": "rotating", "modulus": ...}``, or the three matrices.

    Raises
    ------
    TypeError, ValueError
        If it is none of these, or a parameter is out of range.
    OSError
        If a file cannot be read.
    """
    if isinstance(value, Teacher):
        return value
    if isinstance(value, LinearRNN):
        return _given(value)
    if isinstance(value, Mapping):
        return _from_table(dict(value))
    return teacher_from_text(value)


def teacher_from_text(text: Any) -> Teacher:
    """As :func:`parse_teacher`, with the words in the form in which they are kept."""
    stripped = text.strip() if isinstance(text, str) else ""
    if stripped.lower().endswith(ENDINGS):
        return Teacher(stripped, read_network(stripped), made=False)
    if is_numbers(stripped):
        return _made("aligned", {"recurrent": _numbers(stripped)})
    match = _CALL.fullmatch(stripped)
    if match is None:
        raise ValueError(
            "teacher must be eigenvalues separated by commas, one of "
            f"{', '.join(f'{kind}(...)' for kind in KINDS)}, or a file that ends in .nc or .npz; got {shown(text)}"
        )
    kind = _kind(match[1])
    return _made(kind, _arguments(kind, match[2]))


def is_numbers(text: str) -> bool:
    """Whether a text is numbers separated by commas."""
    return _NUMBERS.fullmatch(text) is not None


def _kind(name: Any) -> str:
    if isinstance(name, str):
        name = name.lower().replace("-", "_").removesuffix("_teacher")
    return check_choice("teacher", name, tuple(KINDS))


def _arguments(kind: str, text: str) -> dict[str, Any]:
    """The words between the brackets of a call by the names of the function's parameters."""
    parameters = inspect.signature(KINDS[kind]).parameters
    positional = [name for name, parameter in parameters.items() if parameter.kind != parameter.KEYWORD_ONLY]
    found: dict[str, Any] = {}
    parts = re.split(r",(?![^\[]*\])", text) if text.strip() else []
    for place, part in enumerate(parts):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            if place >= len(positional):
                raise ValueError(
                    f"teacher {kind} takes {', '.join(positional)} without a name, all else as NAME=VALUE, several "
                    f"numbers as [0.9, 0.5]; got {shown(part.strip())}"
                )
            name, value = positional[place], name
        check_choice(f"parameter of teacher {kind}", name, tuple(parameters))
        if name in found:
            raise ValueError(f"teacher {kind} must be given {name!r} once; got it twice in {shown(text)}")
        found[name] = _value(kind, name, value)
    return found


def _value(kind: str, name: str, text: str) -> Any:
    """A number, numbers in square brackets, or a word."""
    if text.startswith("[") and text.endswith("]") and _NUMBERS.fullmatch(text[1:-1]):
        return _numbers(text[1:-1])
    if re.fullmatch(r"[-+]?\d+", text):
        return int(text)
    if re.fullmatch(_NUMBER, text):
        return float(text)
    if not re.fullmatch(r"[A-Za-z_]+", text):
        raise ValueError(f"{name} of teacher {kind} must be a number, [NUMBERS] or a word; got {shown(text)}")
    return text


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def _made(kind: str, arguments: Mapping[str, Any]) -> Teacher:
    """A teacher of a kind, with a text that names every argument, in the function's order."""
    function = KINDS[kind]
    try:
        bound = inspect.signature(function).bind(**arguments).arguments
        network = function(**arguments)
    except (TypeError, ValueError) as error:
        raise ValueError(f"teacher {kind}: {error}") from None
    return Teacher(
        f"{kind}({', '.join(f'{name}={_word(value)}' for name, value in bound.items())})", network, made=True
    )


def _word(value: Any) -> str:
    plain = np.asarray(value).tolist()
    return plain if isinstance(plain, str) else repr(plain)


def _from_table(table: dict[str, Any]) -> Teacher:
    if "kind" in table:
        kind = _kind(table.pop("kind"))
        for name in table:
            check_choice(f"parameter of teacher {kind}", name, tuple(inspect.signature(KINDS[kind]).parameters))
        return _made(kind, table)
    name = table.pop("name", None)
    if set(table) != set(MATRICES):
        raise ValueError(
            "teacher must be a table with a kind, or with readout, recurrent and input (and a name); "
            f"got the keys {', '.join(map(str, table)) or 'none'}"
        )
    return _given(LinearRNN(**{key: np.array(table[key], dtype=float) for key in MATRICES}), name)


def _given(network: LinearRNN, name: Any = None) -> Teacher:
    """A network by its matrices, called after them where it has no name."""
    if name is None:
        matrices = (network.readout, network.recurrent, network.input)
        content = b"".join(repr(matrix.shape).encode() + matrix.tobytes() for matrix in matrices)
        name = f"network {hashlib.sha256(content).hexdigest()[:8]}"
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"name of a teacher must be a text; got {shown(name)}")
    return Teacher(name, network, made=False)
