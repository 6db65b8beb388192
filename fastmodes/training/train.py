"""Train students under every rule, over seeds, into one labelled dataset."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import xarray as xr

from ..interrupts import current_stop
from ..parallel import check_threads, run_blocks
from ..progress import progress_bar
from .checkpoints import Checkpoint, check_checkpoint
from .results import Results, divergence_sentence
from .runs import expected_blocks, sampled_blocks
from .runs_infinite import infinite_blocks
from .settings import Job, check_job

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ..files.paths import PathLike
    from ..networks.network import LinearRNN
    from ..typing import NonlinearityName
    from ..updates.coloured import InputFilter
    from .optimizers import Optimizer
    from .parameters import LossName, OptimizerWord, Rates, Rules, ScheduleWord, Seeds, TrainingData, UpdatesName


class TrainingInterrupt(KeyboardInterrupt):
    """Training was stopped by Ctrl-C; ``partial()`` gives the dataset of what was recorded, None if nothing was.

    The dataset has the shape of the whole one and an attribute ``partial``: runs that were still learning have the
    status "running", ``epochs_made`` is their last record, what comes after it is NaN. With ``keep_weights=True``
    :func:`resume` goes on with it.
    """

    def __init__(self, results: Results, then: Callable[[xr.Dataset], object]) -> None:
        super().__init__()
        self._results, self._then = results, then

    def write(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint of what was recorded."""
        checkpoint.write(self._results)

    def partial(self) -> xr.Dataset | None:
        """The dataset of what was recorded."""
        dataset = self._results.partial()
        if dataset is not None:
            self._then(dataset)
        return dataset


