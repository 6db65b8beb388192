"""How much of the readout does random feedback need, and does a feedback that learns find it by itself?"""

from typing import Any

import numpy as np

import fastmodes as fm

teacher = fm.aligned_teacher(fm.Modes([0.8, 0.5], 1.0, 1.0))
size: dict[str, Any] = {"hidden": 8, "seeds": 8, "epochs": 1500, "steps": 20, "updates": "expected"}
settings = size | {"learning_rate": 0.04, "feedback_scale": 4.0, "progress": False}
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
mixed = [f"rflo(0.5, feedback=mixed, mix={share}, name='share {share}')" for share in SHARES]
runs = fm.train(mixed, teacher, **settings)
for share, rule in zip(SHARES, runs.rule.values, strict=True):
    end = runs.loss.sel(rule=rule).isel(epoch=-1)
    diverged = int((fm.status_names(runs).sel(rule=rule) == "diverged").sum())
    print(f"share {share} of the readout: median loss {float(end.median()):.1e}, {diverged} of 8 diverged")

# Kolen-Pollack: R learns as A does, and both decay; what sets them apart dies out.
learning = "rflo(0.5, feedback=kolen_pollack, feedback_decay=0.1)"
runs = fm.train(learning, teacher, **settings, keep_weights=True).squeeze("rule")
a, r = runs.readout_weights, runs.learned_feedback_weights
cosine = (a * r).sum(["output", "unit"]) / np.sqrt((a**2).sum(["output", "unit"]) * (r**2).sum(["output", "unit"]))
for epoch in (0, -1):
    at = cosine.isel(epoch=epoch)
    print(f"Kolen-Pollack, epoch {int(at.epoch)}: cosine of R and A {float(at.median('seed')):.3f}")
