"""The report as a browser lays it out: nothing is cut, and nothing is asked of the network."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ampelstream.cli.main import app
from ampelstream.model.candidate import Candidate, UnitResult
from ampelstream.report.content import EventReport, ReplayReport, ReportMap, Stamp
from ampelstream.report.html import render

pytestmark = pytest.mark.slow

WIDTHS = (1400, 1100, 420)
NAMES = ("chromium", "chromium-browser", "google-chrome")

# A page of a file may look into the frames of another one only because the browser is told so; the
# media queries of a frame go by its own width, so that one start measures all of them.
MEASURE = """
<!DOCTYPE html><body><script>
const widths = %s, found = {};
function look(width, frame) {
  const page = frame.contentDocument, root = page.documentElement;
  for (const folded of page.querySelectorAll("details")) folded.open = true;
  const beyond = [], scrolls = [];
  for (const one of page.querySelectorAll("body *:not(svg *)")) {
    const box = one.getBoundingClientRect();
    const cut = one.closest(".scroll, .results > section");  // these scroll by themselves
    if (box.width && box.right > width + 1 && !cut) beyond.push(`${one.tagName}.${one.className}`);
  }
  for (const one of page.querySelectorAll("main *")) {
    const over = one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0;
    if (over && getComputedStyle(one).overflowX !== "visible") scrolls.push(one.textContent);
  }
  const loaded = frame.contentWindow.performance.getEntriesByType("resource");
  found[width] = {
    page: root.scrollWidth, beyond, scrolls,
    loaded: loaded.map((one) => one.name).filter((name) => !name.startsWith("data:")),
    cards: page.querySelectorAll(".card").length,
  };
  if (Object.keys(found).length === widths.length) document.title = JSON.stringify(found);
}
for (const width of widths) {
  const frame = document.createElement("iframe");
  frame.style = `width: ${width}px; height: 900px; border: 0`;
  frame.onload = () => look(width, frame);
  frame.src = "report.html";
  document.body.append(frame);
}
</script></body>
"""


@pytest.fixture(scope="module")
def browser() -> str:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium: the layout of the report is not looked at (apt install chromium)")
    return found


def measured(browser: str, folder: Path) -> dict[str, Any]:
    """What the browser makes of ``report.html`` in that folder, by width."""
    (folder / "frames.html").write_text(MEASURE % json.dumps(WIDTHS))
    command = [
        browser,
        "--headless",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
        "--allow-file-access-from-files",
        f"--user-data-dir={folder / 'profile'}",
        "--virtual-time-budget=20000",
        "--dump-dom",
        (folder / "frames.html").as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    assert title is not None, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(title[1].replace("&quot;", '"').replace("&amp;", "&"))
    return found


def test_the_report_of_the_demo_fits(browser: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["demo", "--out", str(tmp_path / "demo")])
    assert done.exit_code == 0, done.output
    found = measured(browser, tmp_path / "demo")
    assert set(found) == {str(width) for width in WIDTHS}
    for width, seen in found.items():
        assert seen["page"] <= int(width), f"the page is {seen['page']} wide at {width}"
        assert seen["beyond"] == []
        assert seen["loaded"] == []
        assert seen["cards"] > 3
        assert [one[:60] for one in seen["scrolls"]] == []


def test_long_names_do_not_widen_the_page(
    browser: str,
    tmp_path: Path,
    make_event: Callable[..., EventReport],
    make_report: Callable[..., ReplayReport],
    make_candidate: Callable[..., Candidate],
    make_result: Callable[..., UnitResult],
    make_map: Callable[..., ReportMap],
) -> None:
    long = "x" * 90
    results = (make_result(long, {long: long, "ra": 1.0}), make_result("B", None, error=long))
    candidates = [
        make_candidate(f"{long}{number}", event_id=long, channel=long, results=results)
        for number in range(50)
    ]
    report = make_report([make_event(long, skymap=make_map())], candidates, topology_name=long)
    stamp = Stamp("Science", b"\x89PNG", long)
    page = render(report, stamps=lambda shown: {one.key: (stamp,) * 3 for one in shown})
    (tmp_path / "report.html").write_text(page)
    for width, seen in measured(browser, tmp_path).items():
        assert seen["page"] <= int(width), f"the page is {seen['page']} wide at {width}"
