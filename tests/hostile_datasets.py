"""Datasets as a figure may meet them, made of plain arrays: nothing is trained, so that they are there at once.

Every maker takes a :class:`Case`: how many seeds and epochs, which rules, and which runs diverged, and when.
"""

import dataclasses

import numpy as np
import xarray as xr
from fastmodes.analysis.trained.learned_rank import MATRICES, MEASURES

import fastmodes as fm
from fastmodes.files.schema import annotate, flag_attributes

UNITS, MODES = 5, 4
FOUR = (fm.bptt(), fm.tbptt(1), fm.rflo(0.5), fm.eprop())


def renamed(rule, name):
    return dataclasses.replace(rule, name=name)


def twenty_rules():
    """Every kind of rule, several of a kind where there is a parameter."""
    spread = tuple(np.linspace(0.1, 0.9, UNITS))
    make = fm.LearningRule
    rules = [fm.bptt(), *(fm.tbptt(k) for k in (1, 2, 3, 5, 10, 50)), fm.eprop()]
    rules += [renamed(fm.rflo(d), f"RFLO({d:g})") for d in (0.1, 0.3, 0.5, 0.8, 0.95)]
    rules += [
        make("A, w_hat I", propagator="scalar", decay=0.5),
        make("A, diag(W)", propagator="recurrent_diagonal"),
        make("A, fixed diagonal", propagator="diagonal", decay=spread),
        make("R, W", feedback="random"),
        make("R, fixed diagonal", feedback="random", propagator="diagonal", decay=spread),
        make("truncated RFLO", feedback="random", propagator="scalar", decay=0.5, horizon=3),
        make("R, W, 3 steps", feedback="random", horizon=3),
    ]
    return tuple(rules)


#: Names that are no words: formulas, none or half of one, hidden labels, lines, letters that the font lacks.
ODD_NAMES = (
    r"$\frac{1$",
    "costs $5",
    r"\$already\$ escaped",
    r"$\nosuchthing{x}$",
    "_hidden",
    "two\nlines\tand a tab",
    "学習則 \x07 🙂 ∂L/∂W",
    "a & b < c > d % # {x} ^2",
)
LONG_NAMES = tuple(
    f"a rule whose name goes on {'and on ' * 12}until number {i} and then some" for i in range(len(FOUR))
)


@dataclasses.dataclass(frozen=True)
class Case:
    """What is hostile."""

    rules: tuple = FOUR
    seeds: int = 8
    epochs: tuple = tuple(range(0, 201, 10))
    #: Share of the runs of every rule that diverge; a rule without an entry takes the last one.
    lost: tuple = (0.0,)
    #: Loss that a run has just before it diverges.
    explosion: float = 1e5

    @property
    def names(self):
        return [rule.name for rule in self.rules]

    def status(self):
        """(rule, seed): 2 where a run diverges; the first seeds do."""
        shares = np.resize(self.lost, len(self.rules)) if len(self.lost) > 1 else np.full(len(self.rules), self.lost[0])
        return np.where(np.arange(self.seeds) < np.round(shares * self.seeds)[:, np.newaxis], 2, 0).astype(np.int8)

    def alive(self):
        """(rule, seed, epoch): whether a run still has values; one that diverges has some before."""
        last = np.arange(self.seeds) % max(len(self.epochs) - 1, 1)
        gone = np.arange(len(self.epochs)) > last[:, np.newaxis]
        return ~((self.status() == 2)[..., np.newaxis] & gone)


CASES = {
    "ordinary": Case(),
    "some diverged": Case(lost=(0.0, 0.25, 0.6, 1.0)),
    "all diverged": Case(lost=(1.0,), explosion=1e253),
    "one seed": Case(seeds=1),
    "one seed, diverged": Case(seeds=1, lost=(0.0, 1.0)),
    "one epoch": Case(epochs=(0,)),
    "one epoch, all diverged": Case(epochs=(0,), lost=(1.0,)),
    "twenty rules": Case(rules=twenty_rules(), lost=(0.0, 0.5, 0.0, 1.0)),
    "30,000 epochs": Case(epochs=tuple(range(0, 30_001, 300)), lost=(0.25,)),
    "long names": Case(rules=tuple(map(renamed, FOUR, LONG_NAMES)), lost=(0.5, 0.0)),
    "two odd names": Case(rules=tuple(map(renamed, FOUR, ODD_NAMES[:2])), epochs=(0, 10, 20), lost=(0.5,)),
    "odd names": Case(rules=tuple(map(renamed, FOUR * 2, ODD_NAMES)), lost=(0.5, 1.0)),
}


