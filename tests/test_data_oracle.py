"""Training on given sequences equals a training that PyTorch does by itself: autograd, its optimisers, its clipping.

Run by ``pytest -m oracle``; skipped where PyTorch is not installed.
"""

import numpy as np
import pytest

import fastmodes as fm
from fastmodes.streams import random_stream

pytestmark = pytest.mark.oracle

SEEDS, UPDATES, HELD_OUT, BATCH = [3, 0, 8], 200, 6, 8
WEIGHTS = ("readout_weights", "recurrent_weights", "input_weights")
RATES = {"readout": 0.02, "recurrent": 0.05, "input": 0.01}
MASK = np.random.default_rng(1).random((7, 7)) < 0.6
OPTIMIZERS = {
    "sgd": {"optimizer": "sgd", "momentum": 0.8, "learning_rate": 0.03, "weight_decay": 0.01},
    "sgd, a rate each": {"optimizer": "sgd", "momentum": 0.5, "learning_rate": RATES, "weight_decay": 0.02},
    "adam": {"optimizer": "adam", "learning_rate": 0.01, "weight_decay": 0.003, "adam_betas": (0.8, 0.99)},
}
UNITS = {
    "tanh": {"nonlinearity": "tanh", "loss": "sequence"},
    "leaky tanh": {"nonlinearity": "tanh", "leak": 0.3, "loss": "final"},
    "leaky": {"leak": 0.4, "loss": "sequence"},
    "leaky, masked": {"leak": 0.6, "loss": "final", "mask": MASK},
}


def sequences():
    """Inputs, and targets that no network of this size meets: the gradient stays away from zero."""
    rng = np.random.default_rng(7)
    return rng.standard_normal((30, 9, 3)), rng.standard_normal((30, 9, 2))


def torch_optimizer(torch, parameters, given):
    rate = given["learning_rate"]
    rates = rate.values() if isinstance(rate, dict) else [rate] * 3
    groups = [{"params": [p], "lr": r} for p, r in zip(parameters, rates, strict=True)]
    if given["optimizer"] == "sgd":
        return torch.optim.SGD(groups, lr=1.0, momentum=given["momentum"], weight_decay=given["weight_decay"])
    return torch.optim.Adam(groups, lr=1.0, betas=given["adam_betas"], weight_decay=given["weight_decay"], eps=1e-8)


def torch_loss(torch, parameters, x, y, units):
    a, w, b = parameters
    leak, phi = units.get("leak", 1.0), torch.tanh if "nonlinearity" in units else torch.clone
    h, errors = torch.zeros(len(x), len(w), dtype=torch.float64), []
    for t in range(x.shape[1]):
        h = (1 - leak) * h + leak * phi(h @ w.T + x[:, t] @ b.T)
        errors.append(0.5 * ((h @ a.T - y[:, t]) ** 2).sum() / len(x))
    return errors[-1] if units["loss"] == "final" else sum(errors) / len(errors)


def batches(seed, count):
    per_pass = count // BATCH
    for update in range(UPDATES):
        done, place = divmod(update, per_pass)
        yield random_stream(seed, f"order {done}").permutation(count)[place * BATCH : (place + 1) * BATCH]


@pytest.mark.parametrize("units", UNITS.values(), ids=UNITS)
@pytest.mark.parametrize("given", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_200_updates_are_those_of_pytorch(given, units):
    torch = pytest.importorskip("torch")
    x, y = sequences()
    clip = 0.4
    runs = fm.train(
        "bptt", None, data=(x, y), validation_size=HELD_OUT, batch_size=BATCH, hidden=7, seeds=SEEDS, epochs=UPDATES,
        init_scale=0.8, clip_norm=clip, record_every=50, keep_weights=True, progress=False, **given, **units,
    )  # fmt: skip
    count, (x, y) = len(x) - HELD_OUT, (torch.tensor(x), torch.tensor(y))
    learns = torch.tensor(np.asarray(units.get("mask", np.ones((7, 7))), dtype=float))
    norms = []
    for seed in SEEDS:
        run = runs.sel(seed=seed).squeeze("rule")
        parameters = [torch.tensor(run[name].isel(epoch=0).values, requires_grad=True) for name in WEIGHTS]
        stepper = torch_optimizer(torch, parameters, given)
        for update, chosen in enumerate(batches(seed, count)):
            stepper.zero_grad()
            loss = torch_loss(torch, parameters, x[chosen], y[chosen], units)
            loss.backward()
            parameters[1].grad *= learns
            if update % 50 == 0:
                whole, held_out = (
                    torch_loss(torch, parameters, x[part], y[part], units).item()
                    for part in (slice(0, count), slice(count, None))
                )
                at = run.sel(epoch=update)
                wanted = [loss.item(), whole, held_out]
                np.testing.assert_allclose([at["loss"], at["training_loss"], at["validation_loss"]], wanted, rtol=1e-10)
            norms.append(float(torch.nn.utils.clip_grad_norm_(parameters, clip)))
            stepper.step()
        for name, matrix in zip(WEIGHTS, parameters, strict=True):
            wanted = matrix.detach().numpy()
            assert np.abs(run[name].isel(epoch=-1) - wanted).max() < 1e-10 * np.abs(wanted).max(), name
    # Clipping was at work, and not always.
    assert min(norms) < clip < max(norms)
