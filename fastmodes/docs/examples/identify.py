"""Which rule made the change between snapshots of the weights, and how many snapshots does that take?"""

import fastmodes as fm

teacher = fm.aligned_teacher(fm.Modes([0.9, 0.6], 1.0, 1.0))
rules = ["bptt", "tbptt(1)", "rflo(0.4)", "eprop"]
runs = fm.train(
    rules, teacher, hidden=8, seeds=3, epochs=400, record_every=10, steps=20, learning_rate=0.005, batch_size=32,
    init_scale=0.3, keep_weights=True, progress=False,
)  # fmt: skip
found = fm.analysis.identify(runs, horizons=[1, 3], progress=False)
named = fm.status_names(found, "likeliest")
for rule in runs.rule.values:
    print(f"{rule}: made by {', '.join(named.sel(rule=rule).values)}")
decay = float(found.decay_estimate.sel(rule="RFLO(0.4)", hypothesis="RFLO").median())
print(f"decay of RFLO: {decay:.2f}")

student = fm.random_student(8, teacher, scale=0.3, seed=0)
for noise in (1e-4, 1e-3):
    ahead = fm.analysis.identifiability(
        ["bptt", "tbptt(1)"], student, teacher, 20, learning_rate=0.002, every=5, observation_noise=noise
    )
    needed = int(ahead.snapshots_needed.sel(rule="BPTT", hypothesis="tBPTT(1)").fillna(-1))
    print(f"weights seen to {noise:g}: BPTT is told from tBPTT(1) after {needed} snapshots")
