"""Is that loss the end, or only the middle? Look at a training, save it, and go on where it stopped."""

from typing import Any

import fastmodes as fm

teacher = fm.aligned_teacher(fm.Modes([0.9, 0.6, 0.3], 1.0, 1.0))
settings: dict[str, Any] = {"hidden": 6, "seeds": 4, "learning_rate": 0.005, "steps": 20, "record_every": 100}
settings |= {"keep_weights": True, "progress": False}
first = fm.train(["bptt", "rflo"], teacher, epochs=1000, **settings)
fm.write_netcdf(first, "first.nc")

later = fm.read_netcdf("first.nc")
while later.epoch[-1] < 4000:
    epochs, loss = int(later.epoch[-1]), later.validation_loss.median("seed")
    fall = loss.isel(epoch=-1) / loss.isel(epoch=-6)
    for rule in later.rule.values:
        now, ratio = float(loss.sel(rule=rule)[-1]), float(fall.sel(rule=rule))
        print(f"{epochs} epochs, {rule}: loss {now:.2e}, {ratio:.2f} times that of 500 epochs before")
    if (fall > 0.75).all():
        break
    later = fm.resume(later, epochs=epochs + 1000, progress=False)

whole = fm.train(["bptt", "rflo"], teacher, epochs=int(later.epoch[-1]), **settings)
print(
    "the same bits as in one go:",
    later.loss.equals(whole.loss) and later.recurrent_weights.equals(whole.recurrent_weights),
)
