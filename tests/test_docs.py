"""The pages of the guide: their Python blocks run in order, and their scripts run."""

import ast
import os
import re
import runpy
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from skimb import losses
from skimb.model_selection import SpreadCorrectedRegressor
from skimb.neural_network import CNNClassifier, CNNRegressor
from skimb.study import FURTHER_STRATEGIES, REGRESSION_STRATEGIES, STRATEGIES
from skimb.study._classification_strategies import unfitted_classifier
from skimb.study._regression_strategies import unfitted_regressor

ROOT = Path(__file__).parents[1]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.md"))
SCRIPTS = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/guide/[!_]*.py"))

#: What the build of the site makes, which its own check looks at.
GENERATED = [ROOT / "docs" / "auto_examples", ROOT / "docs" / "reference" / "generated"]

#: A fenced block, the comment above it that says why it is not executed, and the block after it.
FENCE = re.compile(
    r"(?P<comment><!-- not executed: [^\n]+ -->\n)?"
    r"^```(?P<language>\w*)\n(?P<body>.*?)^```\n(?:\n```\n(?P<output>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)


def blocks_of(text, language):
    """Return the line, the code and the printed value of each block that is to be executed."""
    return [
        (text[: match.start("body")].count("\n"), match["body"], match["output"])
        for match in FENCE.finditer(text)
        if match["language"] == language and match["comment"] is None
    ]


def run_block(name, line, code, output, namespace):
    """Execute a block; where a block of plain text follows, compare its last value with that."""
    # As many empty lines as stand above it: an error names the line of the page.
    tree = ast.parse("\n" * line + code, filename=name)
    last = tree.body[-1]
    if output is None or not isinstance(last, ast.Expr):
        exec(compile(tree, name, "exec"), namespace)
    else:
        tree.body.pop()
        exec(compile(tree, name, "exec"), namespace)
        value = eval(compile(ast.Expression(last.value), name, "eval"), namespace)
        assert str(value).split() == output.split(), f"{name}, line {line}"


def run_page(name, text):
    namespace = {"__name__": "__main__"}
    for block in blocks_of(text, "python"):
        run_block(name, *block, namespace)
    return namespace


WITH_CODE = [
    page for page in PAGES if blocks_of((ROOT / page).read_text(encoding="utf-8"), "python")
]


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("page", WITH_CODE)
def test_the_blocks_of_a_page_run_in_order(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(page, (ROOT / page).read_text(encoding="utf-8"))


def test_there_are_pages_with_code_and_scripts():
    assert len(WITH_CODE) >= 4
    assert len(SCRIPTS) >= 4


PAGE = """
```python
x = 1
```

<!-- not executed: it downloads a network -->
```python
x = 2
```

```python
y = x + 1
y
```

```
2
```
"""


def test_blocks_share_names_in_order_and_marked_ones_are_left_out():
    assert run_page("page.md", PAGE)["y"] == 2


def test_a_value_that_is_not_the_printed_one_fails():
    with pytest.raises(AssertionError, match=r"page\.md, line 11"):
        run_page("page.md", PAGE.replace("```\n2", "```\n3"))


def test_an_error_names_the_line_of_the_page():
    with pytest.raises(NameError) as caught:
        run_page("page.md", PAGE.replace("x = 1", "unknown"))
    assert caught.traceback[-1].lineno + 1 == 3


# A network of one epoch may predict one class only.
@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_of_the_guide_runs(script, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [script, "--quick", "--folder", str(tmp_path)])
    # They share a file of colours, beside them.
    monkeypatch.syspath_prepend(ROOT / "docs" / "guide")
    with mpl.rc_context():
        runpy.run_path(str(ROOT / script), run_name="__main__")
    plt.close("all")
    assert list(tmp_path.glob("*.png"))


@pytest.mark.parametrize("page", [*PAGES, "README.md", "CONTRIBUTING.md"])
def test_commands_and_links_of_a_page_name_files_that_exist(page):
    path = ROOT / page
    text = path.read_text(encoding="utf-8")
    named = [
        ROOT / word
        for _, body, _ in blocks_of(text, "console")
        for word in re.findall(
            r"(?<!\S)(?:docs|benchmarks|tests|skimb)/\S+\.(?:py|txt)(?!\S)", body
        )
    ]
    links = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", text)
    named += [Path(os.path.normpath(path.parent / link)) for link in links]
    assert not missing(named)


def missing(files):
    """Return the files and folders that are not there, but for those that the site is made of."""
    return [
        str(file)
        for file in files
        if not file.exists() and not any(file.is_relative_to(folder) for folder in GENERATED)
    ]


def anchors_of(text):
    """Return the anchors that the forge, and the site, give to the headings of a page."""
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", outside, flags=re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", [*PAGES, "README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_to_a_part_of_a_page_name_one_of_its_headings(page):
    path = ROOT / page
    text = path.read_text(encoding="utf-8")
    broken = []
    for link, anchor in re.findall(r"\]\((?!https?://)([^)#\s]*)#([^)\s]+)\)", text):
        target = path.parent / link if link else path
        if target.suffix == ".md" and anchor not in anchors_of(target.read_text(encoding="utf-8")):
            broken.append(f"{link}#{anchor}")
    assert not broken


def test_paths_in_the_contributor_page_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:skimb|tests|docs|benchmarks|\.ci)/[\w./-]*)`", text))
    assert len(named) > 20
    assert not missing([ROOT / path for path in sorted(named)])


def rows_of_strategies():
    """Map the heading of each table of strategies to its rows: name, sentence, Python, networks."""
    page = (ROOT / "docs" / "guide" / "strategies.md").read_text(encoding="utf-8")
    _, *sections = re.split(r"^## ", page, flags=re.MULTILINE)
    return {
        section.partition("\n")[0]: [
            [cell.strip() for cell in row.split("|")[1:-1]]
            for row in re.findall(r"^\| `.*$", section, flags=re.MULTILINE)
        ]
        for section in sections
    }


