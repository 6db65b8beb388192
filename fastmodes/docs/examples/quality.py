"""How good a gradient is each rule's update: at the same loss, tested over seeds, and how far back must credit go?"""

import numpy as np

import fastmodes as fm

RULES = ["bptt", "tbptt(1)", "rflo(0.5)", "eprop"]
teacher = fm.aligned_teacher(fm.Modes([0.9, 0.6, 0.3], 1.0, 1.0), n_out=3)
runs = fm.train(
    RULES, teacher, hidden=8, seeds=10, epochs=2000, steps=30, learning_rate=0.005, updates="expected",
    init_scale=0.3, gradient_quality=True, keep_weights=True, progress=False,
)  # fmt: skip

compared = fm.analysis.compare_rules(runs, "gradient_cosine", at="loss", levels=[0.5, 0.05])
for level in compared.level.values:
    at = compared.sel(level=level)
    for rule in compared.rule.values:
        here = at.sel(rule=rule)
        print(f"loss {level:g}, {rule}: cosine {float(here.median_value):.2f}, {int(here.runs_used)} of 10 come there")
    p = float(at.p_value_holm.sel(rule="tBPTT(1)", other_rule="RFLO"))
    print(f"loss {level:g}: tBPTT(1) and RFLO differ with p = {p:.4f}")

needed = fm.analysis.required_horizon(runs, cosine=0.95).required_horizon.median("seed")
for rule in needed.rule.values:
    first, last = (float(needed.sel(rule=rule).isel(epoch=place)) for place in (0, -1))
    print(f"{rule}: tBPTT needs {first:.0f} steps back at first, {last:.0f} where it ends")

student = fm.random_student(8, teacher, scale=1.0, seed=0)
for name, feedbacks in (("own R", None), ("one R", fm.random_feedback(student, scale=1.0, seed=0))):
    again = fm.train(
        "rflo(0.5)", teacher, hidden=8, seeds=10, epochs=500, steps=30, learning_rate=0.005, updates="expected",
        init_scale=0.3, feedbacks=feedbacks, keep_weights=True, progress=False,
    )  # fmt: skip
    found = fm.analysis.change_geometry(again).sel(side="receiving").isel(rule=0)
    chance = float(found.chance_overlap.sel(quantile=0.5))
    print(f"RFLO, {name}: seeds share {np.nanmedian(found.overlap):.2f} of their directions, by chance {chance:.2f}")
