"""Where does the linear theory end? tanh networks beside linear ones, at two scales of the input.

A smaller input is a smaller input matrix; the readout undoes it, so that linear networks learn alike at any scale.
"""

import fastmodes as fm

RULES = ["bptt", "tbptt(1)", "rflo(0.5)", "eprop"]
plain = fm.aligned_teacher(fm.Modes([0.9, 0.7, 0.5, 0.3], 1.0, 1.0))

for scale in (0.01, 1.0):
    teacher = fm.LinearRNN(plain.readout / scale, plain.recurrent, scale * plain.input)
    drawn = [fm.random_student(8, plain, scale=0.5, seed=seed) for seed in range(4)]
    students = [fm.LinearRNN(s.readout / scale, s.recurrent, scale * s.input) for s in drawn]
    feedbacks = [fm.random_feedback(s, scale=1.0, seed=seed) / scale for seed, s in enumerate(drawn)]
    # The gradients of A and B scale as well, which these rates undo.
    rate = {"readout": 0.005 / scale**2, "recurrent": 0.005, "input": 0.005 * scale**2}
    linear, tanh = (
        fm.train(
            RULES, teacher, students=students, feedbacks=feedbacks, seeds=4, epochs=300, steps=20, learning_rate=rate,
            nonlinearity=kind, progress=False,
        )["validation_loss"]
        for kind in ("identity", "tanh")
    )  # fmt: skip
    apart = abs(tanh / linear - 1).median("seed").isel(epoch=-1)
    for rule in linear["rule"].values:
        print(f"input scale {scale:g}, {rule}: losses {float(apart.sel(rule=rule)):.1e} apart after training")
