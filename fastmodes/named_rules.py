"""The rules that have names, with who published them, who else implements them, and what to mind there."""

import dataclasses
from typing import Literal

from .learning_rule import LEAK, LearningRule
from .validation import check_number

#: RFLO's decay where none is given, the paper's w_hat.
_DEFAULT_DECAY = 0.5


def bptt(*, name: str = "BPTT") -> LearningRule:
    """Backpropagation through time, the exact gradient (Eqs. 3, 32-34): F = A, P = W, full horizon.

    Rumelhart, Hinton and Williams 1986; Werbos 1990. Every library that differentiates has it. To compare numbers, mind
    the loss: here half a square, summed over outputs and averaged over sequences, where PyTorch's ``MSELoss`` averages
    over outputs, too, and leaves the half out. Forward in time it is real-time recurrent learning (Williams and Zipser
    1989): the same numbers (``fm.sampled_update(..., form="online")``).
    """
    return LearningRule(name)


def tbptt(horizon: int = 1, *, name: str | None = None) -> LearningRule:
    """Truncated backpropagation through time (Eqs. 4, 35-38): F = A, P = W, ``horizon`` steps back.

    Williams and Peng 1990. Two things go by this name: here credit reaches back ``horizon`` steps from every error;
    detaching the state after every k-th step, as deep learning libraries are used, lets it reach back one to k steps,
    according to where in its piece an error lies.

    Parameters
    ----------
    horizon : int
        At least 1.
    name : str, optional
        Label of the rule in results; default: "tBPTT(3)", after its horizon.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.
    """
    return LearningRule(f"tBPTT({horizon})" if name is None else name, horizon=horizon)


def rflo(decay: float | Literal["leak"] = _DEFAULT_DECAY, *, name: str | None = None) -> LearningRule:
    """Random feedback local online learning (Murray 2019; Eqs. 5, 10, 43-50): F = R, P = ``decay`` times I.

    Among public codes github.com/omarschall/vanilla-rtrl has it. There the decay is not free: a network of leak alpha
    filters its trace by 1 - alpha, and what enters the trace is scaled by alpha, too; and the error comes back
    through R only if R is given (``W_FB``), else through the readout.

    Parameters
    ----------
    decay : float or "leak"
        w_hat of Eq. 10; "leak": Murray's own, 1 - alpha of the student's leak, wherever a leak is given.
    name : str, optional
        Label of the rule in results; default: "RFLO", or "RFLO(0.9)" after a decay other than 0.5.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.
    """
    if name is None and isinstance(decay, str) and decay == LEAK:
        name = "RFLO(leak)"
    if name is None:
        decay = check_number("decay", decay)
        name = "RFLO" if decay == _DEFAULT_DECAY else f"RFLO({repr(decay).removesuffix('.0')})"
    return LearningRule(name, feedback="random", propagator="scalar", decay=decay)


def eprop(horizon: int | None = None, *, name: str | None = None) -> LearningRule:
    """e-prop for rate networks (Bellec et al. 2020; Eqs. 51-52): F = R, P = diag(W).

    The authors' code (github.com/IGITUGraz/eligibility_propagation) trains spiking networks: its eligibility traces
    carry what a unit remembers by itself, leak and adaptation. What a unit of this package remembers by itself is its
    weight to itself, diag(W), as in the paper that the package follows. Symmetric e-prop, which feeds back through A,
    is :func:`snap1`.

    Parameters
    ----------
    horizon : int, optional
        How many steps back credit reaches; default: to the first step.
    name : str, optional
        Label of the rule in results; default: "e-prop", or "e-prop(3)" after a finite horizon.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.
    """
    rule = LearningRule("e-prop", feedback="random", propagator="recurrent_diagonal", horizon=horizon)
    if name is None and rule.horizon is not None:
        name = f"e-prop({rule.horizon})"
    return rule if name is None else dataclasses.replace(rule, name=name)


def snap1(horizon: int | None = None, *, name: str | None = None) -> LearningRule:
    """SnAp-1 (Menick et al. 2021): F = A, P = diag(W).

    Real-time recurrent learning whose influence matrix keeps the entries that a weight reaches within one step: of
    each weight into unit i the influence on unit i alone, carried on by W_ii. With F = R it is :func:`eprop`. In gated,
    leaky or nonlinear networks the Jacobian's diagonal stands where W_ii stands here.

    Parameters
    ----------
    horizon : int, optional
        How many steps back credit reaches; default: to the first step.
    name : str, optional
        Label of the rule in results; default: "SnAp-1", or "SnAp-1(3)" after a finite horizon.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.
    """
    rule = LearningRule("SnAp-1", propagator="recurrent_diagonal", horizon=horizon)
    if name is None and rule.horizon is not None:
        name = f"SnAp-1({rule.horizon})"
    return rule if name is None else dataclasses.replace(rule, name=name)


def dfa(*, name: str = "DFA") -> LearningRule:
    """Direct feedback alignment (Noekland 2016) of the hidden layer: F = R, horizon 1, no credit further back.

    Every unit gets its share of the error directly, and the weights into it learn from what they carried in that step:
    RFLO at a decay of 0, tBPTT(1) with feedback alignment (Lillicrap et al. 2016). Variants for recurrent networks
    that unroll them first and send the error to every step through a matrix of its own are another rule.

    Parameters
    ----------
    name : str
        Label of the rule in results.

    Raises
    ------
    TypeError
        For a name that is no text.
    """
    return LearningRule(name, feedback="random", horizon=1)
