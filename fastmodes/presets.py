"""Named experiments: all numbers in one place."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from .networks.made import aligned_teacher
from .networks.network import LinearRNN, Modes
from .rules import LearningRule, bptt, eprop, rflo, tbptt
from .training.parameters import TRAIN
from .validation import check_choice

if TYPE_CHECKING:
    import xarray as xr

    from .typing import PropagatorName

#: Eigenvalues of the paper's four-mode teacher (App. I.1).
FOUR_MODES = (0.9, 0.7, 0.5, 0.3)


def four_mode_teacher() -> LinearRNN:
    """The paper's four-mode teacher: A* = B* = I, W* = diag(0.9, 0.7, 0.5, 0.3)."""
    return aligned_teacher(Modes(FOUR_MODES, 1.0, 1.0))


@dataclasses.dataclass(frozen=True)
class Demo:
    """The demonstration: four rules, four modes, eight seeds, exact expected updates.

    The teacher's eigenvalues are the paper's; every other number is ours, chosen so that all four rules converge.
    """

    seeds: int = 8
    epochs: int = 6000

    def parameters(self) -> dict[str, Any]:
        """Arguments of :func:`fastmodes.train`."""
        return {
            "rules": (bptt(), tbptt(1), rflo(0.5), eprop()),
            "teacher": four_mode_teacher(),
            "hidden": 4,
            "seeds": range(self.seeds),
            "epochs": self.epochs,
            "learning_rate": 0.005,
            "steps": 50,
            "updates": "expected",
            "stop_loss": 1e-10,
        }


#: Eigenvalues of the paper's ten-mode teacher (App. I.2): 0.92 times 0.9, 0.8, 0.7, 0.6.
TEN_MODES = (0.828,) * 2 + (0.736,) * 2 + (0.644,) * 3 + (0.552,) * 3


def ten_mode_teacher(n_out: int = 1) -> LinearRNN:
    """A teacher with the paper's ten eigenvalues, read out by ``n_out`` channels that share the modes out evenly.

    Channel o reads the modes o, o + n_out, .. with weight 1/sqrt(10); B* = I.
    """
    n = len(TEN_MODES)
    channel = np.arange(n) % n_out == np.arange(n_out)[:, np.newaxis]
    return LinearRNN(channel / np.sqrt(n), np.diag(TEN_MODES), np.eye(n))


@dataclasses.dataclass(frozen=True)
class Preset:
    """A named experiment: a frozen value that :meth:`run` turns into a dataset.

    Attributes
    ----------
    name, title : str
    rules : tuple of LearningRule
    teacher : LinearRNN
    settings : tuple of (str, value)
        Further arguments of :func:`fastmodes.train`.
    from_paper, ours : tuple of str
        Which numbers are the paper's, and which are our choice because the paper's are lost.
    """

    name: str
    title: str
    rules: tuple[LearningRule, ...]
    teacher: LinearRNN
    settings: tuple[tuple[str, Any], ...]
    from_paper: tuple[str, ...]
    ours: tuple[str, ...]

    def __post_init__(self) -> None:
        for name, _ in self.settings:
            check_choice("settings", name, tuple(TRAIN))

    def parameters(self, **changes: Any) -> dict[str, Any]:
        """Arguments of :func:`fastmodes.train`, some of them replaced."""
        return {"rules": self.rules, "teacher": self.teacher} | dict(self.settings) | changes

    def run(self, **changes: Any) -> xr.Dataset:
        """Train; ``changes`` replace arguments of :func:`fastmodes.train`.

        Returns
        -------
        xarray.Dataset
        """
        from .training.train import train

        return train(**self.parameters(**changes))

    def derive(
        self,
        name: str,
        title: str,
        *,
        rules: tuple[LearningRule, ...] | None = None,
        teacher: LinearRNN | None = None,
        ours: tuple[str, ...] = (),
        **changes: Any,
    ) -> Preset:
        """A preset that differs from this one in its rules, teacher or settings."""
        return dataclasses.replace(
            self,
            name=name,
            title=title,
            rules=self.rules if rules is None else rules,
            teacher=self.teacher if teacher is None else teacher,
            settings=tuple((dict(self.settings) | changes).items()),
            ours=(*self.ours, *ours),
        )


FOUR_RULES = (bptt(), tbptt(1), rflo(0.5), eprop())

#: Students that are not aligned, under four rules at once: figures 5, 8, 9 are its parts.
UNALIGNED = Preset(
    name="unaligned",
    title="Unaligned students of a four-mode teacher",
    rules=FOUR_RULES,
    teacher=four_mode_teacher(),
    settings=(
        ("hidden", 8), ("seeds", tuple(range(20))), ("epochs", 2000), ("learning_rate", 0.005), ("steps", 50),
        ("updates", "sampled"), ("batch_size", 32), ("optimizer", "sgd"), ("loss", "final"), ("init_scale", 0.1),
        ("feedback_scale", 1.0), ("record_every", 10), ("divergence_loss", 1e3),
    ),
    from_paper=(
        "teacher eigenvalues 0.9, 0.7, 0.5, 0.3, W* diagonal, A* and B* the identity",
        "plain SGD on sampled sequences, final-step loss, small Gaussian initial weights",
        "a student larger than its teacher",
    ),
    ours=(
        "8 hidden units, 20 seeds, 2000 epochs, rate 0.005 for every rule (BPTT is unstable above 0.0076 at w* = 0.9)",
        "50 steps, batches of 32, initial weights of standard deviation 0.1/sqrt(8)",
        "w_hat 0.5, R of standard deviation 1/sqrt(8)",
        "e-prop beside the paper's three rules",
    ),
)  # fmt: skip

