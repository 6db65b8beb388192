"""What does a leaky network lose when half of W is missing, or when only W learns?

The teacher leaks as the students do. Murray's RFLO ties its decay to the leak: rflo(1 - leak).
"""

from typing import Any

import numpy as np

import fastmodes as fm

LEAK = 0.2
teacher = fm.aligned_teacher(fm.Modes([0.9, 0.6], 1.0, 1.0)).leaky(LEAK)
half = np.random.default_rng(0).random((10, 10)) < 0.5
only_w = {"readout": 0.0, "recurrent": 0.05, "input": 0.0}
plain: dict[str, Any] = {"learning_rate": 0.02, "leak": LEAK, "updates": "expected", "steps": 30, "init_scale": 0.5}
settings: dict[str, dict[str, Any]] = {
    "all weights": {},
    "half of W": {"mask": half},
    "W alone": {"learning_rate": only_w},
}

for name, setting in settings.items():
    runs = fm.train(
        ["bptt", f"rflo({1 - LEAK})"], teacher, hidden=10, seeds=4, epochs=2000, keep_weights=True, progress=False,
        **(plain | setting),
    )  # fmt: skip
    moved = runs.isel(epoch=-1) - runs.isel(epoch=0)
    share = (runs.loss.isel(epoch=-1) / runs.loss.isel(epoch=0)).median("seed")
    for rule in runs.rule.values:
        changed = {part: int((abs(moved[f"{part}_weights"].sel(rule=rule)) > 0).any("seed").sum()) for part in only_w}
        lost = int((fm.status_names(runs).sel(rule=rule) == "diverged").sum())
        left = float(share.sel(rule=rule))
        print(f"{name}, {rule}: loss left {left:.1e}, {lost} of 4 diverged, weights changed {changed}")
