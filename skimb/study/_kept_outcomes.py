"""Finished fits of a comparison in a folder, so that the same comparison never does them again."""

import dataclasses
import sys
from pathlib import Path

import imblearn
import numpy as np
import pandas as pd
import sklearn
import skorch
import torch

import skimb
from skimb._archives import Decoder, Encoder, read_archive, write_archive
from skimb._engine import (
    check_checkpoint_folder,
    digest_of,
    mark_of,
    remove_leftovers,
    resolve_device,
)
from skimb._frames import as_pandas
from skimb._image_files import as_paths, is_paths
from skimb._image_source import ImageSource
from skimb._messages import counted
from skimb._reading import read_source, sample_keys
from skimb.study._digestible import digest_of_own
from skimb.study._outcomes import ClassificationOutcome, RegressionOutcome
from skimb.study._predictions import Predictions

__all__ = ["KeptOutcomes", "keep_outcome", "open_outcomes"]

#: The version of the layout of the files: those of other versions are not read.
LAYOUT = 1

#: The classes of objects that a file may hold.
CLASSES = {kind.__name__: kind for kind in (ClassificationOutcome, RegressionOutcome, Predictions)}

#: Parameters of a network that do not change what it predicts.
WITHOUT_EFFECT = ("checkpoint", "device", "num_workers", "verbose")

#: What the name of a file says it is.
PREFIX, ENDING = "skimb-", ".outcome"


@dataclasses.dataclass
class KeptOutcomes:
    """The outcomes of a comparison that are in a folder, and the names of all that may come.

    Parameters
    ----------
    folder : Path or None
        None: nothing is kept.
    keys : dict of (str, int) to str or None
        The key of each strategy in each run; None: it cannot be kept.
    found : dict of (str, int) to (outcome, set of str)
        The outcomes that are known, each with the warnings that its fit raised.
    remarks : list of str
        What is to be told of the folder, as sentences.
    warnings : list of str
        What is to be told of files that cannot be used.
    """

    folder: Path | None = None
    keys: dict = dataclasses.field(default_factory=dict)
    found: dict = dataclasses.field(default_factory=dict)
    remarks: list = dataclasses.field(default_factory=list)
    warnings: list = dataclasses.field(default_factory=list)

    def keys_of(self, i_run, group):
        """Return the key of each strategy of a group in one run, by its label."""
        return {strategy.label: self.keys.get((strategy.label, i_run)) for strategy in group}


def open_outcomes(folder, *, task, chosen, training, runs, data, test, scoring, random_state):
    """Read the outcomes of the same comparison, or of parts of it, from a folder.

    Parameters
    ----------
    folder : str, PathLike or None
        None: nothing is kept.
    task : ClassificationTask or RegressionTask
    chosen : list of Strategy
    training : Training
    runs : list of Run
    data : tuple of (X, y, groups)
        All training samples.
    test : tuple of (X, y) or None
        The fixed test set.
    scoring : dict of str to scorer
    random_state : int, RandomState instance or None

    Returns
    -------
    KeptOutcomes

    Raises
    ------
    ValueError
        If the folder cannot be made or written to, or no later comparison would have equal seeds.
    """
    if folder is None:
        return KeptOutcomes()
    if random_state is None:
        raise ValueError(
            "With `checkpoint`, `random_state` must be a number: with None every call has other "
            "folds and seeds, and would find none of its fits. Give random_state=0."
        )
    check_checkpoint_folder(folder)
    folder = Path(folder).resolve()
    remove_leftovers(folder, "outcome")
    kept = KeptOutcomes(folder)
    _set_keys(kept, task, chosen, training, runs, data, test, scoring)
    for (label, i_run), key in kept.keys.items():
        if key is not None:
            _read(kept, label, i_run, key, runs[i_run])
    _drop_torn_heads(kept, _heads(task, chosen), len(runs))
    own = {_path(folder, key) for key in kept.keys.values() if key is not None}
    others = [path for path in folder.glob(f"{PREFIX}*{ENDING}") if path not in own]
    n_fits = len(kept.keys)
    if kept.found:
        verb = "is" if len(kept.found) == 1 else "are"
        kept.remarks.append(
            f"{len(kept.found)} of {counted(n_fits, 'fit')} {verb} known from {folder}."
        )
    if others:
        kept.remarks.append(
            f"{folder} holds {counted(len(others), 'fit')} of other comparisons or settings, not "
            "used here, and left there."
        )
    return kept