def configuration(case):
    return {
        "command": "train", "rules": [dataclasses.asdict(rule) for rule in case.rules], "steps": 50, "optimizer": "sgd",
        "clip_norm": None, "learning_rate": 0.005,
    }  # fmt: skip


def named(dataset, case, title="What $\\frac hostile_title"):
    return annotate(dataset, title=title, configuration=configuration(case))


def curves(case, sizes=(), low=0.1, high=1.0):
    """Values (rule, seed, epoch, *sizes) between two numbers, missing after a run has diverged."""
    rng = np.random.default_rng(0)
    shape = (len(case.rules), case.seeds, len(case.epochs), *sizes)
    values = low + (high - low) * rng.random(shape)
    alive = case.alive().reshape(shape[:3] + (1,) * len(sizes))
    return np.where(alive, values, np.nan)


def losses(case):
    """Falling for runs that stay; for those that diverge growing up to the explosion."""
    place = np.linspace(0, 1, len(case.epochs))
    values = curves(case, low=0.8, high=1.2) * 10 ** (-4.0 * place)
    growth = np.geomspace(1.0, case.explosion, len(case.epochs)) if len(case.epochs) > 1 else 1.0
    return np.where((case.status() == 2)[..., np.newaxis], curves(case) * growth, values)


def training(case):
    """As :func:`fastmodes.train` and :func:`fastmodes.analysis.rank` leave it, without weights."""
    along = ("rule", "seed", "epoch")
    data = {"status": (("rule", "seed"), case.status(), flag_attributes(("running", "converged", "diverged")))}
    data |= {name: (along, losses(case)) for name in ("loss", "validation_loss")}
    data |= {f"alignment_{kind}": (along, curves(case)) for kind in ("recurrent", "readout", "input", "feedback")}
    for name in ("recurrent", "readout", "input", "feedback"):
        data[f"mode_{name}"] = ((*along, "mode"), curves(case, (MODES,), -0.2, 0.9))
    for name in ("change_singular_value", "change_eigenvalue_real", "change_eigenvalue_imag"):
        data[name] = ((*along, "unit"), -np.sort(-curves(case, (UNITS,)), axis=-1))
    for name in (*MEASURES, "outside_factors"):
        data[name] = ((*along, "matrix"), curves(case, (2,), 1.0, 3.0))
    coords = {
        "rule": case.names, "seed": np.arange(case.seeds), "epoch": list(case.epochs), "matrix": list(MATRICES),
        "mode": np.arange(MODES), "teacher_recurrent": ("mode", [0.9, 0.7, 0.5, 0.3]),
        "teacher_readout": ("mode", np.ones(MODES)), "teacher_input": ("mode", np.ones(MODES)),
    }  # fmt: skip
    return named(xr.Dataset(data, coords=coords | {"output": [0, 1], "unit": np.arange(UNITS)}), case)


def errors(case):
    """As :func:`fastmodes.analysis.theory_error`: a run that diverged has no error at all."""
    data = training(case)
    kept = data["status"] != 2
    found = xr.Dataset(
        {name: (data["mode_recurrent"] + 0.3).where(kept) for name in ("theory_error", "standstill_error")}
    )
    return named(found.isel(epoch=slice(None, max(len(case.epochs) - 1, 1))), case)


