"""Sphinx: the site of the documents. `make docs` builds it; a warning is an error."""

import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE))

from reference_pages import pages  # noqa: E402  (it stands beside this file)

project = "ampelstream"
copyright = "the ampelstream developers, BSD-3-Clause"  # noqa: A001  (Sphinx asks for the name)
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "ampelstream"
pygments_style = "default"
suppress_warnings = ["misc.highlighting_failure"]  # commands with <PLACE> in them are no shell

_REPOSITORY = "https://github.com/ampelstream/ampelstream/blob/main/"
_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
_OPERATIONS = "operations"


def setup(app: Any) -> None:
    """Make the pages that are made from the code, and let links lead where the site has them."""
    for path, text in pages().items():
        place = HERE / path
        place.parent.mkdir(exist_ok=True)
        if not place.exists() or place.read_text() != text:
            place.write_text(text)
    app.connect("source-read", _lead)


def _lead(_app: Any, name: str, content: list[str]) -> None:
    """Links between documents lead to pages; those to other files, to the repository."""
    home = ROOT / "deploy" if name == _OPERATIONS else (HERE / name).parent

    def link(found: re.Match[str]) -> str:
        words, target = found.groups()
        if re.match(r"[a-z]+:|#", target):
            return found[0]
        path, _, anchor = target.partition("#")
        behind = f"#{anchor}" if anchor else ""
        place = (home / path).resolve()
        if place == ROOT / "deploy" / "README.md":
            place = HERE / f"{_OPERATIONS}.md"
        if place.is_relative_to(HERE):
            return f"[{words}](/{place.relative_to(HERE)}{behind})"
        return f"[{words}]({_REPOSITORY}{place.relative_to(ROOT)}{behind})"

    content[0] = _LINK.sub(link, content[0])
