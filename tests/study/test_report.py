"""The HTML report: one file that stands alone, escapes what it shows, and can be read by anyone."""

import re
from html.parser import HTMLParser
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from made_comparisons import AWKWARD, drawn_images, made_comparison, made_curve, made_regression
from scipy.spatial.distance import pdist

from skimb._class_intervals import wilson_interval
from skimb._command_line import ADDERS, build_parser
from skimb._command_line._shown_commands import fit_command_after, typed_command
from skimb._drawn_text import short_texts
from skimb.study import ClassificationEvaluation, NearCopies, RegressionEvaluation
from skimb.study._charts import axis_of, line_path, marked_points, spread_out
from skimb.study._confusion_tables import confusion_view
from skimb.study._report import _whole_options
from skimb.study._report_charts import differences
from skimb.study._report_images import picture_source
from skimb.study._strategy_marks import marks_of

#: Elements that have no end.
VOID = {"meta", "img", "br", "wbr", "path", "circle"}


class Page(HTMLParser):
    """A page as a list of its elements, its texts, and which ends are missing."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.texts, self.open = [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    def of(self, *tags):
        """Return the attributes of all elements of some kinds."""
        return [attrs for tag, attrs in self.elements if tag in tags]

    @property
    def text(self):
        """All texts, one after another, with single spaces."""
        return " ".join("".join(self.texts).split())


@pytest.fixture(scope="module")
def two():
    comparison = made_comparison(2, classes=["crack", "sound"], counts=[40, 200])
    comparison.more_images = made_curve(np.random.default_rng(0))
    return comparison


@pytest.fixture(scope="module")
def reports(two):
    return {
        "two": two._report(),
        "awkward": made_comparison(
            len(AWKWARD), classes=AWKWARD, cv=2, strategies=["over", "threshold"]
        )._report(),
        "one run": made_comparison(
            2, counts=[20, 60], X_test=True, strategies=["over", "smote_embedding"]
        )._report(),
        "many": made_comparison(40, cv=2, strategies=["over", "prior_shift"])._report(),
        "numbers": made_regression(strategies=["weight_sqrt", "constant"])._report(),
        "evaluation": evaluation()._page(),
        "errors": RegressionEvaluation([1.0, 2, 3], [1.5, 2, 2], X=drawn_images([0, 1, 2]))._page(),
    }


def evaluation():
    truth = np.repeat(AWKWARD, 3)
    return ClassificationEvaluation(
        *(truth, np.roll(truth, 1)),
        classes=sorted(AWKWARD),
        minority=AWKWARD[0],
        X=drawn_images(np.repeat(np.arange(len(AWKWARD)), 3)),
        names=[f"</script>{i}.png" for i in range(len(truth))],
    )


@pytest.fixture(params=["two", "awkward", "one run", "many", "numbers", "evaluation", "errors"])
def html(request, reports):
    return reports[request.param]


# ------------------------------------------------------------------------- every page


@pytest.mark.slow
@pytest.mark.parametrize("page", ["numbers", "errors"])
def test_pages_say_where_predictions_beyond_the_range_stand(reports, page):
    assert "Predictions beyond the range of the target stand at the edge." in reports[page]


@pytest.mark.slow
def test_a_page_is_well_formed_and_runs_and_loads_nothing(html):
    page = Page(html)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "iframe", "object", "form", "input", "base", "video"}
    assert not [name for _, attrs in page.elements for name in attrs if name.startswith("on")]
    for attrs in page.of("img"):
        assert re.match(r"data:image/(png|jpeg);base64,", attrs["src"])
    assert {attrs["href"][0] for attrs in page.of("a")} == {"#"}
    assert "http" not in html.replace("http-equiv", "")
    assert "url(" not in html
    assert "@import" not in html


@pytest.mark.slow
def test_headings_are_in_order_and_links_lead_to_one_place_each(html):
    page = Page(html)
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    wanted = {attrs["href"][1:] for attrs in page.of("a")}
    wanted |= {attrs["aria-labelledby"] for attrs in page.of("section")}
    assert wanted <= set(ids)


@pytest.mark.slow
def test_images_charts_and_tables_can_be_read_aloud(html):
    page = Page(html)
    assert all(attrs["alt"].strip() for attrs in page.of("img"))
    for attrs in page.of("svg"):
        is_hidden = attrs.get("aria-hidden") == "true" or "class" not in attrs
        assert is_hidden or (attrs["role"] == "img" and attrs["aria-label"].strip())
    assert all("scope" in attrs for attrs in page.of("th"))
    boxes = [attrs for attrs in page.of("div") if attrs.get("class") == "wide"]
    assert all(attrs["tabindex"] == "0" and attrs["aria-label"] for attrs in boxes)
    labels = [attrs["aria-label"] for attrs in boxes]
    assert len(labels) == len(set(labels))
    assert len(page.of("main")) == len(page.of("header")) == 1


@pytest.mark.slow
def test_the_style_has_rules_for_dark_narrow_and_paper(html):
    style = html.split("<style>")[1].split("</style>")[0]
    # On paper a dark scheme would cost ink and contrast.
    assert "@media screen and (prefers-color-scheme: dark)" in style
    assert "@media (max-width: 760px)" in style
    paper = style.split("@media print")[1]
    for rule in ("print-color-adjust: exact", "details::details-content", "break-after: avoid"):
        assert rule in paper
    colours = set(re.findall(r"var\((--[a-z0-9-]+)\)", html))
    for scheme in (style.split("@media screen")[0], style.split("@media screen")[1]):
        assert not [name for name in colours - {"--f"} if f"{name}:" not in scheme]


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return np.dot(linear, [0.2126, 0.7152, 0.0722])


@pytest.mark.slow
def test_colours_have_enough_contrast_in_both_schemes(reports):
    style = reports["two"].split("<style>")[1]
    for scheme in (style.split("@media screen")[0], style.split("@media screen")[1]):
        found = dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", scheme))
        [heat] = re.findall(r"--heat: (\d+) (\d+) (\d+)", scheme)
        found["heat"] = "#" + "".join(f"{int(part):02x}" for part in heat)

        def contrast(one, other, found=found):
            light = sorted(luminance(found[name]) + 0.05 for name in (one, other))
            return light[1] / light[0]

        texts = [("ink", "paper"), ("ink", "tint"), ("ink", "heat"), ("soft", "paper")]
        texts += [("soft", "tint"), ("link", "paper"), ("link", "tint")]
        texts += [(name, f"{name}-paper") for name in ("up", "down", "none")]
        assert min(contrast(*pair) for pair in texts) >= 4.5
        assert min(contrast(f"s{i}", "paper") for i in range(8)) >= 3


#: Linear RGB as it is seen without one of the three kinds of cones (Machado et al. 2009).
SEEN = {
    "all cones": np.eye(3),
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}
TO_XYZ = np.array([[0.434, 0.376, 0.190], [0.213, 0.715, 0.072], [0.018, 0.109, 0.873]])


@pytest.mark.slow
@pytest.mark.parametrize("kind", SEEN)
def test_colours_of_strategies_differ_for_all_eyes(kind, reports):
    style = reports["two"].split("<style>")[1]
    for scheme in (style.split("@media screen")[0], style.split("@media screen")[1]):
        found = dict(re.findall(r"--(s\d|ink): (#[0-9a-f]{6})", scheme))
        rgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in found.values()])
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        seen = np.clip(linear @ np.transpose(SEEN[kind]), 0, 1) @ TO_XYZ.T
        f = np.where(seen > 0.008856, np.cbrt(seen), 7.787 * seen + 16 / 116)
        lab = np.column_stack(
            [116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])]
        )
        # A difference of 2.3 can just be seen where colours lie side by side.
        assert pdist(lab).min() > 15


# ------------------------------------------------------------------------- labels


@pytest.mark.slow
@pytest.mark.parametrize("name", ["awkward", "evaluation"])
def test_labels_of_any_text_are_shown_as_they_are(name, reports):
    html = reports[name]
    page = Page(html)
    for bad in ("<b>bold", "</style><h1>", "\N{RIGHT-TO-LEFT OVERRIDE}", "</script>"):
        assert bad not in html
    assert html.count("</style>") == 1
    for label in AWKWARD:
        shown = label.replace("\N{RIGHT-TO-LEFT OVERRIDE}", r"\u202e")
        assert shown in page.text
    # Names that differ at the end only are told apart where space is short too.
    one, two = short_texts(AWKWARD[4:6], most=16)
    assert one != two
    assert one in page.text
    assert two in page.text


def test_short_texts_differ_and_keep_letters_that_fonts_lack():
    assert short_texts(["x" * 60, "x" * 61, "\u732b"], most=9) == [
        "xxxx…xxxx", "xxxx…xxxx (2)", "\u732b"
    ]  # fmt: skip


# ------------------------------------------------------------------------- what stands where


@pytest.mark.slow
def test_options_are_not_broken_behind_their_hyphens():
    found = _whole_options("Give --group-near-duplicates, not <b> --, to a-b--c.")
    option = '<span class="option">--group-near-duplicates</span>'
    assert found == f"Give {option}, not &lt;b&gt; --, to a-b--c."


def test_sections_come_in_the_order_of_a_decision(reports):
    def order(html, wanted):
        return [name for name in re.findall(r'<section id="([a-z-]+)"', html) if name in wanted]

    wanted = ["verdict", "figures", "differences", "trade", "classes", "calibration"]
    wanted += ["matrices", "mistakes"]
    wanted += ["training", "more-images", "data", "protocol", "code", "next"]
    assert order(reports["two"], wanted) == wanted
    wanted = ["verdict", "figures", "differences", "trade", "errors", "predictions", "mistakes"]
    assert order(reports["numbers"], wanted) == wanted


@pytest.mark.slow
def test_the_verdict_stands_first_in_sentences(monkeypatch):
    small = made_comparison(2, counts=[10, 20], cv=2, strategies=["over"])
    figures = small.to_dict() | {"verdict_sentences": ["<b>Nothing</b> is shown.", "Take more."]}
    monkeypatch.setattr(small, "to_dict", lambda: figures)
    text = Page(small._report()).text
    after = text.split("The verdict")[-1]
    assert re.match(r"\s*The baseline|\s*By minority F1", after)
    assert re.search(
        r"The tests behind it, in words\s*<b>Nothing</b> is shown\.\s*Take more\.", after
    )


@pytest.mark.slow
def test_mistakes_have_the_names_of_their_files(two):
    named = made_comparison(2, counts=[10, 30], cv=2, strategies=["over"])
    named.files = [f"scans/<i>{i}.png" for i in range(40)]
    mistakes = named.to_dict()["strategies"]["none"]["mistakes"]
    page = Page(named._report())
    shown = [attrs["title"] for attrs in page.of("small") if "title" in attrs]
    assert shown[: len(mistakes)] == [mistake["file"] for mistake in mistakes]
    assert all(mistake["file"].split("/")[1] in page.text for mistake in mistakes)
    assert "the name of its file" in page.text
    assert "the name of its file" not in Page(two._report()).text


@pytest.mark.slow
def test_figures_of_a_class_have_intervals_where_test_images_are_independent(two, reports):
    for name, comparison in (("two", two), ("one run", None)):
        page = Page(reports[name])
        assert "Below a figure stands its own 95 % interval" in page.text
        assert ("of the 5 runs together" in page.text) == (comparison is not None)
    truth, predicted = (
        np.concatenate([two.tested(outcome)[part] for outcome in two.outcomes["none"]])
        for part in (1, 2)
    )
    low, high = wilson_interval(*(np.sum((truth == predicted) & (truth == 0)), np.sum(truth == 0)))
    assert f"{low:.3f} to {high:.3f}" in Page(reports["two"]).text
    again = made_comparison(2, counts=[10, 30], cv=2, n_repeats=2, strategies=["over"])
    assert "its own 95" not in Page(again._report()).text
    assert "Below a figure stands its 95 % interval" in Page(reports["evaluation"]).text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["two", "one run", "many"])
def test_the_curve_of_each_strategy_has_the_numbers_of_its_images(name, reports):
    html = reports[name]
    section = html[html.index('<section id="calibration"') :]
    section = section[: section.index("</section>") + len("</section>")]
    curves = [
        attrs["aria-label"]
        for attrs in Page(section).of("svg")
        if attrs.get("aria-label", "").startswith("Reliability of ")
    ]
    rows = len(re.findall("<tr", section)) - 1
    # The constant has no curve; of many classes there are two events.
    assert len(curves) == (rows - 1 if "constant" in section else rows) * (1 + (name == "many"))
    for label in curves:
        told = label.partition("of images. ")[2].split("; ")
        counts = [int(one.split(" of ")[1]) for one in told]
        assert sum(counts) >= 80
        assert min(counts) >= 10
    numbers = [float(cell) for cell in re.findall(r"<td>(\d\.\d+)</td>", section)]
    assert numbers[::3] == sorted(numbers[::3])
    assert "below it they are too high" in section
    assert 'href="#calibration"' in html
    assert "calibration" not in reports["numbers"]


def test_one_run_has_no_words_on_intervals_and_strategies_that_did_not_run(reports):
    text = Page(reports["one run"]).text
    assert "ran once" in text
    assert "over the runs" not in text
    assert "prior_shift" not in text
    assert "smote_embedding" in text
    assert " nan" not in text


@pytest.mark.slow
def test_the_names_of_few_classes_stand_over_all_of_their_columns(reports):
    groups = [a for a in Page(reports["two"]).of("th") if a["scope"] == "colgroup"]
    assert [attrs["colspan"] for attrs in groups] == ["3", "3"]


@pytest.mark.slow
def test_many_classes_make_long_tables_and_pictures_of_their_confusions(reports):
    page = Page(reports["many"])
    assert not [attrs for attrs in page.of("th") if attrs["scope"] == "colgroup"]
    assert "the most frequent confusions" in page.text
    pictures = [a for a in page.of("img") if a.get("class") == "picture"]
    # The baseline and two strategies.
    assert len(pictures) == 3
    assert "40 by 40 fields" in pictures[0]["alt"]
    assert "The other 30 classes" in page.text


def test_the_most_frequent_confusions_come_first():
    matrix = np.diag(np.full(20, 9))
    matrix[3, 4], matrix[7, 1] = 5, 6
    view = confusion_view(matrix, list(range(20)))
    assert [(one["true"], one["predicted"], one["count"]) for one in view["confusions"]] == [
        ("7", "1", 6), ("3", "4", 5)
    ]  # fmt: skip
    assert view["confusions"][0]["fraction"] == 6 / 15
    assert (view["n_errors"], view["n_images"]) == (11, 191)
    assert confusion_view(matrix[:3, :3], ["a", "b", "c"])["rows"][0]["cells"][0]["fraction"] == 1


@pytest.mark.slow
def test_the_table_says_that_features_are_shared():
    small = made_comparison(2, counts=[10, 20], cv=2, strategies=["over"])
    assert "Features are shared" not in Page(small._report()).text
    small.protocol["shared_features"] = ["over"]
    assert "Features are shared: over are last layers" in Page(small._report()).text


@pytest.mark.slow
def test_a_search_is_shown_with_its_candidates():
    found = made_comparison(2, counts=[10, 20], cv=2, strategies=["over"])
    found.search = SimpleNamespace(
        candidates=[SimpleNamespace(label=name) for name in ("<i>first", "second", "third")],
        scores=np.array([[0.5, 0.7, np.nan], [0.5, 0.8, np.nan]]),
        measure="f1_minority",
        to_dict=dict,
    )
    text = Page(found._report()).text
    assert "All 3 candidates" in text
    rows = re.findall(r"(<i>first|second|third)(\d\.\d{3}|not scored)(\d)", text)
    assert rows == [
        ("second", "0.750", "2"),
        ("<i>first", "0.500", "2"),
        ("third", "not scored", "0"),
    ]


@pytest.mark.slow
def test_equal_means_are_all_called_the_highest(reports, two):
    equal = made_comparison(2, counts=[20, 60], cv=2, strategies=["threshold", "prior_shift"])
    for name in ("f1_minority", "balanced_accuracy"):
        for outcomes in list(equal.outcomes.values())[1:]:
            for outcome in outcomes:
                outcome.scores[name] = 1.0
    text = Page(equal._report()).text
    assert "The highest mean is 1.000: threshold and prior_shift." in text


# ------------------------------------------------------------------------- figures


@pytest.mark.slow
def test_a_strategy_has_one_mark_and_no_two_have_the_same(two):
    marks = marks_of(two)
    assert list(marks) == two.strategies
    assert len(set(marks.values())) == len(marks)
    html = two._report()
    for mark in marks.values():
        drawn = set(re.findall(rf'd="{re.escape(mark.path)}" fill="var\(--(\w+)\)"', html))
        assert mark.colour in drawn
    points = re.findall(r'<text x="[\d.]+" y="[\d.]+">(\w+)</text>', html)
    # Each dot has its label; the constant lies too far off to be shown.
    assert sorted(points) == sorted(set(two.strategies) - {"constant"})


def test_equal_dots_stand_side_by_side_and_labels_do_not_overlap():
    found = marked_points(
        ["a", "b", "c", "d"],
        np.array([50.0, 50.0, 80, np.nan]),
        np.array([60.0, 60.5, 63, 10]),
        right=100,
        low=0,
        high=200,
    )
    assert [[dot["name"] for dot in point["dots"]] for point in found] == [["a", "b"], ["c"]]
    places = [point["x"] + dot["shift"] for point in found for dot in point["dots"]]
    assert len(set(places)) == 3
    labels = sorted(dot["label_y"] for point in found for dot in point["dots"])
    assert min(np.diff(labels)) >= 13


@pytest.mark.parametrize("seed", range(5))
def test_labels_keep_their_distance_their_order_and_their_ends(seed):
    rng = np.random.default_rng(seed)
    wanted = sorted(rng.uniform(0, 200, size=10).tolist())
    found = spread_out(wanted, gap=[15.0] * 10, low=0, high=200)
    assert min(np.diff(found)) >= 15 - 1e-9
    assert found[0] >= 7.5 - 1e-9
    assert found[-1] <= 192.5 + 1e-9
    # Places that are far enough apart stay.
    assert spread_out([20.0, 50.0], gap=[15.0, 15.0], low=0, high=200) == [20.0, 50.0]


def test_an_axis_has_round_ticks_within_its_ends():
    axis = axis_of([0.12, 0.87], 0, 100)
    assert [text for _, text in axis.ticks] == ["0.25", "0.5", "0.75"]
    assert axis.at(axis.low) == 0
    assert axis.at(axis.high) == 100
    assert axis_of([3.0, 3.0], 0, 100).low < 3 < axis_of([3.0, 3.0], 0, 100).high
    assert axis_of([np.nan], 0, 100).ticks
    assert line_path(np.array([0, 1, 2, 3]), np.array([1, np.nan, 2, 3])) == "M0 1M2 2L3 3"


def test_an_interval_that_says_nothing_is_cut_with_an_arrow():
    wide = {"a": (0.1, -5.6, 6.2), "b": (0.02, -0.1, 0.1), "c": (-0.05, -0.1, 0.05)}
    comparison = SimpleNamespace(
        strategies=["none", *wide],
        chosen={name: SimpleNamespace(name=name) for name in wide},
        judgement=lambda name, metric: SimpleNamespace(
            **dict(zip(("difference", "low", "high"), wide[name], strict=True))
        ),
    )
    found = differences(comparison, "f1_minority")
    first, *others = found["rows"]
    assert found["is_cut"]
    assert (first["is_cut_left"], first["is_cut_right"]) == (True, True)
    assert (first["low"], first["width"]) == (0, 100)
    assert not any(row["is_cut_left"] or row["is_cut_right"] for row in others)
    assert min(row["width"] for row in others) > 5


def test_images_are_small_files():
    flat = np.zeros((96, 96, 3), np.uint8)
    assert picture_source(flat).startswith("data:image/png")
    noise = np.random.default_rng(0).integers(0, 256, size=(96, 96, 3)).astype(np.uint8)
    source = picture_source(noise)
    assert source.startswith("data:image/jpeg")
    assert len(source) < 25_000
    assert picture_source(np.zeros((8, 8, 1), np.uint8)).startswith("data:image/png")


# ------------------------------------------------------------------------- commands


def arguments_of(*words):
    arguments = build_parser(ADDERS).parse_args(words)
    arguments.typed = list(words)
    return arguments


def test_the_commands_to_repeat_and_to_go_on_are_quoted_for_a_shell():
    typed = ["compare", "my images.csv", "--target", "it's", "--seed", "3", "--json", "r 1.json"]
    arguments = arguments_of(*typed)
    assert typed_command(arguments) == (
        "skimb compare 'my images.csv' --target 'it'\"'\"'s' --seed 3 --json 'r 1.json'"
    )
    assert fit_command_after(arguments) == (
        "skimb fit 'my images.csv' --target 'it'\"'\"'s' --seed 3 --strategy best "
        "--from 'r 1.json' --out model.skimb"
    )
    plain = arguments_of("compare", "images", "--counts", "cat=3,dog=4")
    assert fit_command_after(plain) == (
        "skimb fit images --counts cat=3,dog=4 --strategy best --from result.json --out model.skimb"
    )


@pytest.mark.slow
def test_the_report_ends_with_the_next_step():
    small = made_comparison(2, counts=[10, 20], cv=2, strategies=["over"])
    text = Page(small._report()).text
    assert "estimator.fit(X, y)" in text.split("The next step")[-1]
    small.protocol |= {
        "command": "skimb compare '<my images>'",
        "next_command": "skimb fit '<my images>' --strategy best --from result.json --out m.skimb",
    }
    text = Page(small._report()).text
    assert "This command repeats the comparison: skimb compare '<my images>'" in text
    last = text.split("The next step")[-1]
    assert "skimb fit '<my images>' --strategy best" in last
    assert "run the comparison again with --json result.json" in last
    small.protocol["command"] += " --json result.json"
    assert "run the comparison again" not in Page(small._report()).text


def test_copies_that_change_no_figure_are_told_in_one_line():
    def copies(without):
        return str(NearCopies(3, 40, {"none": {"f1_minority": {"with": 0.8, "without": without}}}))

    assert copies(0.8).endswith("Minority F1 of all strategies is the same without them.")
    assert "without them, and with them:\n  none: 0.700, not 0.800" in copies(0.7)
    assert "none: not defined, not 0.800" in copies(None)
