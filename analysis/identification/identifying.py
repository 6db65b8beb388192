"""Which rule made this change (theory section 14)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from fastmodes.files.schema import annotate, flag_attributes
from fastmodes.networks.network import LinearRNN
from fastmodes.parallel import check_threads, run_blocks
from fastmodes.progress import progress_bar
from fastmodes.training.snapshots import WEIGHTS
from fastmodes.validation import check_array, check_choice, check_flag, check_integer, check_sequence, shown

from ..trained.checks import check_training
from .family import HORIZONS, Hypothesis, family
from .posterior import Judgement, judged, nothing_judged
from .seen import Sight
from .snapshots import Weights
from .tasks import Protocol, given_protocol, stored_protocol

if TYPE_CHECKING:
    from fastmodes.typing import ArrayLike, FloatArray, LossName

#: How an identification ended.
VERDICTS = ("none_of_the_family", "named", "undecided", "too_few_snapshots")
OBSERVED = ("weights", "flow_field")
#: Squares left per degree of freedom, in the middle interval, above which a rule explains nothing; noise leaves 1.
UNEXPLAINED = 10.0
#: Probability from which on a rule is named.
NAMED = 0.9
_FEWEST, _MOST = 4, 100_000


def identify(
    runs: xr.Dataset | Sequence[LinearRNN],
    teacher: LinearRNN | None = None,
    steps: float | None = None,
    *,
    epochs: ArrayLike | None = None,
    batch_size: float | None = None,
    loss: LossName | None = None,
    leak: float | None = None,
    rates: Any = None,
    target_noise: float | None = None,
    input_covariance: ArrayLike | None = None,
    observation_noise: float = 0.0,
    rules: Sequence[str] | None = None,
    horizons: Sequence[int] = HORIZONS,
    units: Sequence[int] | None = None,
    observed: str = "weights",
    threads: int | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Which rule of the family made the change between snapshots of a network's weights (theory section 14).

    Every rule predicts the mean change between two snapshots, linear in what is unknown: the learning rate, the
    feedback R (n_out, n_hidden) where it is random; a decay is searched for. What is left must look like the rule's own
    noise, whose covariance is exact: along directions that tell the likeliest rules apart, and
    random ones, the changes have a Gaussian density with a heavy tail for intervals in which the path is not well
    known, and log evidence = log density - (unknowns / 2) log(numbers seen).

    Parameters
    ----------
    runs : xarray.Dataset or sequence of LinearRNN
        From :func:`fastmodes.train` with ``keep_weights=True``, by plain gradient descent; or one network's snapshots
        in their order. Intervals should be short: the mean update may change by a part of itself from one to the next.
    teacher : LinearRNN, optional
        The task; as stored in the dataset by default, like the seven parameters after it. Snapshots alone need teacher,
        steps, epochs and batch_size.
    steps : int or math.inf, optional
    epochs : array (snapshot,), optional
        Whole numbers, rising: updates that each snapshot has behind it.
    batch_size : int or math.inf, optional
        Sequences of one update; infinity: expected updates, without noise.
    loss : {"final", "sequence"}, optional
    leak : float, optional
    rates : mapping, optional
        Learning rates of ``readout``, ``recurrent`` and ``input`` in units of the unknown one; 0: frozen.
    target_noise : float, optional
        Standard deviation of noise on every target.
    input_covariance : array (n_in, n_in), optional
    observation_noise : float
        Standard deviation of what is added to every weight of every snapshot, in effective weights; small beside the
        weights. That neighbouring changes share a snapshot is not used.
    rules : sequence of str, optional
        Names of the rules to tell apart; default: all, see Returns.
    horizons : sequence of int
        Of truncated BPTT.
    units : sequence of int, optional
        Hidden units that are recorded: changes of weights among them, from the input and to the output are used. The
        weights themselves are taken as known.
    observed : {"weights", "flow_field"}
        "flow_field": the change of W as far as it moves the states that the network visits, Delta W C^{1/2} with C the
        hidden units' covariance.
    threads : int, optional
        Default: all cores granted to the process.
    progress : bool

    Returns
    -------
    xarray.Dataset
        On (rule, seed) of the dataset, or none for snapshots, and ``hypothesis``: BPTT, tBPTT(k), RFLO (its decay
        unknown), e-prop, SnAp-1 (e-prop through A), symmetric_RFLO (RFLO through A), diagonal_RFLO (a decay for each
        unit), sign_BPTT, sign_RFLO, sign_e-prop (through sign(A) of unknown size), feedback_alignment (BPTT through R).
        ``posterior``, all rules equally likely before; ``log_evidence`` (NaN: far behind the likeliest);
        ``squares_left`` per degree of freedom in the middle interval, 1 for the true rule; ``explained_share`` of the
        squared change; ``learning_rate_estimate`` and ``decay_estimate``, each with an ``_error`` (one standard
        deviation); ``share_in_rows`` of R of the change of W and B. On the runs alone: ``likeliest``; ``verdict``
        "named" (posterior of 0.9 or more), "undecided", "none_of_the_family" (the likeliest leaves more than 10 times
        its noise, or learns uphill), "too_few_snapshots" (fewer than 4 before a run diverged); ``feedback_estimate``
        (output, unit), NaN where the likeliest reads none.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range; for trainings with momentum, Adam, weight decay, schedules, masks or given
        data.

    Examples
    --------
    >>> import fastmodes as fm
    >>> teacher = fm.aligned_teacher(fm.Modes([0.8, 0.5], 1.0, 1.0))
    >>> runs = fm.train(["bptt", "eprop"], teacher, hidden=6, seeds=1, epochs=400, record_every=20, steps=12,
    ...                 learning_rate=0.01, init_scale=0.3, batch_size=32, keep_weights=True, progress=False)
    >>> found = fm.analysis.identify(runs, progress=False)
    >>> fm.status_names(found, "likeliest").values[:, 0].tolist()
    ['BPTT', 'e-prop']
    """
    check_choice("observed", observed, OBSERVED)
    threads, progress = check_threads(threads), check_flag("progress", progress)
    given = {
        "teacher": teacher, "steps": steps, "batch_size": batch_size, "loss": loss, "leak": leak, "rates": rates,
        "target_noise": target_noise, "input_covariance": input_covariance, "observation_noise": observation_noise,
    }  # fmt: skip
    if isinstance(runs, xr.Dataset):
        histories, protocol, coordinates = _of_dataset(runs, given, epochs)
    else:
        given["target_noise"] = 0.0 if target_noise is None else target_noise
        histories, protocol, coordinates = _of_networks(runs, given_protocol(**given), epochs)
    sight = sight_of(units, histories[0][0].recurrent.shape[-1], observed)
    asked = _hypotheses(rules, horizons, protocol)
    with progress_bar(len(histories), "runs", progress) as bar:
        judgements = run_blocks(
            lambda history: _one(history, protocol, asked, sight), histories, threads, on_done=lambda _: bar.update(1)
        )
    return _dataset(judgements, asked, coordinates, histories)


