"""The site: every page and every public name has its place, and what is checked once it is built.

`.ci/run` builds it, with warnings as errors, and then runs docs/check_site.py.
"""

import importlib
import os
import pkgutil
import re
import runpy
from pathlib import Path

import pytest

import skimb
from skimb._command_line import COMMANDS

DOCS = Path(__file__).parents[1] / "docs"
TOCTREE = re.compile(r"^```\{toctree\}\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
mistakes_of = runpy.run_path(str(DOCS / "check_site.py"))["mistakes_of"]
COMMANDS_PAGE = DOCS / "guide" / "command_line.md"


def public_names():
    """Yield each module without an underscore with one of its names, and the object."""
    for info in pkgutil.walk_packages(skimb.__path__, "skimb."):
        if "._" not in info.name:
            module = importlib.import_module(info.name)
            for name in module.__all__:
                yield info.name, name, getattr(module, name)


def names_of_reference():
    """Return the full names that the reference lists."""
    names, module = set(), None
    for line in (DOCS / "reference" / "index.rst").read_text(encoding="utf-8").splitlines():
        if found := re.fullmatch(r"\.\. currentmodule:: (\S+)", line):
            module = found[1]
        elif found := re.fullmatch(r"(?:   |\.\. py:data:: )(\w+)", line):
            names.add(f"{module}.{found[1]}")
    return names


def test_every_public_name_has_a_place_in_the_reference():
    listed = names_of_reference()
    objects = {id(value) for module, name, value in public_names() if f"{module}.{name}" in listed}
    missing = [f"{m}.{name}" for m, name, value in public_names() if id(value) not in objects]
    assert not missing, "add them to an autosummary of docs/reference/index.rst"


def test_the_reference_lists_public_names_only():
    assert not names_of_reference() - {f"{module}.{name}" for module, name, _ in public_names()}


def listed_pages(page):
    """Return the pages that the toctrees of a page list."""
    text = page.read_text(encoding="utf-8")
    lines = [line for match in TOCTREE.finditer(text) for line in match["body"].splitlines()]
    entries = [re.sub(r".*<(.*)>", r"\1", line) for line in lines if line and line[0] != ":"]
    return [(page.parent / f"{entry}.md").resolve() for entry in entries]


def test_every_page_is_in_one_toctree_and_linked_where_it_is_listed():
    index = DOCS / "guide" / "index.md"
    of_guide = listed_pages(index)
    listed = of_guide + listed_pages(DOCS / "index.md")
    pages = set(DOCS.rglob("*.md")) - {DOCS / "index.md"}
    assert sorted(pages - set(listed)) == [], "add them to a toctree of docs/guide/index.md"
    assert len(listed) == len(set(listed))
    links = re.findall(r"\]\(([^)#\s]+\.md)", index.read_text(encoding="utf-8"))
    linked = {(index.parent / link).resolve() for link in links}
    assert sorted(set(of_guide) - linked) == [], (
        "link to them where docs/guide/index.md has the task"
    )


def test_every_task_of_the_guide_begins_with_code_and_is_on_the_first_page():
    text = (DOCS / "guide" / "index.md").read_text(encoding="utf-8")
    first_page = (DOCS / "index.md").read_text(encoding="utf-8")
    _, *tasks = re.split(r"^## ", text, flags=re.MULTILINE)
    assert len(tasks) >= 9
    for task in tasks:
        title, _, body = task.partition("\n")
        before, _, after = body.partition("```python\n")
        code = after.partition("```")[0]
        assert 1 <= len([line for line in code.splitlines() if line]) <= 9, title
        assert "](" not in before, title
        assert f"[{title}](guide/index.md#" in first_page, title


def test_the_page_of_the_command_line_has_the_options_of_every_command():
    text = COMMANDS_PAGE.read_text(encoding="utf-8")
    shown = re.findall(r"^```\{command-help\} ?(\w*)$", text, flags=re.MULTILINE)
    assert sorted(filter(None, shown)) == sorted(COMMANDS)


@pytest.mark.parametrize("terminal", ["40", "200"])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_the_help_in_the_site_has_one_width_in_any_terminal(command, terminal, monkeypatch):
    pytest.importorskip("docutils")
    help_text = runpy.run_path(str(DOCS / "_extensions" / "command_help.py"))["help_text"]
    monkeypatch.setenv("COLUMNS", terminal)
    text = help_text(command)
    assert text.startswith(f"usage: skimb {command}".rstrip())
    assert "-h, --help" in text
    options = text.partition("\nstrategies")[0].splitlines()
    assert 70 < max(map(len, options)) <= 88
    assert os.environ["COLUMNS"] == terminal


def test_the_help_of_an_unknown_command_names_those_there_are():
    pytest.importorskip("docutils")
    help_text = runpy.run_path(str(DOCS / "_extensions" / "command_help.py"))["help_text"]
    with pytest.raises(ValueError, match=r"no command 'train'\. Its commands are: inspect, "):
        help_text("train")


def site(folder, **pages):
    for name, body in pages.items():
        (folder / f"{name}.html").write_text(f"<html><body>{body}</body></html>", encoding="utf-8")
    return list(mistakes_of(folder))


def test_a_site_without_mistakes(tmp_path):
    assert not site(
        tmp_path,
        index='<a href="one.html#part">1</a> <a href="https://example.org/a#b">2</a>',
        one='<p id="part"></p> <a href="two.html">2</a> <a href="#part">here</a>',
        two='<img src="two.html" alt="A curve"> <a href="mailto:a@example.org">mail</a>',
    )


@pytest.mark.parametrize(
    ("body", "mistake"),
    [
        ('<a href="two.html">2</a>', "leads to no file"),
        ('<img src="two.png" alt="A curve">', "leads to no file"),
        ('<a href="#part">here</a>', "leads to no anchor"),
        ('<a href="index.html#part">there</a>', "leads to no anchor"),
        ('<a href="https://example/a b">2</a>', "cannot be a link to another site"),
        ('<a href="htps://example.org">2</a>', "cannot be a link to another site"),
        ('<img src="index.html" alt="">', "has no text"),
        ('<img src="index.html">', "has no text"),
    ],
)
def test_a_mistake_of_a_page_is_found(body, mistake, tmp_path):
    (found,) = site(tmp_path, index=body)
    assert found.startswith("index.html: ")
    assert mistake in found


def test_a_page_that_is_three_clicks_away_is_found(tmp_path):
    first, second, third = ('<a href="one.html">', '<a href="two.html">', '<a href="three.html">')
    assert site(tmp_path, index=first, one=second, two=third, three="") == [
        "three.html is more than 2 clicks away from index.html: link to it"
    ]


def test_a_folder_without_a_site_is_told(tmp_path):
    assert "is no built site" in site(tmp_path)[0]
