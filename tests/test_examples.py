"""The example scripts of the package run, each in a fresh folder, and show what they say."""

import re
import runpy
from importlib import resources

import pytest

EXAMPLES = {path.name: path for path in (resources.files("fastmodes") / "docs" / "examples").iterdir()}


def found(pattern, lines):
    """What the groups of ``pattern`` are in every line that it fits."""
    matches = [re.fullmatch(pattern, line) for line in lines]
    return [match.groups() for match in matches if match]


def check_networks(lines):
    left = {name: (int(steps), float(bptt), float(rflo)) for name, steps, bptt, rflo in found(
        r"(\w+): remembers (\d+) steps, .*; loss left: BPTT (\S+), RFLO (\S+)", lines
    )}  # fmt: skip
    assert set(left) == {"decays", "rotates", "amplifies", "delays"}
    assert left["delays"][0] == 3
    assert all(bptt < 1e-3 for _, bptt, _ in left.values())
    # What a delay line holds cannot be seen from one step back.
    assert left["delays"][2] > 100 * max(rflo for name, (_, _, rflo) in left.items() if name != "delays")


def check_leaky(lines):
    pattern = r"(.+), (\S+): loss left (\S+), \d of 4 diverged, weights changed \D*(\d+)\D*(\d+)\D*(\d+)\}"
    settings = {(name, rule): (float(loss), *map(int, n)) for name, rule, loss, *n in found(pattern, lines)}
    assert len(settings) == 6
    for (name, _), (_, readout, recurrent, input_) in settings.items():
        assert (readout, input_) == ((0, 0) if name == "W alone" else (20, 20))
        assert (recurrent < 60) == (name == "half of W")
    for rule in ("BPTT", "RFLO(0.8)"):
        assert settings["all weights", rule][0] < settings["half of W", rule][0] < settings["W alone", rule][0]


def check_feedback(lines):
    lost = [int(n) for _, n in found(r"share (\S+) of the readout: .*, (\d) of 8 diverged", lines)]
    assert lost == sorted(lost, reverse=True)
    assert (lost[0], lost[-1], len(lost)) == (8, 0, 5)
    before, after = (float(cosine) for (cosine,) in found(r"Kolen-Pollack, epoch \d+: cosine of R and A (\S+)", lines))
    assert abs(before) < 0.5
    assert after > 0.99


def check_noise(lines):
    pattern = r"(.+): critical batch size (\d+), cosine .* (\S+) of one sequence, (\S+) of 100,000; .* (\S+)"
    rules = {name: (int(size), float(one), float(many)) for name, size, one, many, _ in found(pattern, lines)}
    assert list(rules) == ["BPTT", "tBPTT(1)", "RFLO", "e-prop"]
    # Averaging brings the gradient to light; where the mean itself is off, not much.
    assert rules["BPTT"][2] > 0.99
    assert all(size < 100 and one < many for size, one, many in rules.values())
    assert rules["tBPTT(1)"][2] > 0.8 > max(rules["RFLO"][2], rules["e-prop"][2])
    assert lines[-1].endswith("1.000000000000")


def check_data(lines):
    gaps = {(int(n), rule): float(gap) for n, rule, gap in found(r"(\d+) sequences, (.+): training .*gap (\S+)", lines)}
    assert len(gaps) == 6
    for rule in ("BPTT", "tBPTT(4)"):
        assert gaps[20, rule] > 5 * gaps[100, rule] > 5 * abs(gaps[500, rule])


def check_resume(lines):
    assert len(found(r"(\d+) epochs, (.+): loss (\S+), \S+ times that of 500 epochs before", lines)) >= 4
    assert lines[-1] == "the same bits as in one go: True"


def check_tasks(lines):
    forgotten = dict(found(r"(\w+): of the first task (\S+) of its first loss comes back", lines))
    assert min(map(float, forgotten.values())) > 0.3
    assert dict(found(r"(\w+): after each task W has changed in (.+) of 8 directions", lines)) == {
        "BPTT": "[8, 8, 8]", "RFLO": "[1, 1, 1]",
    }  # fmt: skip