@pytest.mark.parametrize(
    ("heading", "strategies"),
    [
        ("Labels: the default ones", STRATEGIES),
        ("Labels: further ones", FURTHER_STRATEGIES),
        ("Numbers", REGRESSION_STRATEGIES),
    ],
)
def test_each_strategy_has_a_row_in_its_table(heading, strategies):
    named = [name.strip("`") for name, *_ in rows_of_strategies()[heading]]
    assert sorted(named) == sorted(strategies)


#: Their cells describe in words what depends on the data.
IN_WORDS = ("`recipe`", "`tuned_baseline`")


def test_the_estimators_of_the_table_are_those_of_the_strategies():
    namespace = {}
    for module in ("neural_network", "losses", "over_sampling", "under_sampling", "study"):
        exec(f"from skimb.{module} import *", namespace)
    exec("from skimb.model_selection import *\nfrom sklearn.dummy import *", namespace)
    tables = rows_of_strategies()
    numbers = tables.pop("Numbers")
    labels = [row for rows in tables.values() for row in rows if row[0] not in IN_WORDS]
    network, regressor = CNNClassifier(), CNNRegressor()
    for name, _, code, _ in labels:
        made = unfitted_classifier(name.strip("`"), network)
        # The number of epochs is explained behind the code.
        code, _, _ = code.partition(", where ")
        assert repr(eval(code.strip("`"), namespace)) == repr(made)
    scoring = SpreadCorrectedRegressor(regressor).scoring
    for name, _, code, _ in numbers:
        made = unfitted_regressor(name.strip("`"), regressor, scoring=scoring)
        assert repr(eval(code.strip("`"), namespace)) == repr(made)
    assert len(labels) + len(numbers) > 30


def test_each_loss_has_a_row_with_its_defaults():
    page = (ROOT / "docs" / "guide" / "losses.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `\"\w+\"` \| `(\w+)\((.*?)\)` \|", page, flags=re.MULTILINE)
    classes = {
        name: value
        for name in losses.__all__
        if isinstance(value := getattr(losses, name), type)
        and value not in (losses.Loss, losses.RegressionLoss)
    }
    assert sorted(name for name, _ in listed) == sorted(classes)
    for name, defaults in listed:
        known = classes[name]().get_params(deep=False)
        given = eval(f"dict({defaults})")
        assert given == {key: known[key] for key in given}, name
