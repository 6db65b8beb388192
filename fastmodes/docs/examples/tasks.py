"""Several tasks in a row: what is forgotten, and do changes of W stay in the n_out rows of the feedback?"""

import fastmodes as fm

tasks = [fm.random_teacher(4, n_out=1, n_in=2, seed=seed) for seed in range(3)]
runs = fm.train_tasks(
    ["bptt", "rflo(0.5)"], tasks, hidden=8, seeds=4, epochs=500, learning_rate=0.02, steps=20, updates="expected",
    init_scale=0.5, progress=False,
)  # fmt: skip
memory = fm.analysis.task_memory(runs).median("seed")
size = runs.whole_change_singular_value.isel(epoch=-1)
directions = (size > 1e-6 * size.max("unit")).sum("unit")
for rule in runs.rule.values:
    forgotten = float(memory.forgetting.sel(rule=rule).isel(task=0))
    print(f"{rule}: of the first task {forgotten:.2f} of its first loss comes back")
    places = directions.sel(rule=rule).median("seed").astype(int).values.tolist()
    print(f"{rule}: after each task W has changed in {places} of 8 directions")
