"""Studies that are run in pieces: fits whose results are kept in files, one by one.

A study is a list of fits, each of one way to train on one set of images with one seed. The result
of every fit is written to the JSON file of its set as soon as it is there, so that a study goes on
where it was stopped, also on another machine, and two studies share the fits that they have in
common. A fit whose estimator has changed since is made again.
"""

import copy
import json
import os
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import joblib
import numpy as np
import sklearn
import torch
from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    log_loss,
    mean_absolute_error,
    root_mean_squared_error,
)

import skimb
from skimb._files import write_text
from skimb.metrics import balanced_mean_absolute_error, expected_calibration_error

FOLDER = Path(__file__).resolve().parents[1] / "results" / "fits"

#: The class priors for which the predictions of one network are scored: that of its own training,
#: and those that `target_prior` names.
PRIORS = ("own", "train", "sqrt", "uniform")


class Fit(NamedTuple):
    """One fit: the names of a set and of a way to train, and the seed."""

    data: str
    way: str
    seed: int


class Store:
    """The results of fits, in one JSON file for each set.

    Parameters
    ----------
    folder : Path
        The folder of the files; it is made if it is missing.
    """

    def __init__(self, folder):
        self.folder = Path(folder)

    def file(self, data):
        """Return the file of a set."""
        return self.folder / f"{data}.json"

    def read(self, data):
        """Return the fits of a set, as a dict by way and seed."""
        if not self.file(data).exists():
            return {}
        fits = json.loads(self.file(data).read_text(encoding="utf-8"))["fits"]
        return {(one["way"], one["seed"]): one for one in fits}

    def add(self, fit, code, results):
        """Write the results of one fit, a dict by the names of ways."""
        fits = self.read(fit.data)
        for way, result in results.items():
            fits[way, fit.seed] = {"way": way, "seed": fit.seed, "code": code, **result}
        lines = ",\n".join(json.dumps(fits[key]) for key in sorted(fits))
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.file(fit.data), f'{{"data": "{fit.data}", "fits": [\n{lines}\n]}}\n')

    def has(self, fit, code):
        """Return whether a fit is there, made by this code, with the scores for every prior."""
        result = self.read(fit.data).get((fit.way, fit.seed), {})
        is_whole = "train" not in result or result.keys() >= set(PRIORS)
        return result.get("code") == code and is_whole


def add_options(parser):
    """Add the options of every study to a parser."""
    parser.add_argument("folder", type=Path, help="the folder of the data sets")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1, help="fits at a time, one thread each")
    parser.add_argument("--minutes", type=float, help="begin no fit after this time")
    parser.add_argument("--sets", nargs="+", help="names of sets; by default, all")
    parser.add_argument("--ways", nargs="+", help="names of ways; by default, all")
    parser.add_argument("--results", type=Path, default=FOLDER, help="the folder of the results")
    parser.add_argument("--table", action="store_true", help="fit nothing, print the tables")
    return parser


def chosen(names, wanted, what):
    """Return the wanted ones among names, all of them for None."""
    unknown = set(wanted or ()) - set(names)
    if unknown:
        raise SystemExit(f"There is no {what} {sorted(unknown)}. There are {list(names)}.")
    return [name for name in names if wanted is None or name in wanted]


def make(arguments, parts):
    """Make the fits of a study that are missing, and print a line for each.

    Parameters
    ----------
    arguments : Namespace
        The options of `add_options`.
    parts : list of tuple
        The names of sets, and those of the ways that are compared on each of them.
    """
    # The ways need this module, which keeps their results.
    from ways import code_of, one_fit

    sets = chosen(dict.fromkeys(one for names, _ in parts for one in names), arguments.sets, "set")
    ways = chosen(dict.fromkeys(one for _, names in parts for one in names), arguments.ways, "way")
    if arguments.table:
        return
    start, store = time.monotonic(), Store(arguments.results)
    fits = [
        Fit(data, way, seed)
        for seed in range(arguments.seeds)
        for names, compared in parts
        for data in names
        for way in compared
        if data in sets and way in ways
    ]
    missing = [fit for fit in dict.fromkeys(fits) if not store.has(fit, code_of(fit.way))]
    print(f"{len(missing)} of {len(fits)} fits are to be made.", flush=True)

    def in_time():
        for fit in missing:
            if arguments.minutes and time.monotonic() - start > 60 * arguments.minutes:
                return
            yield joblib.delayed(_alone)(one_fit, fit, arguments.folder)

    parallel = joblib.Parallel(
        arguments.jobs, return_as="generator_unordered", pre_dispatch=arguments.jobs, batch_size=1
    )
    for fit, results in parallel(in_time()):
        store.add(fit, code_of(fit.way), results)
        seconds = results[fit.way]["seconds"]
        print(f"{fit.data}, {fit.way}, seed {fit.seed}: {seconds:.0f} s", flush=True)


