"""How long does a teacher remember, and does a student learn it by a rule that cannot look back along W?"""

import numpy as np

import fastmodes as fm

TEACHERS = {
    "decays": fm.aligned_teacher(fm.Modes([0.8, 0.5], 1.0, 1.0)),
    "rotates": fm.parse_teacher("rotating(0.8, 0.9)"),
    "amplifies": fm.nonnormal_teacher([0.6, 0.4], 1.2, seed=0),
    "delays": fm.delay_line_teacher(3),
}
RULES = ["bptt", "rflo(0.5)"]

for name, teacher in TEACHERS.items():
    strength = np.linalg.norm(teacher.impulse_response(50), axis=(1, 2))
    last = int(np.flatnonzero(strength > 0.1 * strength.max())[-1])
    output, _ = teacher.run(np.random.default_rng(0).standard_normal((100, 50, teacher.n_in)))
    runs = fm.train(
        RULES, teacher, hidden=8, seeds=4, epochs=1000, learning_rate=0.01, steps=20, updates="expected",
        init_scale=0.5, progress=False,
    )  # fmt: skip
    share = (runs.loss.isel(epoch=-1) / runs.loss.isel(epoch=0)).median("seed")
    learned = ", ".join(f"{rule} {float(share.sel(rule=rule)):.1e}" for rule in share.rule.values)
    print(f"{name}: remembers {last} steps, output variance {output.var():.2f}; loss left: {learned}")
