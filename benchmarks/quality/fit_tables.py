"""Tables of studies, from the results that `kept_fits` keeps."""

import re

import numpy as np
import pandas as pd
from kept_fits import PRIORS, measured

from skimb._files import write_text

#: How decisions for a class prior are named behind the name of a way.
DECISIONS = {
    "own": "",
    "train": ", prior of the training",
    "sqrt": ", prior of roots",
    "uniform": ", uniform prior",
}


#: Sets whose name is not the title of a table.
TITLES = {
    "fashion_deep_smote": "Fashion-MNIST, counts of DeepSMOTE",
    "fashion_long_tailed": "Fashion-MNIST, long-tailed",
    "cifar10_long_tailed": "CIFAR-10, small, long-tailed",
}


def frame(store, names, *, at=None, seeds=None):
    """Return the scores of every set, way, decision and seed.

    Parameters
    ----------
    store : Store
    names : list of str
        The sets.
    at : {"train", "uniform"} or None, default=None
        The class prior at which decisions are judged; None: that of the test part.
    seeds : int, default=None
        The number of seeds that count; None: all.

    Returns
    -------
    DataFrame
        With the columns ``data``, ``way``, ``decides``, ``seed``, ``made``, the scores of
        `measured`, ``average_precision``, ``log_loss``, ``calibration_error`` and ``seconds``.
    """
    rows = [
        {"data": data, "way": way, "decides": prior, "seed": seed}
        | measured(result, prior, at=at)
        | {name: value for name, value in result[prior].items() if name != "confusion"}
        | {"seconds": result["seconds"], "made": result["made"]}
        for data in names
        for (way, seed), result in store.read(data).items()
        for prior in PRIORS
        if prior in result and (seeds is None or seed < seeds)
    ]
    return pd.DataFrame(rows)


def spread(values):
    """Return the mean of some numbers, with their standard deviation where there are several."""
    values = np.asarray(values, dtype=float)
    if len(values) == 0 or np.isnan(values).all():
        return ""
    deviation = f" ± {values.std(ddof=1):.3f}" if len(values) > 1 else ""
    return f"{values.mean():.3f}{deviation}"


def markdown(rows):
    """Return rows of texts, the first of which is the head, as a table in Markdown."""
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def both_priors(store, data, *, seeds=None, ways=None):
    """Return the table of a set: scores at the class priors of its test and its training part.

    Parameters
    ----------
    store : Store
    data : str
        The set.
    seeds : int, default=None
        The number of seeds that count; None: all.
    ways : list of str, default=None
        The ways to show, in this order; None: all.

    Returns
    -------
    str
        A table in Markdown, below the name of the set.
    """
    as_is, as_trained = (frame(store, [data], at=at, seeds=seeds) for at in (None, "train"))
    if as_is.empty:
        return f"**{titled(data)}**\n\nNo fit has been made."
    rows = [
        [
            *("way", "F1", "precision", "recall", "balanced accuracy", "average precision"),
            *("F1, training prior", "precision, training prior"),
        ]
    ]
    if ways is not None:
        # What stands below the table is said of these alone.
        as_is = as_is[as_is["way"].isin(ways)]
    for way, decides in shown(as_is, ways):
        here, there = (
            table[(table["way"] == way) & (table["decides"] == decides)]
            for table in (as_is, as_trained)
        )
        row = [way + DECISIONS[decides]]
        measures = ("f1", "precision", "recall", "balanced_accuracy", "average_precision")
        row += [spread(here[measure]) for measure in measures]
        rows.append([*row, spread(there["f1"]), spread(there["precision"])])
    return f"**{titled(data)}**\n\n{markdown(rows)}\n\n{made(as_is)}"


def titled(data):
    """Return the name of a set as a title."""
    sizes = re.fullmatch(r"([a-z]+)_(\d+)_([a-z]+)_(\d+)", data)
    if sizes:
        return f"{sizes[2]} {sizes[1]}, {sizes[4]} {sizes[3]}"
    words = data.replace("_", " ")
    return TITLES.get(data, words[0].upper() + words[1:])


def shown(table, ways=None):
    """Return ways with their own decisions, and with those for a uniform prior if they differ."""
    pairs = []
    for way in ways or table["way"].unique():
        own, uniform = (
            table.loc[(table["way"] == way) & (table["decides"] == decides), "recall"].to_numpy()
            for decides in ("own", "uniform")
        )
        pairs += [(way, "own")] if len(own) else []
        pairs += [(way, "uniform")] if len(uniform) and not np.array_equal(own, uniform) else []
    return pairs


def made(table):
    """Return a sentence on the seeds and on where the fits of a table were made."""
    versions: dict[tuple[str, str], set[str]] = {}
    for one in table["made"]:
        place, _, libraries = re.sub(r", \d{4}-\d\d-\d\d$", "", one).partition(", skimb ")
        version, _, others = libraries.partition(", ")
        versions.setdefault((place, others), set()).add(version)
    places = [
        f"{place}, skimb {', '.join(sorted(found))}, {others}"
        for (place, others), found in sorted(versions.items())
    ]
    seeds = table.groupby(["data", "way"])["seed"].nunique()
    number = f"{seeds.min()}" if seeds.min() == seeds.max() else f"{seeds.min()} to {seeds.max()}"
    plural = "" if seeds.max() == 1 else "s"
    return f"{number} seed{plural} a way; {'; '.join(places)}."


def write_between(page, name, text):
    """Replace what stands in a page between ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->``."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    old = page.read_text(encoding="utf-8")
    if old.count(begin) != 1 or old.count(end) != 1:
        raise SystemExit(f"{page} must have the lines {begin} and {end} once.")
    before, rest = old.split(begin)
    write_text(page, f"{before}{begin}\n\n{text}\n\n{end}{rest.split(end)[1]}")
