"""Plans: what is accepted, what is refused and how it is said, and the grid they describe."""

import itertools
import json
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sweep_toy import document

from fastmodes.sweeps import Plan, PlanError
from fastmodes.sweeps.plan.config import Range, parse_toml
from fastmodes.sweeps.plan.points import Points


def toy(**changes):
    return {"job": "toy", "fixed": {"rule": "bptt", "x": 1.0}} | changes


REFUSED = [
    ({"job": "toi"}, "did you mean 'toy'"),
    ({}, "job: missing"),
    (3, "must be a TOML file or a dict"),
    (toy(fixd={}), "fixd: unknown key (did you mean 'fixed'?)"),
    (toy(fixed={"rule": "bptt"}), "fixed.x: missing"),
    (toy(fixed={"rule": "bptt", "x": 1, "sed": 1}), "fixed.sed: unknown key (did you mean 'seed'?)"),
    (toy(fixed={"rule": "tbtt(2)", "x": 1}), "fixed.rule: rule must be one of"),
    (toy(fixed={"rule": "tbtt(2)", "x": 1}), "did you mean 'tbptt'"),
    (toy(fixed={"rule": "rflo(a)", "x": 1}), "takes one number"),
    (toy(fixed={"rule": "bptt(1)", "x": 1}), "takes no argument"),
    (toy(fixed={"rule": {"name": "mine", "feedbak": "random"}, "x": 1}), "feedbak"),
    (toy(fixed={"rule": "bptt", "x": float("nan")}), "fixed.x: Input should be a finite number"),
    (toy(fixed={"rule": "bptt", "x": "1"}), "fixed.x: Input should be a valid number; got '1'"),
    (toy(fixed={"rule": "bptt", "x": True}), "fixed.x"),
    (toy(axes={"sede": [1, 2]}), "axes.sede: job 'toy' has no parameter 'sede' (did you mean 'seed'?)"),
    (toy(axes={"n": [1, 2, -3]}), "axes.n.2: Input should be greater than or equal to 1; got -3"),
    (toy(axes={"n": [1, 2, 1]}), "axes.n: values must differ; got 1 more than once"),
    (toy(axes={"n": []}), "axes.n: "),
    (toy(axes={"x": [1.0]}), "axes.x: given twice, also under fixed"),
    (toy(axes={"times": [[1.0], [2.0]]}), "cannot be an axis"),
    (toy(axes={"y": {"start": 0, "stop": 1, "num": 3, "scale": "log"}}), "axes.y: start and stop must be > 0"),
    (toy(axes={"y": {"start": 0, "stop": 1, "nm": 3}}), "axes.y.nm: unknown key (did you mean 'num'?)"),
    (toy(axes={"y": {"start": 0, "stop": 1, "num": 0}}), "axes.y.num"),
    (toy(axes={"y": {"start": 0, "stop": 1, "num": 3, "scale": "logg"}}), "axes.y.scale"),
    (toy(axes={"n": {"start": 1, "stop": 2, "num": 3}}), "axes.n.1"),
    (toy(axes={"../y": [1.0]}), "axes"),
    (toy(axes=3), "axes: Input should be a valid dictionary; got 3"),
    (toy(axes={"y": 3}), "axes.y"),
    (
        toy(zipped={"start": {"y": [1.0, 2.0], "n": [1]}}),
        "zipped.start: parameters that vary together need equally many",
    ),
    (toy(zipped={"time": {"y": [1.0, 2.0]}}), "zipped.time"),
    (toy(zipped={"loss": {"y": [1.0, 2.0]}}), "is also a result"),
    (toy(zipped={"start": {"sede": [1.0, 2.0]}}), "zipped.start.sede"),
    (toy(seeds=-1), "seeds"),
    (toy(seeds=[1, 1]), "seeds: values must differ"),
    (toy(seeds={"frist": 1, "count": 2}), "seeds.frist: unknown key (did you mean 'first'?)"),
    (toy(seeds=3, axes={"seed": [1]}), "given twice"),
    (toy(record=["los"]), "record: job 'toy' has no 'los' (did you mean 'loss'?)"),
    (toy(record=[]), "record"),
    (toy(points_per_block=0), "points_per_block"),
    (toy(axes={"y": {"start": 0, "stop": 1, "num": 10**6 + 1}}), "axes.y.num"),
    (toy(axes={"y": {"start": 0, "stop": 1, "num": 10**4}}, seeds=200, points_per_block=1), "2000000 blocks"),
]


@pytest.mark.parametrize(("plan", "message"), REFUSED)
def test_a_wrong_plan_is_refused_by_the_name_of_its_key(plan, message):
    with pytest.raises(PlanError) as refused:
        Plan(plan)
    assert message in str(refused.value)


def test_a_grid_of_more_points_than_can_ever_be_computed_is_refused():
    axis = {"start": 0.5, "stop": 1.0, "num": 10**5}
    with pytest.raises(PlanError, match="the grid has"):
        Plan({"job": "toy", "fixed": {"rule": "bptt"}, "axes": {"x": axis, "y": axis}, "seeds": 101})