def variations(case):
    """As the experiments that change one choice at a time."""
    last = training(case).isel(epoch=-1, drop=True)
    starts = xr.DataArray([0.0, 1.5, 3.0], dims="start", coords={"start": [0.0, 1.5, 3.0]})
    last["theory_error"] = (last["mode_recurrent"] + 0.3).broadcast_like(starts)
    labels = ["as chosen", r"rate $\eta$", "R scale 2"]
    return xr.concat([last] * 3, xr.IndexVariable("variation", labels), data_vars="all").assign_attrs(last.attrs)


def optimizers(case):
    data = training(dataclasses.replace(case, rules=case.rules[:1]))
    return xr.concat([data] * 3, xr.IndexVariable("optimizer", ["SGD", "SGD, clipped", "Adam"]), data_vars="all")


def limits(case):
    w = np.array([0.5, 0.9])
    rates = np.geomspace(0.01, 1, 2 * len(case.rules)).reshape(-1, 2)
    return named(
        xr.Dataset(
            {
                "predicted_rate": (("rule", "teacher_eigenvalue"), rates),
                "measured_rate": (("rule", "teacher_eigenvalue"), rates * 1.01),
                "network_predicted_rate": (("rule", "teacher_eigenvalue"), rates),
                "network_measured_rate": (("rule", "teacher_eigenvalue"), np.full_like(rates, np.nan)),
            },
            coords={"rule": case.names, "teacher_eigenvalue": w},
        ),
        case,
    )


def network_flow(case):
    """As :func:`fastmodes.matrix_flow`: runs that leave the domain have no values after."""
    data = training(case)
    names = ["loss", *(name for name in data if str(name).startswith("alignment_"))]
    flow = data[names].rename(epoch="time").assign_coords(time=np.asarray(case.epochs, float))
    status = np.where(case.status() == 2, 2, 0).astype(np.int8)
    flow["status"] = (("rule", "seed"), status, flag_attributes(("reached_end", "converged", "left_domain")))
    return named(flow, case)


def mode_flow(case):
    """As :func:`fastmodes.flow` from one start."""
    values = {name: (("rule", "time"), curves(case, low=-1.0)[:, 0]) for name in "wab"}
    values["loss"] = (("rule", "time"), losses(case)[:, 0])
    return named(xr.Dataset(values, coords={"rule": case.names, "time": np.arange(1.0, len(case.epochs) + 1)}), case)


def manifold(case):
    """As :func:`fastmodes.analysis.stability` along the manifold."""
    s = np.array([-2.0, -1.0, -0.5, 0.5, 1.0, 2.0])
    shape = (len(case.rules), s.size, 2)
    values = np.random.default_rng(0).standard_normal(shape)
    dims = ("rule", "position", "eigenvalue")
    return named(
        xr.Dataset(
            {"stability_real": (dims, values), "stability_imag": (dims, values)},
            coords={"rule": case.names, "position": s},
        ),
        case,
    )


def sweeps(case):
    """As opened sweeps, by name: one axis, two, a zipped one, flags, everything missing."""
    data = training(case)[["loss", "status"]].isel(epoch=[0, -1])
    status = data["status"].attrs
    rates = xr.IndexVariable("learning_rate", [1e-3, 1e-2, 1e-1])
    one = xr.concat([data] * 3, rates, data_vars="all")
    one["status"].attrs = status
    zipped = xr.concat([one] * 2, "start", data_vars="all")
    zipped = zipped.assign_coords(init_scale=("start", [0.1, 0.5]), word=("start", ["$a", "b_"]))
    zipped["status"].attrs = status
    flow = xr.concat([zipped] * 9, xr.IndexVariable("odd $name_", [f"value $ {i}" for i in range(9)]), data_vars="all")
    flow = flow.isel(seed=0, drop=True).rename(epoch="time")
    flow["status"] = (
        (flow["status"] * 0 + 1)
        .astype(np.int8)
        .assign_attrs(flag_attributes(("reached_end", "optimal", "non_optimal", "left_domain", "step_limit")))
    )
    missing = one[["loss"]].isel(epoch=-1, drop=True) * np.nan
    missing = missing.rename(loss="gradient_cosine")
    found = {"one axis": one, "zipped": zipped, "flags": flow, "missing": missing}
    return {name: named(sweep, case) for name, sweep in found.items()}
