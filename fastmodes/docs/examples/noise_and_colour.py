"""How do input with a past and noise in every unit change what is learned, and how fast?

Exact expected updates: noise of hidden units pulls W towards a shorter memory; correlated input makes old errors count.
"""

from typing import Any

import fastmodes as fm

teacher = fm.aligned_teacher(fm.Modes([0.9, 0.5], 1.0, 1.0))
given: dict[str, Any] = {"hidden": 6, "seeds": 4, "steps": 30, "updates": "expected", "learning_rate": 0.005}
given |= {"epochs": 3000, "keep_weights": True, "progress": False, "init_scale": 0.3}

for sigma in (0.0, 0.3, 0.6):
    runs = fm.train(["bptt", "rflo(0.5)"], teacher, private_noise=sigma, **given)
    for rule in runs.rule.values:
        learned = fm.networks_of(runs.isel(epoch=-1)).sel(rule=rule).values
        memory = sorted(network.spectral_radius for network in learned)[len(learned) // 2]
        print(f"noise {sigma}, {rule}: loss {float(runs.loss.sel(rule=rule)[:, -1].median()):.2e}, radius {memory:.3f}")

for colour in (-0.5, 0.0, 0.5):
    runs = fm.train(["bptt", "rflo(0.5)"], teacher, colour=colour, **given)
    for rule in runs.rule.values:
        loss = runs.loss.sel(rule=rule).median("seed")
        half = int(runs.epoch[(loss < 0.5 * loss[0]).argmax()])
        print(f"colour {colour}, {rule}: half of the loss {float(loss[0]):.2f} is gone after {half} epochs")