def _of_dataset(
    runs: xr.Dataset, given: dict[str, Any], epochs: ArrayLike | None
) -> tuple[list[tuple[Weights, FloatArray]], Protocol, dict[str, Any]]:
    if epochs is not None:
        raise ValueError("epochs must be None where runs is a dataset, which has them")
    configuration = check_training(runs, tuple(WEIGHTS))
    protocol = stored_protocol(configuration, given)
    arrays = [runs[name].transpose("rule", "seed", "epoch", *dims).values for name, dims in WEIGHTS.items()]
    clock = runs["epoch"].values
    if np.any(np.diff(clock) <= 0):
        raise ValueError("runs must have rising epochs; sort them first: runs.sortby('epoch')")
    histories = [(Weights(*(array[i, j] for array in arrays)), clock) for i, j in np.ndindex(*arrays[0].shape[:2])]
    return histories, protocol, {name: runs[name].values for name in ("rule", "seed")}


def _of_networks(
    networks: Any, protocol: Protocol, epochs: ArrayLike | None
) -> tuple[list[tuple[Weights, FloatArray]], Protocol, dict[str, Any]]:
    networks = check_sequence("runs", networks, "fastmodes.LinearRNN", _MOST)
    if epochs is None:
        raise ValueError("epochs must be given where runs are networks; got None")
    clock = check_array("epochs", epochs, (len(networks),), dims=("snapshot",))
    if np.any(np.diff(clock) < 1) or np.any(clock != np.round(clock)):
        raise ValueError(f"epochs must be whole numbers, rising; got {shown(epochs)}")
    for network in networks:
        shape = network.readout.shape, network.input.shape
        wanted = (protocol.teacher.n_out, networks[0].n_hidden), (networks[0].n_hidden, protocol.teacher.n_in)
        if shape != wanted:
            raise ValueError(f"runs must be snapshots of one network that fits the teacher, {wanted}; got {shape}")
    parts = (np.stack([getattr(n, name) for n in networks]) for name in ("readout", "recurrent", "input"))
    return [(Weights(*parts), clock)], protocol, {}


def sight_of(units: Sequence[int] | None, n_hidden: int, observed: str) -> Sight:
    """What is seen where these units are recorded; all where they are None."""
    seen = np.ones(n_hidden)
    if units is not None:
        places = [check_integer(f"units[{i}]", unit, 0, n_hidden - 1) for i, unit in enumerate(units)]
        if not places or len(set(places)) != len(places):
            raise ValueError(f"units must name at least one hidden unit, each once; got {shown(units)}")
        seen = np.zeros(n_hidden)
        seen[places] = 1.0
    return Sight(seen, seen, observed == "flow_field")


