"""Linear recurrent networks, and the modes they fall into.

Index convention (Eq. 1; theory section 1): ``h_{t+1} = W h_t + B x_t``, ``y_t = A h_t``, ``h_0 = 0``. The input x_t
acts on h_{t+1}.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..validation import check_array, check_units
from .bases import Bases

if TYPE_CHECKING:
    from ..typing import ArrayLike, ComplexArray, FloatArray, NonlinearityName
    from .running import Response


class Modes(NamedTuple):
    """Recurrent, readout and input entries (w, a, b), in this order, of one or many modes: numbers or arrays.

    Notes
    -----
    Signs. Turning the hidden unit vector of a mode turns its a, b and feedback r into -a, -b and -r and changes nothing
    else: w, a b, r a and r b are facts, the signs of a, b and r alone a convention. (Turning the vector of an output or
    input channel turns a, r and a*, or b and b*, in student and teacher together.) One convention holds everywhere: a
    network made by :func:`aligned_teacher` or :func:`aligned_student` keeps the bases it was made in, so that whoever
    takes it apart finds the entries it was made from, in sign and order, and r as a number or array is meant beside
    them. Of a network given by its matrices, every column of the bases U, P and V has its entry of largest modulus
    positive: a diagonal network has the signs of its diagonals. Estimated modes of trained networks
    (:func:`estimate_modes`, :func:`train`) give b the sign of the teacher's b* at the last epoch.
    """

    recurrent: Any
    readout: Any
    input: Any


@dataclasses.dataclass(frozen=True, eq=False)
class LinearRNN:
    """A linear recurrent network: ``h_{t+1} = W h_t + B x_t``, ``y_t = A h_t`` (Eq. 1).

    Parameters
    ----------
    readout : array (n_out, n_hidden)
        A.
    recurrent : array (n_hidden, n_hidden)
        W. Any spectral radius: an unstable network is a network.
    input : array (n_hidden, n_in)
        B.

    Raises
    ------
    TypeError, ValueError
        If an entry is not a finite real number or the shapes do not fit together.

    Notes
    -----
    The arrays are float64 copies, read-only. By position the order is A, W, B, that of y = A h, while :class:`Modes`
    begins with w. Matrices in another order are refused where their shapes tell; three square ones cannot be told
    apart, so name them.

    Examples
    --------
    >>> LinearRNN(readout=[[1.0, 0.0]], recurrent=[[0.9, 0.0], [0.0, 0.5]], input=[[1.0], [1.0]])
    LinearRNN(n_in=1, n_hidden=2, n_out=1)
    """

    readout: FloatArray
    recurrent: FloatArray
    input: FloatArray

    if TYPE_CHECKING:
        # The constructor takes anything that makes an array; the fields are arrays.
        def __init__(self, readout: ArrayLike, recurrent: ArrayLike, input: ArrayLike) -> None: ...

    def __post_init__(self) -> None:
        check_units(readout=self.readout, recurrent=self.recurrent, input=self.input)
        recurrent = check_array("recurrent", self.recurrent, (None, None), dims=("n_hidden", "n_hidden"))
        n = len(recurrent)
        if recurrent.shape != (n, n) and n:
            raise ValueError(
                "recurrent must be square, of shape (n_hidden, n_hidden), and by position the order is readout, "
                f"recurrent, input; got shape {recurrent.shape}"
            )
        checked = {
            "recurrent": recurrent,
            "readout": check_array("readout", self.readout, (None, n), dims=("n_out", "n_hidden")),
            "input": check_array("input", self.input, (n, None), dims=("n_hidden", "n_in")),
        }
        for name, array in checked.items():
            array = array.copy()
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "_bases", None)

    @property
    def bases(self) -> Bases | None:
        """The bases in which the network was made, if from modes; no part of its value."""
        return self._bases  # type: ignore[attr-defined]

    @property
    def n_hidden(self) -> int:
        """Number of hidden units."""
        return self.recurrent.shape[0]

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return self.readout.shape[0]

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return self.input.shape[1]

    @property
    def spectral_radius(self) -> float:
        """Largest modulus of an eigenvalue of W; at 1 and above states may grow without bound."""
        return float(np.abs(np.linalg.eigvals(self.recurrent)).max())

    def eigenvalues(self) -> ComplexArray:
        """Eigenvalues of W by decreasing modulus, complex (n_hidden,)."""
        values = np.linalg.eigvals(self.recurrent).astype(complex)
        return values[np.argsort(-np.abs(values), kind="stable")]

    def run(
        self, inputs: ArrayLike, *, initial: ArrayLike | None = None, nonlinearity: NonlinearityName = "identity",
        leak: float = 1.0,
    ) -> Response:  # fmt: skip
        """Hidden states and outputs on given inputs: :func:`fastmodes.simulate` of this network."""
        from .running import simulate

        return simulate(self, inputs, initial=initial, nonlinearity=nonlinearity, leak=leak)

    def leaky(self, leak: float) -> LinearRNN:
        """The plain network that runs as this one with leaky units: W_e = (1 - alpha) I + alpha W, B_e = alpha B.

        Raises
        ------
        TypeError, ValueError
            If leak is not in (0, 1].
        """
        from .leaky import check_leak, effective

        return effective(self, check_leak(leak))

    def impulse_response(self, steps: int) -> FloatArray:
        """``A W^k B`` for k = 0 .. steps-1, (steps, n_out, n_in): see :func:`fastmodes.impulse_response`."""
        from .running import impulse_response

        return impulse_response(self, steps)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LinearRNN):
            return NotImplemented
        return all(np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in dataclasses.fields(LinearRNN))

    def __hash__(self) -> int:
        return hash((self.readout.tobytes(), self.recurrent.tobytes(), self.input.tobytes(), self.n_hidden))

    def __reduce__(self) -> tuple[Any, ...]:
        # Copies and pickles are made by the constructor: checked, and read-only as well.
        return LinearRNN, (self.readout, self.recurrent, self.input), {"_bases": self.bases}

    def __repr__(self) -> str:
        return f"LinearRNN(n_in={self.n_in}, n_hidden={self.n_hidden}, n_out={self.n_out})"


def check_network(name: str, value: object) -> LinearRNN:
    """Return ``value`` if it is a LinearRNN.

    Raises
    ------
    TypeError
        If it is not.
    """
    if not isinstance(value, LinearRNN):
        raise TypeError(f"{name} must be a fastmodes.LinearRNN; got {type(value).__name__}")
    return value


def check_pair(student: LinearRNN, teacher: LinearRNN) -> None:
    """Check that student and teacher read the same inputs and write the same outputs.

    Raises
    ------
    TypeError, ValueError
        If one is no LinearRNN, or n_in or n_out differ.
    """
    check_network("student", student)
    check_network("teacher", teacher)
    for size in ("n_in", "n_out"):
        if getattr(student, size) != getattr(teacher, size):
            raise ValueError(
                f"student must have the teacher's {size}={getattr(teacher, size)}; got {size}={getattr(student, size)}"
            )
