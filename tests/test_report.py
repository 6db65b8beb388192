"""The report stands alone, reads on a phone, and loads without errors; reproducing goes on where it was."""

import errno
import html.parser
import importlib
import json
import os
import re
import shutil
import subprocess

import numpy as np
import pytest
import xarray as xr
from fastmodes.analysis.figures.style import new_figure
from fastmodes.analysis.report.experiments import FULL, QUICK, Experiment
from fastmodes.analysis.report.gallery import PICTURES, Picture
from fastmodes.analysis.report.html import html_report
from fastmodes.analysis.report.verdicts import Claim

from fastmodes.files import disk
from fastmodes.files.schema import annotate

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CLAIMS = [
    Claim("C1", 'All < none & "quotes"', ("one number: 1.0", "x" * 300), {"part": True, "other": False}, "Fig. 1"),
    Claim("C2", "Another", ("two",), {"part": True}, "Fig. 2", remark="Only in a corner."),
]


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def line_figure(datasets):
    figure, ax = new_figure(figsize=(12, 3))
    ax.plot([0, 1], [0, 1])
    return figure


def small_dataset():
    return annotate(
        xr.Dataset({"loss": ("epoch", np.arange(3.0))}, {"epoch": [0, 1, 2]}), title="Small", configuration={}
    )


@pytest.fixture
def report(tmp_path):
    pictures = []
    for name, claim in (("first", "C1"), ("second", "C2")):
        path = tmp_path / f"{name}.png"
        line_figure({}).savefig(path, dpi=100)
        pictures.append((Picture(name, f"Picture {name}", f'A "line" of {name}', claim, line_figure), path))
    path = tmp_path / "report.html"
    path.write_text(html_report(CLAIMS, pictures, {"small": small_dataset()}), encoding="utf-8")
    return path


def test_report_stands_alone_and_speaks_of_every_picture(report):
    page = Page(report.read_text(encoding="utf-8"))
    assert len(page.all("img")) == 2
    for image in page.all("img"):
        assert image["src"].startswith("data:image/png;base64,")
        assert "line" in image["alt"]
    assert not page.all("script")
    assert all(link["href"].startswith(("#", "data:")) for link in page.all("a") + page.all("link"))
    assert any(meta.get("name") == "viewport" for meta in page.all("meta"))
    text = report.read_text(encoding="utf-8")
    assert "All &lt; none &amp; &quot;quotes&quot;" in text
    assert text.count("reproduced in part</span>") == 2
    assert "fig6" in text


def test_every_picture_of_the_gallery_has_words_and_a_claim():
    names = [picture.name for picture in PICTURES]
    assert len(set(names)) == len(names)
    for picture in PICTURES:
        assert len(picture.alt) > 40
        assert re.fullmatch(r"C\d+", picture.claim)
    numbers = {match.group(1) for name in names if (match := re.match(r"figure-(\d+)", name))}
    assert numbers == {str(n) for n in range(1, 11)}


def chromium(*arguments):
    command = [
        CHROMIUM,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
    ]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120, check=True)


