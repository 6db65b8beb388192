"""How many sequences of your own are enough? The gap between validation and training loss, by size of the set."""

import numpy as np

import fastmodes as fm

rng = np.random.default_rng(0)
inputs = rng.standard_normal((600, 15, 3))  # (sample, time, input), yours
targets = inputs[:, -4, :1] + 0.3 * rng.standard_normal((600, 1))  # (sample, output) of the last step; no teacher

for count in (20, 100, 500):
    # The last hundred are never learned from.
    chosen = np.r_[:count, 500:600]
    runs = fm.train(
        ["bptt", "tbptt(4)"], None, data=(inputs[chosen], targets[chosen]), validation_size=100, batch_size=10,
        hidden=12, seeds=4, epochs=2000, optimizer=fm.adam(0.01, clip_norm=1.0), progress=False,
    )  # fmt: skip
    end = runs.isel(epoch=-1).median("seed")
    for rule in runs.rule.values:
        training, held_out = (float(end[f"{name}_loss"].sel(rule=rule)) for name in ("training", "validation"))
        gap = held_out - training
        print(f"{count} sequences, {rule}: training {training:.4f}, held out {held_out:.4f}, gap {gap:.4f}")