def _set_keys(kept, task, chosen, training, runs, data, test, scoring):
    """Name each fit by a digest of all that decides its outcome."""
    X, y, groups = data
    network = None
    if training.estimator is not None:
        settings = training.estimator.get_params(deep=False)
        network = [
            type(training.estimator),
            {name: value for name, value in settings.items() if name not in WITHOUT_EFFECT},
            str(resolve_device(training.estimator.device)),
            training.steps_per_epoch,
        ]
    common = {
        "versions": [
            LAYOUT,
            sys.version_info[:2],
            *(kind.__version__ for kind in (skimb, torch, skorch, np, sklearn, imblearn)),
        ],
        "fields": [[field.name for field in dataclasses.fields(kind)] for kind in CLASSES.values()],
        "task": [type(task), task.measure_name] if hasattr(task, "measure_name") else type(task),
        "data": [_digest_of_samples(X), digest_of(np.asarray(y)), groups],
        "test": test and [_digest_of_samples(test[0]), digest_of(np.asarray(test[1]))],
        "scoring": dict(scoring),
    }
    of_all = digest_of(common)
    of_network = digest_of(network)
    of_runs = [digest_of([run.train, run.test, run.seed]) for run in runs]
    untold = []
    for strategy in chosen:
        own = [strategy.name, strategy.settings, of_network]
        if strategy.name in task.on_heads:
            # Last layers are trained together, and their sums differ in the last bits otherwise.
            own += [tuple(task.head_length), [[s.name, s.settings] for s in _heads(task, chosen)]]
        if strategy.is_own:
            own = digest_of_own(strategy.estimator)
            if own is None:
                untold.append(strategy.label)
        for i_run, of_run in enumerate(of_runs):
            parts = [of_all, strategy.label, own, of_run]
            kept.keys[strategy.label, i_run] = None if own is None else digest_of(parts).hex()[:32]
    if untold:
        kept.remarks.append(
            f"The fits of {', '.join(untold)} are not kept: a parameter is an object whose "
            "content cannot be told."
        )


def _heads(task, chosen):
    return [strategy for strategy in chosen if strategy.name in task.on_heads]


def _drop_torn_heads(kept, heads, n_runs):
    """Let last layers of a run be trained again together where one of them is missing."""
    for i_run in range(n_runs):
        places = [(strategy.label, i_run) for strategy in heads]
        if not all(place in kept.found for place in places):
            for place in places:
                kept.found.pop(place, None)


def _digest_of_samples(X):
    """Return a digest of samples in any form; of files also their sizes and times."""
    if isinstance(X, ImageSource):
        return digest_of(list(X.marks()))
    if is_paths(X):
        found = [Path(path).stat() for path in as_paths(X)]
        return digest_of([as_paths(X), [(each.st_size, each.st_mtime_ns) for each in found]])
    frame = as_pandas(X)
    if isinstance(frame, pd.DataFrame):
        columns = [(name, _digest_of_samples(frame[name])) for name in frame.columns]
        return digest_of([*map(list, columns)])
    if isinstance(X, np.ndarray) and X.dtype.kind != "O":
        return digest_of(X)
    try:
        return digest_of(list(read_source(X).marks()))
    except (ValueError, TypeError, AttributeError):
        return digest_of(list(sample_keys(X)))


def _path(folder, key):
    return folder / f"{PREFIX}{key}{ENDING}"


def keep_outcome(folder, key, outcome, messages):
    """Write the outcome of a fit, whole or not at all.

    Parameters
    ----------
    folder : Path or None
        None: nothing is kept.
    key : str or None
        The key of the fit; None: it cannot be kept.
    outcome : Outcome
    messages : set of str
        The warnings that the fit raised.

    Returns
    -------
    set of str
        A message where it could not be written.
    """
    if folder is None or key is None:
        return set()
    path = _path(folder, key)
    try:
        encoder = Encoder(_encode)
        document = encoder.encode(
            {"key": key, "outcome": outcome, "messages": sorted(messages)}, "fit"
        )
        write_archive(path, "outcome", document, encoder.arrays, name=mark_of("outcome"))
    except (OSError, ValueError) as exc:
        return {
            f"A fit of {outcome.strategy!r} could not be kept in {folder}: {exc}. The comparison "
            "went on; a later one does this fit again."
        }
    return set()


def _encode(value, encode):
    if type(value) in CLASSES.values():
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return type(value).__name__, encode(fields, type(value).__name__)
    return None


def _decode(kind, content, decode):
    if kind not in CLASSES:
        raise ValueError(f"The file holds an object of the kind {kind!r}, which is none.")
    return CLASSES[kind](**decode(content))


def _read(kept, label, i_run, key, run):
    """Read one outcome if it is there; tell of a file that cannot be used."""
    path = _path(kept.folder, key)
    try:
        document, arrays = read_archive(path, "outcome")
        content = Decoder(arrays, _decode).decode(document)
        outcome = content["outcome"]
        rows = getattr(outcome, "rows", None)
        rows = outcome.predictions.rows if rows is None else rows
        if content["key"] != key or outcome.strategy != label or not np.array_equal(rows, run.test):
            raise ValueError(f"{path} holds another fit than its name says.")
        kept.found[label, i_run] = outcome, set(content["messages"])
    except FileNotFoundError:
        return
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as exc:
        kept.warnings.append(f"A kept fit of {label!r} cannot be used, and is done again: {exc}")