def train(
    rules: Rules,
    teacher: LinearRNN | str | None,
    *,
    hidden: int | None = None,
    seeds: Seeds,
    epochs: int,
    learning_rate: Rates | None = None,
    steps: float | None = None,
    updates: UpdatesName = "sampled",
    batch_size: int | None = None,
    data: TrainingData | None = None,
    optimizer: OptimizerWord | Optimizer = "sgd",
    clip_norm: float | None = None,
    loss: LossName = "final",
    init_scale: float = 0.1,
    feedback_scale: float = 1.0,
    record_every: int | None = None,
    stop_loss: float | None = None,
    divergence_loss: float = 1e6,
    validation_size: int | None = None,
    schedule: ScheduleWord | ArrayLike = "constant",
    momentum: float = 0.0,
    weight_decay: float | Mapping[str, float] = 0.0,
    leak: float = 1.0,
    nonlinearity: NonlinearityName = "identity",
    input_covariance: ArrayLike | None = None,
    colour: InputFilter | float | Mapping[str, ArrayLike] | None = None,
    private_noise: float = 0.0,
    feedback_noise: float = 0.0,
    target_noise: float = 0.0,
    mask: ArrayLike | None = None,
    adam_betas: tuple[float, float] = (0.9, 0.999),
    adam_epsilon: float = 1e-8,
    students: LinearRNN | Sequence[LinearRNN] | None = None,
    feedbacks: ArrayLike | Sequence[ArrayLike] | None = None,
    keep_weights: bool = False,
    gradient_quality: bool = False,
    checkpoint: PathLike | None = None,
    checkpoint_every: float = 600.0,
    threads: int | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Train students from random weights against a teacher, every rule from every seed.

    The same seed gives every rule the same student, the same input sequences and the same R: rules are compared in
    pairs. Runs are independent, bit for bit, of the other rules and seeds, of the recording and of the threads.

    Parameters
    ----------
    rules : LearningRule or str, or sequence of them
        With distinct names; values such as ``fm.tbptt(3)``, or texts that :func:`parse_rule` reads, such as "tbptt(3)".
    teacher : LinearRNN, str or None
        What the students learn from, and what their modes are compared with; or a text that :func:`parse_teacher`
        reads, such as "rotating(0.9, [0.3, 1.2])"; None only where ``data`` are given, the
        result then has no modes.
    hidden : int, optional
        Hidden units of the students; needed unless ``students`` are given.
    seeds : int or sequence of int
        A count, 8 meaning the seeds 0 to 7, or the seeds themselves, distinct and not negative; one seed is ``[8]``.
    epochs : int
        Parameter updates.
    learning_rate : float, mapping, or array, optional
        eta > 0; needed unless the optimizer has its own. A mapping ``{"readout": 0.0, "recurrent": 0.01, "input":
        0.01}`` gives every matrix its own, 0 freezing it. Several runs at rates of their own: one number for each seed,
        or a DataArray with dims ``rule`` and ``seed``, also inside a mapping.
    steps : int or math.inf
        T, time steps of a sequence; needed unless sequences are given as ``data``. Infinitely many with expected
        updates, where a run has diverged once the spectral radius of W reaches one, and ``validation_loss`` is the loss
        itself.
    updates : {"sampled", "expected"}
        Averaged over a batch of white Gaussian sequences drawn anew each epoch, or their exact expectation.
    batch_size : int, optional
        Sequences of a batch, for sampled updates; default 32, or all of a finite set.
    data : int, or (inputs, targets), optional
        Learn from a finite set of sequences instead of new ones at every update: a number of them, drawn once for each
        seed from the teacher (App. I), or the user's own, ``inputs`` (sample, time, input) and ``targets`` (sample,
        time, output) as arrays, DataArrays or a Dataset with these two variables; for the final loss (sample, output)
        as well. Batches smaller than the set are drawn without replacement, in a new order for every pass and seed,
        the same for all rules; an epoch is still one update. ``training_loss`` is the loss on all that is learned from;
        ``validation_loss - training_loss`` is the generalisation gap.
    optimizer : {"sgd", "adam"} or Optimizer
        A word, or a value of :func:`sgd` or :func:`adam`. Keywords may say what a value leaves open, not contradict it.
    clip_norm : float, optional
        Clip each network's gradient to this norm (over all parameters).
    loss : {"final", "sequence"}
    init_scale : float
        Weights start with standard deviation ``init_scale / sqrt(hidden)``.
    feedback_scale : float
        R has standard deviation ``feedback_scale / sqrt(hidden)``.
    record_every : int, optional
        Record at epochs 0, k, 2k, ... and at the last; default: about 100 times.
    stop_loss : float, optional
        A run whose loss falls to this value has converged and stops.
    divergence_loss : float
        A run whose loss is above this value, or not finite, has diverged and stops.
    validation_size : int, optional
        Sequences held out for ``validation_loss``: new ones, default 128, or the last ones of the data given, default a
        fifth of them.
    schedule : {"constant", "linear", "cosine"} or array (epochs,)
        Factor of the learning rate at every epoch; "linear" and "cosine" fall from 1 towards 0 at the last.
    momentum : float
        Of "sgd", in [0, 1): m <- momentum m + g, theta <- theta - eta m.
    weight_decay : float or mapping
        lambda >= 0: lambda theta is added to the clipped gradient; a mapping gives each matrix its own. Frozen and
        masked weights do not decay.
    leak : float
        alpha in (0, 1] of the students: h_{t+1} = (1 - alpha) h_t + alpha (W h_t + B x_t) (theory section 10). Losses
        and updates are exact; modes, spectra and alignments of the result are those of the network as it runs, with
        W_e = (1 - alpha) I + alpha W and B_e = alpha B, comparable with the teacher's; kept weights are W and B.
        A leaky teacher is ``teacher.leaky(alpha)``.
    nonlinearity : {"identity", "tanh", "relu"}
        phi of the students' units, h_{t+1} = (1 - alpha) h_t + alpha phi(W h_t + B x_t); the teacher stays linear. For
        sampled updates alone: nothing is an exact expectation, and modes, spectra and alignments are those of the
        linear network with the same weights (theory section 12).
    input_covariance : array (n_in, n_in), optional
        Of the channels of white input, default the identity; like what follows at every update, exact in expected ones
        (theory section 15). ``validation_loss`` is measured on input, and with noise, of the same statistics.
    colour : InputFilter or float, optional
        Input correlated in time, stationary from the first step on, as for :func:`coloured_update`; a number is the
        coefficient of ``fm.autoregressive_input(colour, n_in)``, a mapping names a filter's four matrices.
    private_noise : float
        sigma >= 0 of white noise n_t of every hidden unit, u_t = W h_t + B x_t + sigma n_t; a leak scales it as it does
        all input: noise of deviation s in h itself is ``private_noise=s/leak``.
    feedback_noise : float
        Deviation of noise that is added to every entry of R, drawn anew for each update, the same for all rules; those
        that read no R have none. Sampled updates alone: expected ones are linear in R.
    target_noise : float
        Deviation of noise of every output and step that is compared; of ``data`` drawn from the teacher it is drawn
        once, with them. Of expected updates it adds n_out target_noise^2 / 2 to the loss.
    mask : array (n_hidden, n_hidden), optional
        1 where W learns, 0 where it stays as it starts: at zero, or as in the ``students`` given.
    adam_betas : pair of float
    adam_epsilon : float
        Of "adam" as a word.
    students : LinearRNN or sequence of them, optional
        Initial student of all seeds, or of each, instead of random ones.
    feedbacks : array (n_out, n_hidden) or sequence of them, optional
        R of all seeds, or of each, instead of random ones; left unread by rules without random feedback. One array is
        shared by all seeds, several are each seed's own. Of it a partly aligned R is made with each initial readout;
        feedback that learns starts from it, and learns at the rate of the readout.
    keep_weights : bool
        Keep A, W, B at every recorded epoch, and R: ``feedback_weights`` of the seeds, and ``learned_feedback_weights``
        of the rules at every epoch where one of them turns R or lets it learn.
    gradient_quality : bool
        Record how well each rule's expected update u follows the exact gradient g, that of BPTT, at every recorded
        epoch, also where learning is sampled: ``gradient_cosine`` = <u, g> / (|u| |g|), ``gradient_bias`` = |u - g| /
        |g|, ``gradient_norm``, ``update_norm``, over all weights that learn, and ``matrix_gradient_cosine`` of A, W and
        B apart. ``critical_batch_size`` is the batch size at which an update's noise is as large as its mean,
        ``signal_to_noise`` the batch size over it, of sampled updates only. Expectations over white input: not for
        nonlinear units, nor for sequences of your own. About 1 ms a record for 20 units and 20 steps, 1 s for 128
        units and 100 steps under the sequence loss.
        ``quality_status`` says why one is missing; :func:`fastmodes.analysis.gradient_quality` measures kept weights.
    checkpoint : path, optional
        A netCDF file that is not there yet, for trainings of hours: written every ``checkpoint_every`` seconds, with
        what the last records hold, removed at the end. Whatever has ended the process, ``fm.resume`` of
        ``fm.read_netcdf(path)`` gives what would have been returned here. On Ctrl-C it is written once more, and stays.
    checkpoint_every : float
        Seconds.
    threads : int, optional
        Default: all cores granted to the process.
    progress : bool
        Show progress on stderr.

    Returns
    -------
    xarray.Dataset
        Dims ``rule, seed, epoch, mode, unit``. After a run has converged its last values are repeated; after it has
        diverged they are NaN. ``status`` and ``epochs_made`` tell how it ended.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range, before anything is computed.
    KeyboardInterrupt
        On Ctrl-C, as a :class:`TrainingInterrupt`, from which what was recorded can be had.
    """
    given = dict(locals())
    kept = check_checkpoint(checkpoint, checkpoint_every)
    return run_job(check_job(given), threads, progress, kept)


def run_job(
    job: Job,
    threads: int | None,
    progress: bool,
    checkpoint: Checkpoint | None = None,
    then: Callable[[xr.Dataset], object] = lambda dataset: None,
) -> xr.Dataset:
    """Run a job, checked, to its end; ``then`` sees to the dataset, whole or partial."""
    threads = check_threads(threads)
    results = Results(job)
    if job.steps == math.inf:
        blocks = infinite_blocks(job)
    else:
        blocks = expected_blocks(job) if job.updates == "expected" else sampled_blocks(job, threads)
    results.waiting.update(blocks)
    following = contextlib.nullcontext() if checkpoint is None else checkpoint.following(results)
    runs = len(job.rules) * len(job.seeds) - len(job.done)
    with progress_bar(job.epochs * max(runs, 1), "updates", progress) as bar:
        try:
            with following:
                run_blocks(lambda block: block.run(results, bar, current_stop()), blocks, threads)
        except KeyboardInterrupt:
            raise TrainingInterrupt(results, then) from None
    dataset = results.dataset()
    then(dataset)
    if progress and (sentence := divergence_sentence(dataset)):
        print(sentence, file=sys.stderr, flush=True)
    return dataset