FIG5 = UNALIGNED.derive("fig5", "RFLO, unaligned (Fig. 5)", rules=(rflo(0.5),))
FIG8 = UNALIGNED.derive("fig8", "BPTT, unaligned (Fig. 8)", rules=(bptt(),))
FIG9 = UNALIGNED.derive("fig9", "tBPTT, unaligned (Fig. 9)", rules=(tbptt(1),))

#: Rank of the learned change (Fig. 6) and performance (Fig. 10).
FIG6 = Preset(
    name="fig6",
    title="Rank of what four rules learn from a ten-mode teacher",
    rules=FOUR_RULES,
    teacher=ten_mode_teacher(),
    settings=(
        ("hidden", 20), ("seeds", tuple(range(20))), ("epochs", 3000), ("learning_rate", 1e-3), ("steps", 20),
        ("updates", "sampled"), ("batch_size", 16), ("optimizer", "adam"), ("clip_norm", 1.0), ("loss", "sequence"),
        ("init_scale", 0.5), ("feedback_scale", 1.0), ("record_every", 100), ("divergence_loss", 100.0),
        ("keep_weights", True),
    ),
    from_paper=(
        "teacher eigenvalues 0.828 x2, 0.736 x2, 0.644 x3, 0.552 x3, one output",
        "loss at every time step, Adam, gradient clipping, one learning rate for all rules",
        "20 runs of each rule, runs above a loss threshold counted as diverged",
    ),
    ours=(
        "20 hidden units, A* a row of 1/sqrt(10), B* the identity",
        "20 steps, batches of 16, 3000 epochs, rate 0.001, clipping at norm 1, divergence above loss 100",
        "initial weights of standard deviation 0.5/sqrt(20), R of 1/sqrt(20), w_hat 0.5",
    ),
)  # fmt: skip

FIG10 = FIG6.derive("fig10", "Performance against rank (Fig. 10)")

#: The same networks pushed harder, where random feedback loses runs.
CONVERGENCE = FIG6.derive(
    "convergence",
    "Convergence at a high learning rate",
    rules=(bptt(), tbptt(1), rflo(0.9, name="RFLO"), eprop()),
    ours=("for convergence: rate 0.015, w_hat 0.9, 1500 epochs",),
    learning_rate=0.015,
    epochs=1500,
    keep_weights=False,
)


def family(decay: float = 0.5) -> tuple[LearningRule, ...]:
    """Both feedbacks times the four propagators, and tBPTT(1): what in a rule limits the rank?

    The fixed diagonal is spread evenly over 0 .. 2 ``decay``, so that its mean is RFLO's w_hat.
    """
    diagonal = tuple(np.linspace(0.0, 2 * decay, dict(FIG6.settings)["hidden"]).tolist())
    named = {
        ("readout", "recurrent"): "BPTT",
        ("random", "scalar"): "RFLO",
        ("random", "recurrent_diagonal"): "e-prop",
    }
    words: dict[PropagatorName, str] = {
        "scalar": "w_hat I",
        "diagonal": "fixed diagonal",
        "recurrent_diagonal": "diag(W)",
        "recurrent": "W",
    }
    rules = [tbptt(1)]
    for feedback in ("readout", "random"):
        for propagator, word in words.items():
            name = named.get((feedback, propagator), f"{'A' if feedback == 'readout' else 'R'}, {word}")
            value: Any = {"scalar": decay, "diagonal": diagonal}.get(propagator)
            rules.append(LearningRule(name, feedback=feedback, propagator=propagator, decay=value))
    return tuple(rules)


#: Every combination of feedback and propagator, by expected updates.
FAMILY = FIG6.derive(
    "family",
    "Rank under every combination of feedback and propagator",
    rules=family(),
    ours=("for the family: expected updates; rules beyond the paper's four",),
    updates="expected",
    batch_size=None,
)

#: Two outputs and plain SGD: the setting of Proposition 3.1, and what Adam makes of it.
PROPOSITION = FIG6.derive(
    "proposition",
    "Proposition 3.1: RFLO's changes have at most rank n_out",
    rules=(rflo(0.5),),
    teacher=ten_mode_teacher(n_out=2),
    ours=("for the proposition: two outputs, expected updates, SGD at rate 0.05, 2000 epochs",),
    updates="expected",
    batch_size=None,
    optimizer="sgd",
    learning_rate=0.05,
    clip_norm=None,
    epochs=2000,
)

#: All presets by name.
PRESETS = {
    preset.name: preset
    for preset in (UNALIGNED, FIG5, FIG8, FIG9, FIG6, FIG10, CONVERGENCE, FAMILY, PROPOSITION)
}  # fmt: skip


def variations(preset: Preset) -> dict[str, dict[str, Any]]:
    """One change at a time around a preset: how does its outcome depend on our choices?

    Returns
    -------
    dict of str to dict
        Label, and the arguments of :func:`fastmodes.train` to replace.
    """
    settings = dict(preset.settings)
    out: dict[str, dict[str, Any]] = {"as chosen": {}}
    for decay in (0.2, 0.9):
        rules = tuple(dataclasses.replace(r, decay=decay) if r.propagator == "scalar" else r for r in preset.rules)
        out[f"w_hat {decay:g}"] = {"rules": rules}
    for name, word, factors in (
        ("init_scale", "initial scale", (0.2, 1.8)),
        ("learning_rate", "rate", (0.4, 4.0, 10.0)),
        ("feedback_scale", "R scale", (0.5, 2.0)),
    ):
        for factor in factors:
            value = float(f"{settings[name] * factor:.3g}")
            out[f"{word} {value:g}"] = {name: value}
    return out
