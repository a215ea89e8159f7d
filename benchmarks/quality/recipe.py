"""Find one set of parameters that is good on all sets of images with a rare class.

Ways to train are compared on real sets: the strategies of `compare`, single ingredients of a
training (augmentation, mixing, length, small batches, averaged weights), and combinations of them.
Each network decides for the class prior that its training aimed at, for that of the training part,
for a uniform one, and for one between these two, the square roots of the class counts; none of this
trains anything again.

    python benchmarks/quality/recipe.py FOLDER [--seeds 3] [--jobs 2] [--minutes M] [--sets ...]
    python benchmarks/quality/recipe.py FOLDER --table [--write PAGE]

A way is ranked on each set, by the mean over seeds of the F1 of the rarest class or of the balanced
accuracy; F1 is that at the class prior of the training part. "Lost" is the distance from the best
way of a set. Then each set is left out in turn: the way with the best mean score on the others is
chosen, and judged on the set that was left out. Two further sets take no part in any choice.

FOLDER holds fashion_mnist/ and cifar10/, and, unpacked, cats_dogs/ and elpv_solar/. A fit on the
last two sets takes a quarter of an hour to an hour of a core; ``--sets`` can leave them out. Every
fit is kept in benchmarks/results/fits, and only those that are missing are made.
"""

import argparse
from pathlib import Path

from fit_tables import DECISIONS, frame, made, markdown, titled, write_between
from kept_fits import Store, add_options, chosen, make
from ways import LARGER, PEERS, PRETRAINED, SEARCHED, STRATEGIES, TRAININGS, WEIGHTED

#: The sets by which the recipe was chosen, those whose fits are short before the others.
NAMES = [
    *("digits", "shirts_60_others_378", "traffic_lights", "shirts_1500_others_9000"),
    *("fashion_deep_smote", "fashion_long_tailed", "cifar10_long_tailed"),
    *("solar_cells", "cats_150_dogs_1500"),
]

#: Sets that had no part in the choice.
UNSEEN = ["cats_1000_dogs_11000", "cats_500_dogs_11000"]

#: Ways of other studies on these sets.
OTHERS = [*LARGER, *PRETRAINED, *PEERS, *WEIGHTED]
OTHERS += [f"pretrained, {layer}" for layer in ("decoupled", "smote_embedding")]

#: By what ways are ranked, at the class prior of the training part.
MEASURES = {"f1": "F1 of the rarest class", "balanced_accuracy": "Balanced accuracy"}


def means(found, measure):
    """Return the mean score of each way and decision on each set, where all sets have it.

    Decisions that are those of the network's own are left out.

    Parameters
    ----------
    found : DataFrame
        As `fit_tables.frame` returns it.
    measure : str
        A column of it.

    Returns
    -------
    DataFrame of shape (n_ways, n_sets)
        Its index holds pairs of a way and what it decides for.
    """
    table = found.pivot_table(measure, ["way", "decides"], "data", sort=False).dropna()
    repeated = [
        pair
        for pair in table.index
        if pair[1] != "own" and table.loc[pair].equals(table.loc[(pair[0], "own")])
    ]
    return table.drop(index=repeated)


def ranked(table):
    """Return the rank of each way on each set, 1 for the best, with means for ties."""
    return table.rank(ascending=False)


def left_out(table):
    """Return, for each set, the way that the other sets choose, its rank, and what it loses.

    Parameters
    ----------
    table : DataFrame of shape (n_ways, n_sets)
        Mean scores.

    Returns
    -------
    list of tuple
        ``(set, (way, decides), rank, lost)``; of a single set there is none.
    """
    ranks = ranked(table)
    rows = []
    for data in table if len(table.columns) > 1 else ():
        choice = table.drop(columns=data).mean(axis=1).idxmax()
        lost = table[data].max() - table.loc[choice, data]
        rows.append((data, choice, ranks.loc[choice, data], lost))
    return rows


def section(found, measure):
    """Return the tables of a measure: all ways by their mean rank, and the sets left out."""
    table = means(found, measure)
    ranks, lost = ranked(table), table.max() - table
    head = ["way", *map(titled, table), "mean", "mean rank", "lost, mean", "lost, most"]
    rows = [head]
    for way in ranks.mean(axis=1).sort_values().index:
        numbers = [f"{table.loc[way, data]:.3f}" for data in table]
        numbers += [f"{table.loc[way].mean():.3f}", f"{ranks.loc[way].mean():.1f}"]
        rows.append(
            [_named(way), *numbers, f"{lost.loc[way].mean():.3f}", f"{lost.loc[way].max():.3f}"]
        )
    out = [["set left out", "chosen by the others", f"rank of {len(table)}", "lost"]]
    out += [
        [titled(data), _named(way), f"{rank:g}", f"{gap:.3f}"]
        for data, way, rank, gap in left_out(table)
    ]
    return f"### {MEASURES[measure]}\n\n{markdown(rows)}\n\n{markdown(out)}"


def unseen_section(found):
    """Return the table of both measures on sets that had no part in the choice, best F1 first."""
    tables = {measure: means(found, measure) for measure in MEASURES}
    names = {"f1": "F1", "balanced_accuracy": "balanced accuracy"}
    heads = [f"{titled(data)}: {names[key]}" for key, table in tables.items() for data in table]
    rows = [["way", *heads]]
    for way in tables["f1"].mean(axis=1).sort_values(ascending=False).index:
        scores = [score for table in tables.values() for score in table.loc[way]]
        rows.append([_named(way), *(f"{score:.3f}" for score in scores)])
    return f"### Sets that had no part in the choice\n\n{markdown(rows)}"


def _named(pair):
    way, decides = pair
    return way + DECISIONS[decides]


def main():
    """Make the fits, and print or write the tables."""
    parser = add_options(argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]))
    parser.add_argument("--write", type=Path, metavar="PAGE")
    arguments = parser.parse_args()
    everything = [*NAMES, *UNSEEN]
    make(arguments, [(everything, [*TRAININGS, *STRATEGIES, *SEARCHED])])
    names, store = chosen(everything, arguments.sets, "set"), Store(arguments.results)
    found = frame(store, names, at="train", seeds=arguments.seeds)
    found = found[~found["way"].isin(OTHERS)]
    unseen = found["data"].isin(UNSEEN)
    sections = [section(found[~unseen], measure) for measure in MEASURES if not unseen.all()]
    sections += [unseen_section(found[unseen])] if unseen.any() else []
    text = "\n\n".join([*sections, made(found)])
    if arguments.write:
        write_between(arguments.write, "recipe", text)
    else:
        print(text)


if __name__ == "__main__":
    main()
