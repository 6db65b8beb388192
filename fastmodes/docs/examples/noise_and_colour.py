"""How do input with a past and noise in every unit change what is learned, and how fast?

Exact expected updates. Against noise a linear student turns its input up and its readout down; input that changes
slowly makes more of the loss, and of the update, than input that changes fast.
"""

from typing import Any

import numpy as np

import fastmodes as fm

teacher = fm.aligned_teacher(fm.Modes([0.9, 0.5], 1.0, 1.0))
given: dict[str, Any] = {"hidden": 6, "seeds": 4, "steps": 30, "updates": "expected", "learning_rate": 0.005}
given |= {"epochs": 3000, "keep_weights": True, "progress": False, "init_scale": 0.3}

for sigma in (0.0, 0.3, 0.6):
    runs = fm.train(["bptt", "rflo(0.5)"], teacher, private_noise=sigma, **given)
    for rule in runs.rule.values:
        learned = fm.networks_of(runs.isel(epoch=-1)).sel(rule=rule).values
        turned_up = np.median([np.linalg.norm(one.input) / np.linalg.norm(one.readout) for one in learned])
        loss = float(runs.loss.sel(rule=rule).isel(epoch=-1).median())
        print(f"noise {sigma}, {rule}: loss {loss:.1e}, B is {turned_up:.2f} times as large as A")

for colour in (-0.5, 0.0, 0.5):
    runs = fm.train(["bptt", "rflo(0.5)"], teacher, colour=colour, **given)
    for rule in runs.rule.values:
        loss = runs.loss.sel(rule=rule).median("seed")
        half = int(runs.epoch[(loss < 0.5 * loss[0]).argmax("epoch")])
        print(f"colour {colour}, {rule}: half of the loss {float(loss[0]):.2f} is gone after {half} epochs")