def _hypotheses(rules: Sequence[str] | None, horizons: Sequence[int], protocol: Protocol) -> tuple[Hypothesis, ...]:
    steps = 10**9 if protocol.steps == np.inf else int(protocol.steps)
    listed = [check_integer(f"horizons[{i}]", horizon) for i, horizon in enumerate(horizons)]
    everything = family(steps, sorted(set(listed)))
    if rules is None:
        return everything
    if isinstance(rules, str):
        rules = [rules]
    names = [rule.name for rule in everything]
    asked = [check_choice(f"rules[{i}]", rule, names) for i, rule in enumerate(rules)]
    if not asked:
        raise ValueError(f"rules must name at least one of {', '.join(names)}; got none")
    return tuple(rule for rule in everything if rule.name in asked)


def _one(
    history: tuple[Weights, FloatArray], protocol: Protocol, rules: Sequence[Hypothesis], sight: Sight
) -> Judgement | None:
    """One run up to where it diverged; None for too few snapshots."""
    snapshots, epochs = history
    finite = np.logical_and.reduce([np.isfinite(part).all(axis=(1, 2)) for part in snapshots])
    whole = int(np.argmin(finite)) if not finite.all() else len(finite)
    if whole < _FEWEST:
        return None
    snapshots = protocol.effective(Weights(*(part[:whole] for part in snapshots)))
    if not any(np.diff(part, axis=0).any() for part in snapshots):
        return None
    return judged(snapshots, epochs[:whole], protocol.task(snapshots), rules, sight)


def _dataset(
    judgements: Sequence[Judgement | None], rules: Sequence[Hypothesis], coordinates: dict[str, Any], histories: Any
) -> xr.Dataset:
    n_out, n_hidden = histories[0][0].readout.shape[1:]
    names, count = list(coordinates), len(rules)
    shape = tuple(len(coordinates[name]) for name in names)
    empty = nothing_judged(count, (n_out, n_hidden))
    found = [empty if one is None else one for one in judgements]
    evidence = np.stack([one.evidence for one in found])
    likeliest = np.array([int(np.nanargmax(row)) if np.isfinite(row).any() else -1 for row in evidence])
    with np.errstate(invalid="ignore"):
        relative = np.exp(evidence - np.nanmax(np.where(np.isnan(evidence), -np.inf, evidence), axis=1, keepdims=True))
    posterior = np.where(np.isnan(relative), 0.0, relative)
    total = posterior.sum(axis=1, keepdims=True)
    posterior = np.divide(posterior, total, out=np.full_like(posterior, np.nan), where=total > 0)
    verdicts = [_verdict(one, row, best) for one, row, best in zip(judgements, posterior, likeliest, strict=True)]
    feedback = np.stack([one.feedback[best] for one, best in zip(found, likeliest, strict=True)])
    by_rule = {
        "posterior": posterior, "log_evidence": evidence,
        **{name: np.stack([getattr(one, field) for one in found]) for name, field in _STORED.items()},
    }  # fmt: skip
    variables: dict[str, Any] = {
        name: ((*names, "hypothesis"), values.reshape(*shape, count)) for name, values in by_rule.items()
    }
    flags = [rule.name for rule in rules]
    variables |= {
        "likeliest": (names, likeliest.astype(np.int16).reshape(shape), flag_attributes(flags)),
        "verdict": (names, np.array(verdicts, dtype=np.int8).reshape(shape), flag_attributes(VERDICTS)),
        "feedback_estimate": ((*names, "output", "unit"), feedback.reshape(*shape, n_out, n_hidden)),
    }
    out = xr.Dataset(variables, coords={**coordinates, "hypothesis": flags})
    return annotate(out, title="Which rule made the change", configuration={"command": "identify", "rules": flags})


#: Name in the dataset: field of a judgement.
_STORED = {
    "squares_left": "squares", "explained_share": "share", "learning_rate_estimate": "rate",
    "learning_rate_error": "rate_error", "decay_estimate": "decay", "decay_error": "decay_error",
    "share_in_rows": "within_rows",
}  # fmt: skip


def _verdict(one: Judgement | None, posterior: FloatArray, best: int) -> int:
    if one is None or best < 0:
        return VERDICTS.index("too_few_snapshots")
    uphill = one.rate[best] < 0
    if uphill or not one.squares[best] <= UNEXPLAINED:
        return VERDICTS.index("none_of_the_family")
    return VERDICTS.index("named" if posterior[best] >= NAMED else "undecided")