def test_a_product_of_axes_runs_through_all_combinations_the_last_fastest():
    plan = Plan(document(zipped={"start": {"y": [1.0, 2.0, 3.0], "n": [4, 5, 6]}}))
    rules, xs = ("RFLO", "BPTT"), np.linspace(0.0, 2.0, 6).tolist()
    expected = itertools.product(rules, xs, [(1.0, 4), (2.0, 5), (3.0, 6)], [0, 1])
    for index, (rule, x, (y, n), seed) in enumerate(expected):
        point = plan.point(index)
        assert (point["rule"].name, point["x"], point["y"], point["n"], point["seed"]) == (rule, x, y, n, seed)
    assert index + 1 == plan.points


def test_blocks_cover_the_grid_once_and_in_order():
    for size in range(1, 30):
        plan = Plan(document(points_per_block=size))
        pieces = [plan.block(i) for i in range(plan.blocks)]
        assert list(itertools.chain.from_iterable(range(*piece) for piece in pieces)) == list(range(24))


def test_the_same_plan_has_the_same_hash_however_it_is_written():
    written = Plan(document())
    assert Plan(json.loads(written.canonical)).canonical == written.canonical
    assert Plan(document(seeds=[0, 1])).sha256 == Plan(document(seeds=(0, 1))).sha256
    assert pickle.loads(pickle.dumps(written)).sha256 == written.sha256
    whole = Plan(document(axes={"rule": ["bptt"], "x": [1, 2]}))
    assert whole.sha256 == Plan(document(axes={"rule": ["bptt"], "x": np.array([1.0, 2.0])})).sha256
    others = [document(seeds=3), document(points_per_block=6), document(record=["loss"]), document(title="other")]
    assert len({Plan(other).sha256 for other in others} | {written.sha256}) == 5


@settings(max_examples=30, deadline=None)
@given(start=st.floats(1e-300, 1e300), stop=st.floats(1e-300, 1e300), num=st.integers(2, 40))
def test_a_log_range_is_monotonic_hits_its_ends_and_stays_finite(start, stop, num):
    if start == stop:
        return
    axis = {"start": start, "stop": stop, "num": num, "scale": "log"}
    values = np.array(Range(**axis).values())
    assert values[0] == start
    assert values[-1] == stop
    steps = np.diff(values) * np.sign(stop - start)
    assert (steps >= 0).all()
    assert abs(stop - start) < 1e-12 * start or (steps > 0).all()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_groups_hold_every_point_once_with_its_own_values(data):
    plan = Plan(document(zipped={"start": {"y": [1.0, 2.0, 3.0], "n": [4, 4, 6]}}))
    start = data.draw(st.integers(0, plan.points - 1))
    stop = data.draw(st.integers(start + 1, plan.points))
    names = data.draw(st.lists(st.sampled_from(["rule", "x", "y", "n", "seed", "decay"]), unique=True))
    points, seen = Points(plan, start, stop), []
    for values, piece in points.groups(*names):
        for position in np.arange(points.size)[piece]:
            seen.append(position)
            point = plan.point(start + int(position))
            assert values == {name: point[name] for name in names}
    assert sorted(seen) == list(range(points.size))


GOOD = """
job = "toy"
title = "a plan"
seeds = { first = 3, count = 2 }
record = ["loss"]
[fixed]
rule = "rflo(0.5)"
[axes]
x = { start = 0.1, stop = 1.0, num = 4, scale = "log" }
n = [1, 2, 3]
[zipped.start]
y = [1.0, 2.0]
decay = [0.1, 0.2]
"""


def test_a_toml_file_is_read(tmp_path):
    (tmp_path / "plan.toml").write_text(GOOD)
    plan = Plan.from_toml(tmp_path / "plan.toml")
    assert plan.shape == (4, 3, 2, 2)
    assert plan.record == ("loss",)
    (tmp_path / "bad.toml").write_text('job = "toy"\nseeds = \n')
    with pytest.raises(PlanError, match=r"bad.toml: not valid TOML: .*line 2"):
        Plan.from_toml(tmp_path / "bad.toml")


@st.composite
def spoiled(draw):
    """The good plan with pieces cut out, doubled, moved or replaced."""
    text = GOOD
    junk = st.sampled_from(
        ["[", "]", "=", '"', "nan", "-inf", "1e999", "9" * 5000, "[[axes]]", "[axes.x]", "\x00", "{", "}", "''", "#",
         "true", "1979-05-27", "0x", "[" * 3000, "a.b.c = 1\n", "job = 3\n", "\ud800", "num = -1", "[[", "stop = 1e400"]
    )  # fmt: skip
    for _ in range(draw(st.integers(1, 4))):
        a = draw(st.integers(0, len(text)))
        b = draw(st.integers(a, min(len(text), a + 30)))
        new = draw(st.one_of(st.just(""), junk, st.text(max_size=10), st.just(text[a:b] * 2)))
        text = text[:a] + new + text[b:]
    return text


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=st.one_of(spoiled(), st.text(max_size=200), st.binary(max_size=200)))
def test_any_text_is_a_plan_or_a_clear_error(text):
    content = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    try:
        plan = Plan(parse_toml(content))
    except PlanError:
        return
    assert plan.points >= 1
    assert Plan(json.loads(plan.canonical)).sha256 == plan.sha256