def _alone(one_fit, fit, folder):
    """Return a fit and its results, computed by one thread, with the place where it was made."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.simplefilter("ignore", UndefinedMetricWarning)
    # A network sets its own number of threads, up to this limit.
    with patch.dict(os.environ, OMP_THREAD_LIMIT="1"):
        results = one_fit(fit, folder)
    made = made_on()
    return fit, {way: {**result, "made": made} for way, result in results.items()}


def made_on():
    """Return where and when a result is made, in one line."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU {_processor()}"
    versions = f"skimb {skimb.__version__}, torch {torch.__version__}"
    return f"{device}, {versions}, scikit-learn {sklearn.__version__}, {time.strftime('%Y-%m-%d')}"


def _processor():
    """Return the processor's own name, and its vector instructions."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{(names or [''])[0]} ({torch.backends.cpu.get_cpu_capability()})"


def result_of(model, split, seconds):
    """Return the result of a fitted classifier or regressor.

    Parameters
    ----------
    model : estimator
        If it has a parameter ``target_prior``, its predictions are scored for all of `PRIORS`.
    split : Split
    seconds : float
        The time of the training.

    Returns
    -------
    dict
        The classes, their counts in the training part, and for each prior the scores; or the errors
        of a regressor.
    """
    if split.minority is None:
        return {"seconds": round(seconds, 1), "errors": errors_of(model, split)}
    classes, counts = np.unique(split.y, return_counts=True)
    result: dict[str, Any] = {
        "seconds": round(seconds, 1),
        "classes": classes.tolist(),
        "counts": counts.tolist(),
    }
    history = getattr(model, "history_", None)
    if history and "valid_confusion_matrix" in history[0]:
        result["epochs"] = [np.asarray(one["valid_confusion_matrix"]).tolist() for one in history]
    moves = "target_prior" in model.get_params(deep=False)
    for prior in PRIORS if moves else ["own"]:
        if moves:
            model = copy.copy(model).set_params(target_prior=None if prior == "own" else prior)
        result[prior] = scores_of(model, split)
    return result


def scores_of(model, split):
    """Return the confusion matrix of a classifier on the test part, and scores of probabilities.

    F1, precision and recall follow from the matrix, with true classes in rows, for any class prior.
    """
    classes = list(model.classes_)
    confusion = confusion_matrix(split.y_test, model.predict(split.X_test), labels=classes)
    told: dict[str, Any] = {"confusion": confusion.tolist()}
    if hasattr(model, "predict_proba"):
        probability = model.predict_proba(split.X_test)
        is_minority = split.y_test == split.minority
        of_minority = probability[:, classes.index(split.minority)]
        for name, value in (
            ("average_precision", average_precision_score(is_minority, of_minority)),
            ("log_loss", log_loss(split.y_test, probability, labels=classes)),
            ("calibration_error", expected_calibration_error(split.y_test, probability)),
        ):
            told[name] = round(float(value), 4)
    return told


def errors_of(model, split):
    """Return the errors of a regressor on the test part."""
    predicted = model.predict(split.X_test)
    errors = {
        "mean_absolute_error": mean_absolute_error(split.y_test, predicted),
        "root_mean_squared_error": root_mean_squared_error(split.y_test, predicted),
        "balanced_mean_absolute_error": balanced_mean_absolute_error(split.y_test, predicted),
    }
    return {name: round(float(value), 4) for name, value in errors.items()}


def measured(result, prior, *, at=None):
    """Return the scores of decisions, at a class prior.

    Parameters
    ----------
    result : dict
        As `result_of` returns it.
    prior : str
        For which prior the classifier decides, of `PRIORS`.
    at : {"train", "uniform"} or None, default=None
        The class prior at which the decisions are judged; None: that of the test part.

    Returns
    -------
    dict
        ``f1``, ``precision`` and ``recall`` of the rarest class, ``f1_macro``,
        ``balanced_accuracy`` and ``worst_recall``.
    """
    confusion = np.array(result[prior]["confusion"], dtype=float)
    sizes = confusion.sum(axis=1)
    rates = confusion / sizes[:, None]
    counts = np.array(result["counts"], dtype=float)
    weights = {None: sizes, "train": counts, "uniform": np.ones(len(sizes))}[at]
    joint = rates * (weights / weights.sum())[:, None]
    right, called, true = np.diag(joint), joint.sum(axis=0), joint.sum(axis=1)
    with np.errstate(invalid="ignore"):
        precision = np.nan_to_num(right / called)
    f1, recall = 2 * right / (called + true), np.diag(rates)
    rare = counts.argmin()
    return {
        "f1": f1[rare],
        "precision": precision[rare],
        "recall": recall[rare],
        "f1_macro": f1.mean(),
        "balanced_accuracy": recall.mean(),
        "worst_recall": recall.min(),
    }