def check_identify(lines):
    named = dict(found(r"(\S+): made by (.+)", lines))
    assert named == {rule: ", ".join([name] * 3) for rule, name in (
        ("BPTT", "BPTT"), ("tBPTT(1)", "tBPTT(1)"), ("RFLO(0.4)", "RFLO"), ("e-prop", "e-prop"),
    )}  # fmt: skip
    assert abs(float(found(r"decay of RFLO: (\S+)", lines)[0][0]) - 0.4) < 0.1
    few, many = (int(n) for (n,) in found(r"weights seen to \S+: .* after (\d+) snapshots", lines))
    assert 0 < few < many


def check_tanh(lines):
    apart = {
        (rule, float(scale)): float(value)
        for scale, rule, value in found(r"input scale (\S+), (.+): losses (\S+) apart after training", lines)
    }
    assert len(apart) == 8
    for (rule, scale), value in apart.items():
        assert value < 2e-3 if scale == 0.01 else value > 100 * apart[rule, 0.01]


def check_quality(lines):
    cosines = {(float(level), rule): float(c) for level, rule, c in found(
        r"loss (\S+), (.+): cosine (\S+), \d+ of 10 come there", lines
    )}  # fmt: skip
    assert len(cosines) == 8
    assert cosines[0.5, "BPTT"] == cosines[0.05, "BPTT"] == 1
    assert all(0 < cosines[level, rule] < 0.9 for level, rule in cosines if rule != "BPTT")
    assert all(0 < float(p) <= 1 for (p,) in found(r"loss \S+: tBPTT\(1\) and RFLO differ with p = (\S+)", lines))
    needed = found(r"(.+): tBPTT needs (\d+) steps back at first, (\d+) where it ends", lines)
    assert all(int(first) < int(last) for _, first, last in needed)
    shares = {name: (float(share), float(chance)) for name, share, chance in found(
        r"RFLO, (.+): seeds share (\S+) of their directions, by chance (\S+)", lines
    )}  # fmt: skip
    assert shares["one R"][0] == 1
    assert abs(shares["own R"][0] - shares["own R"][1]) < 0.2


def check_noise_and_colour(lines):
    turned_up = {
        (rule, float(sigma)): float(ratio)
        for sigma, rule, ratio in found(r"noise (\S+), (\S+): loss \S+, B is (\S+) times as large as A", lines)
    }
    epochs = {
        (rule, float(colour)): int(count)
        for colour, rule, count in found(r"colour (\S+), (\S+): half of the loss \S+ is gone after (\d+) epochs", lines)
    }
    assert len(turned_up) == len(epochs) == 6
    for rule in ("BPTT", "RFLO"):
        assert turned_up[rule, 0.0] < turned_up[rule, 0.3] < turned_up[rule, 0.6]
        assert epochs[rule, -0.5] > epochs[rule, 0.0] > epochs[rule, 0.5]


SHOWN = {
    "networks.py": check_networks,
    "quality.py": check_quality,
    "identify.py": check_identify,
    "leaky.py": check_leaky,
    "feedback.py": check_feedback,
    "noise.py": check_noise,
    "data.py": check_data,
    "resume.py": check_resume,
    "tasks.py": check_tasks,
    "tanh.py": check_tanh,
    "noise_and_colour.py": check_noise_and_colour,
}


def test_every_example_is_run_and_short():
    scripts = {name for name in EXAMPLES if name.endswith(".py")}
    assert scripts == set(SHOWN)
    for name in scripts:
        assert len(EXAMPLES[name].read_text(encoding="utf-8").splitlines()) <= 40, name


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_examples_show_what_they_say(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLES[name]), run_name="__main__")
    SHOWN[name](capsys.readouterr().out.splitlines())