_PROBE = """<script>addEventListener("load", () => { document.title = JSON.stringify({
 images: document.images.length,
 loaded: [...document.images].filter(i => i.complete && i.naturalWidth > 0).length,
 wide: document.documentElement.scrollWidth - document.documentElement.clientWidth }) })</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs the Debian package chromium")
def test_report_in_a_browser(report, tmp_path):
    """No console messages, every image loads, nothing is wider than a phone's screen."""
    probed = tmp_path / "probed.html"
    probed.write_text(report.read_text(encoding="utf-8").replace("</head>", _PROBE + "</head>"), encoding="utf-8")
    done = chromium(
        "--window-size=500,900", "--enable-logging=stderr", "--v=0", "--virtual-time-budget=3000", "--dump-dom",
        f"--user-data-dir={tmp_path / 'profile'}", probed.as_uri(),
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr
    seen = json.loads(re.search(r"<title>(\{.*?\})</title>", done.stdout).group(1))
    assert seen == {"images": 2, "loaded": 2, "wide": 0}


@pytest.mark.skipif(CHROMIUM is None, reason="needs the Debian package chromium")
def test_screenshot_is_not_blank(report, tmp_path):
    from matplotlib.image import imread

    shot = tmp_path / "shot.png"
    chromium(
        f"--screenshot={shot}", "--window-size=500,1200", f"--user-data-dir={tmp_path / 'profile'}", report.as_uri()
    )
    pixels = imread(shot)[..., :3]
    assert pixels.shape[:2] == (1200, 500)
    assert 0.01 < (pixels.min(axis=2) < 0.5).mean() < 0.5


@pytest.fixture
def small(monkeypatch):
    """Reproducing with two tiny experiments; the list that it returns holds what was computed."""
    module = importlib.import_module("fastmodes.analysis.report.reproduction")
    computed = []

    def first(size, datasets, progress):
        computed.append("first")
        return small_dataset()

    def second(size, datasets, progress):
        computed.append("second")
        return datasets["first"] * 2.0 if "stop" not in computed else (_ for _ in ()).throw(KeyboardInterrupt)

    experiments = (Experiment("first", "First", first), Experiment("second", "Second", second, needs=("first",)))
    monkeypatch.setattr(module, "EXPERIMENTS", experiments)
    monkeypatch.setattr(module, "PICTURES", (Picture("line", "A line", "A line.", "C1", line_figure),))
    monkeypatch.setattr(module, "claims", lambda datasets: CLAIMS)
    return module.reproduce, computed


def test_second_run_computes_nothing_and_draws_everything(small, tmp_path):
    reproduce, computed = small
    outcome = reproduce(tmp_path / "out", progress=False)
    assert computed == ["first", "second"]
    picture = tmp_path / "out/figures/line.png"
    picture.unlink()
    again = reproduce(tmp_path / "out", progress=False)
    assert computed == ["first", "second"]
    assert picture.is_file()
    xr.testing.assert_identical(outcome.datasets["second"], again.datasets["second"])
    assert [row["verdict"] for row in json.loads((tmp_path / "out/claims.json").read_text())] == [
        "reproduced in part", "reproduced",
    ]  # fmt: skip


def test_interrupted_run_goes_on_where_it_was(small, tmp_path):
    reproduce, computed = small
    computed.append("stop")
    with pytest.raises(KeyboardInterrupt):
        reproduce(tmp_path / "out", progress=False)
    assert [path.name for path in (tmp_path / "out/datasets").iterdir()] == ["first.nc"]
    computed.clear()
    reproduce(tmp_path / "out", progress=False)
    assert computed == ["second"]


@pytest.mark.parametrize("name", ["claims.json", "figures/line.png", "report.html"])
def test_a_full_disk_under_any_file_is_explained(name, small, tmp_path, monkeypatch):
    """The old file stays, and the next run goes on."""
    reproduce, computed = small
    path = tmp_path / "out" / name
    reproduce(tmp_path / "out", progress=False)
    before = path.read_bytes()
    written, chosen = disk.write_all, disk._ending(path)

    def full(descriptor, content):
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith(chosen):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written(descriptor, content)

    monkeypatch.setattr(disk, "write_all", full)
    with pytest.raises(OSError, match=r"No space left on device; \d+ bytes needed, \d+ bytes free") as raised:
        reproduce(tmp_path / "out", progress=False)
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, str(path))
    assert path.read_bytes() == before
    assert not list((tmp_path / "out").rglob("*.part"))
    monkeypatch.setattr(disk, "write_all", written)
    reproduce(tmp_path / "out", progress=False)
    assert computed == ["first", "second"]


@pytest.mark.parametrize("versions", ['{"a": 1}', '{"a": {"b": [1]}}', "[1, 2]", "3", "null", "{", "", "<b>", 3, None])
def test_whatever_a_dataset_says_of_itself_is_shown(versions):
    odd = small_dataset().assign_attrs(title=5, created_at="<script>", versions=versions)
    if versions is None:
        del odd.attrs["versions"]
    text = html_report(CLAIMS, [], {"<odd>": odd})
    Page(text)
    assert "<script>" not in text
    assert "<b>" not in html_report(CLAIMS, [], {"odd": odd}).rpartition("<h2>Datasets")[2]
    if versions == '{"a": 1}':
        assert "<p>a 1</p>" in text


def test_damaged_or_outdated_dataset_is_computed_again(small, tmp_path):
    reproduce, computed = small
    reproduce(tmp_path / "out", progress=False)
    path = tmp_path / "out/datasets/first.nc"
    content = bytearray(path.read_bytes())
    path.write_bytes(content[: len(content) // 2])
    computed.clear()
    reproduce(tmp_path / "out", progress=False)
    assert computed == ["first"]
    computed.clear()
    reproduce(tmp_path / "out", quick=True, progress=False)
    assert computed == ["first", "second"]


def test_fingerprint_depends_on_settings_and_size():
    one = Experiment("x", "X", None, settings=1)
    assert one.fingerprint(FULL) == Experiment("x", "Y", print, settings=1).fingerprint(FULL)
    assert len({one.fingerprint(FULL), one.fingerprint(QUICK), Experiment("x", "X", None, 2).fingerprint(FULL)}) == 3


@pytest.mark.slow
def test_quick_reproduction_from_the_command_line(tmp_path):
    from fastmodes.cli import run

    assert run(["reproduce", "--quick", "--out", str(tmp_path / "out")]) == 0
    page = Page((tmp_path / "out/report.html").read_text(encoding="utf-8"))
    assert len(page.all("img")) == len(PICTURES)
    rows = json.loads((tmp_path / "out/claims.json").read_text())
    assert [row["name"] for row in rows] == [f"C{i}" for i in range(1, 14)]
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/datasets").iterdir()}
    assert run(["reproduce", "--quick", "--out", str(tmp_path / "out")]) == 0
    assert stamps == {path: path.stat().st_mtime_ns for path in (tmp_path / "out/datasets").iterdir()}
