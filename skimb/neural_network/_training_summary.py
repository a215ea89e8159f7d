"""What happened in a fit: as text, as a table in a notebook, and as plain values."""

import copy
import math
from inspect import isfunction
from numbers import Real
from typing import Any

from markupsafe import Markup
from sklearn.base import clone

from skimb._drawn_text import cells_of, left_aligned, visible_text
from skimb._messages import counted, shortened
from skimb.losses import Loss, RegressionLoss

__all__ = ["TrainingSummary", "summary_of"]

#: Classes that are shown one by one; of more, so many of the rarest and of the most frequent.
MOST_CLASSES, MOST_RARE, MOST_FREQUENT = 12, 8, 3

#: Parameters against imbalance, with their names in the summary.
REMEDIES = {
    "class_weight": "class weights",
    "target_weight": "target weights",
    "sampler": "sampler",
    "batch_sampling": "batch sampling",
    "ranksim": "RankSim",
}

#: The columns of the classes, by the facts that they show.
COLUMNS = {
    "class_count": "samples",
    "class_weight": "weight",
    "effective_prior": "training prior",
    "predicted_prior": "predicted prior",
}

CAUTION = "The training loss still fell when the last epoch ended: the network could learn more."


class TrainingSummary:
    """What happened in a fit of `CNNClassifier` or `CNNRegressor`.

    `CNNClassifier.training_summary` returns it. It prints as text, and a notebook shows it as
    tables.

    Parameters
    ----------
    facts : dict
        What is known, as `to_dict` returns it.

    Examples
    --------
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.neural_network import CNNClassifier
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> clf = CNNClassifier(class_weight="balanced", max_epochs=2, random_state=0)
    >>> summary = clf.fit(X[:400], y[:400]).training_summary()
    >>> print(summary)  # doctest: +ELLIPSIS
    CNNClassifier: SimpleCNN, trained on 400 samples
    <BLANKLINE>
    network        SimpleCNN with ... parameters
    images         1 x 8 x 8 (channels, height, width)
    ...
    >>> summary.to_dict()["n_epochs"]
    2
    """

    def __init__(self, facts):
        self._facts = facts

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as plain values, of which a JSON file can be made.

        What is not known is left out: a file of an earlier version may lack some facts.

        Returns
        -------
        dict
            ``estimator``, ``network``, ``n_parameters``, ``image_shape``, ``columns``, ``loss``,
            ``n_epochs``, ``n_steps``, ``max_epochs``, ``ended_by`` ("max_epochs", "early_stopping",
            or "other": a callback, or a loss that was not finite), ``kept_epoch``, ``train_loss``
            and ``lr`` of epochs, ``still_falls``, ``validation`` (the scores of the kept epoch),
            ``refit`` (the training on all samples), ``seconds`` (of the epochs), ``device``,
            ``precision``, ``batch_size``, ``n_samples`` and ``n_held_out``, and ``parameters`` as
            they were in the fit. Of a classifier also ``classes``, and in their order
            ``class_count``, ``class_weight``, ``effective_prior`` and ``predicted_prior``; of a
            regressor ``target_mean`` and ``target_sd``.
        """
        return copy.deepcopy(self._facts)

    def __repr__(self) -> str:
        rows, (head, classes) = _rows(self._facts), _classes(self._facts)
        width = 2 + max(len(name) for name, _ in rows)
        lines = [visible_text(_title(self._facts)), ""]
        lines += [f"{name:<{width}}{visible_text(text)}" for name, text in rows]
        if self._facts.get("still_falls"):
            lines += ["", CAUTION]
        if classes:
            table = [head, *classes]
            columns = zip(*table, strict=True)
            widths = [max(cells_of(visible_text(text)) for text in column) for column in columns]
            lines.append("")
            for name, *numbers in table:
                cells = [left_aligned(visible_text(name), widths[0])]
                cells += [f"{text:>{n}}" for text, n in zip(numbers, widths[1:], strict=True)]
                lines.append("  ".join(cells).rstrip())
        return "\n".join(lines)

    def _repr_html_(self):
        from skimb._notebook_html import notebook_html

        head, classes = _classes(self._facts)
        parts = [Markup('<p class="lead">{}</p>').format(_title(self._facts))]
        if self._facts.get("still_falls"):
            parts.append(Markup('<p class="caution">{}</p>').format(CAUTION))
        parts.append(_table(Markup(), [ROW.format(*row) for row in _rows(self._facts)]))
        if classes:
            columns = Markup().join(HEAD.format(name) for name in head[1:])
            parts.append(_table(CLASS_HEAD.format(head[0], columns), map(_class_row, classes)))
        return notebook_html(Markup("\n").join(parts))


ROW = Markup('<tr><th class="key" scope="row">{}</th><td class="text">{}</td></tr>')
HEAD = Markup('<th scope="col">{}</th>')
CLASS_HEAD = Markup('<thead><tr><th class="name" scope="col">{}</th>{}</tr></thead>')
CLASS_ROW = Markup('<tr><th class="name" scope="row"><bdi>{}</bdi></th>{}</tr>')
TABLE = Markup('<div class="wide"><table>{}<tbody>{}</tbody></table></div>')


def _table(head, rows):
    return TABLE.format(head, Markup("\n").join(rows))


def _class_row(row):
    label, *numbers = row
    return CLASS_ROW.format(label, Markup().join(map(Markup("<td>{}</td>").format, numbers)))


# ----------------------------------------------------------------------------- the facts


def summary_of(estimator):
    """Return the summary of a fitted estimator.

    Parameters
    ----------
    estimator : BaseCNN
        The estimator, which is fitted.

    Returns
    -------
    TrainingSummary
    """
    network, history = estimator.module_, estimator.history_
    record = vars(estimator).get("_training_record", {})
    facts = {
        "estimator": type(estimator).__name__,
        "network": type(network).__name__,
        "n_parameters": sum(parameter.numel() for parameter in network.parameters()),
        "image_shape": list(estimator.image_shape_),
        "loss": _loss_text(estimator.loss_),
        "n_epochs": estimator.n_iter_,
        "train_loss": [row["train_loss"] for row in history],
        "lr": [row["lr"] for row in history],
        "seconds": sum(row["seconds"] for row in history),
        **record,
    }
    if hasattr(estimator, "table_encoder_"):
        facts["columns"] = list(estimator.table_encoder_.kinds_)
    if hasattr(estimator, "classes_"):
        prior = estimator.predicted_prior_
        facts |= {
            "classes": estimator.classes_.tolist(),
            "class_count": estimator.class_count_.tolist(),
            "class_weight": estimator.class_weight_.tolist(),
            "effective_prior": estimator.effective_prior_.tolist(),
            "predicted_prior": None if prior is None else prior.tolist(),
        }
    else:
        facts |= {"target_mean": float(estimator.y_mean_), "target_sd": float(estimator.y_scale_)}
    if record.get("n_held_out"):
        kept = history[record["kept_epoch"] - 1]
        facts["validation"] = {
            name.removeprefix("valid_"): float(value)
            for name, value in kept.items()
            if name.startswith("valid_") and isinstance(value, Real) and math.isfinite(value)
        }
    return TrainingSummary(facts)


def _loss_text(loss):
    if isinstance(loss, Loss | RegressionLoss):
        # The estimator has set its reduction. The text of a loss with modules has several lines.
        return " ".join(repr(clone(loss).set_params(reduction="mean")).split())
    return loss.__name__ if isfunction(loss) else " ".join(shortened(loss).split())


# ----------------------------------------------------------------------------- the words


def _title(facts):
    samples = f" on {counted(facts['n_samples'], 'sample')}" if "n_samples" in facts else ""
    return f"{facts['estimator']}: {facts['network']}, trained{samples}"


def _rows(facts):
    """Return pairs of a name and what is said of it."""
    told = facts.get("parameters", {})
    shape = " x ".join(map(str, facts["image_shape"]))
    rows = [
        ("network", f"{facts['network']} with {facts['n_parameters']:,} parameters"),
        ("images", f"{shape} (channels, height, width)"),
        ("columns", ", ".join(map(str, facts.get("columns", [])))),
        ("samples", _samples(facts)),
        ("target", _target(facts)),
        ("loss", facts["loss"]),
        *((name, _remedy(told, key)) for key, name in REMEDIES.items() if told.get(key)),
        ("augmentation", str(told.get("augmentation") or "")),
        ("frozen", str(told.get("freeze") or "")),
        ("optimiser", _optimiser(facts, told)),
        ("training", _training(facts)),
        ("training loss", _losses(facts["train_loss"])),
        ("validation", _validation(facts, told)),
        ("refit", _refit(facts.get("refit"))),
        ("time", _time(facts)),
        ("predictions", _predictions(facts)),
    ]
    return [(name, text) for name, text in rows if text]


def _samples(facts):
    if "n_samples" not in facts:
        return ""
    # The sampler acts on the training part alone.
    after = " after the sampler" if facts["parameters"].get("sampler") else ""
    held = facts["n_held_out"]
    return f"{facts['n_samples']:,} to train on{after}" + (
        f", {held:,} held out for validation" if held else ""
    )


def _target(facts):
    if "target_mean" not in facts:
        return ""
    return f"mean {facts['target_mean']:.4g}, standard deviation {facts['target_sd']:.4g}"


def _remedy(told, key):
    text = str(told[key])
    if key == "class_weight" and told.get("max_weight") is not None:
        text += f", at most {told['max_weight']:g} times the mean"
    if key.endswith("_weight") and told.get("reweight_after"):
        text += f", after {told['reweight_after']:.0%} of the epochs"
    return text


def _optimiser(facts, told):
    if not told:
        return ""
    text, last = f"{told['optimizer']}, learning rate {told['lr']:.3g}", facts["lr"][-1]
    if last != told["lr"]:
        text += f", in the last epoch {last:.3g}"
    return f"{text}; batches of {facts['batch_size']}"


def _training(facts):
    n_epochs, most = facts["n_epochs"], facts.get("max_epochs")
    text = counted(n_epochs, "epoch") if most is None else f"{n_epochs} of {counted(most, 'epoch')}"
    if "n_steps" in facts:
        text += f", {counted(facts['n_steps'], 'gradient step')}"
    ended = facts.get("ended_by")
    if ended == "early_stopping":
        text += "; early stopping ended it"
    elif ended == "other":
        text += "; a callback, or a loss that was not finite, ended it"
    kept = facts.get("kept_epoch", n_epochs)
    return text if kept == n_epochs else f"{text}; the weights are those of epoch {kept}"


def _losses(losses):
    if len(losses) == 1:
        return f"{losses[0]:.4g}"
    return f"{losses[0]:.4g} in the first epoch, {losses[-1]:.4g} in the last"


def _validation(facts, told):
    scores = dict(facts.get("validation", {}))
    watched = told.get("scoring")
    score = scores.pop("score", None)
    if watched is not None and score is not None:
        scores.setdefault(str(watched), score)
    said = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in scores.items())
    return f"at epoch {facts['kept_epoch']}: {said}" if said else ""


def _refit(refit):
    if refit is None:
        return ""
    return (
        f"trained again on all {counted(refit['n_samples'], 'sample')}, for "
        f"{counted(refit['n_epochs'], 'epoch')} in {_duration(refit['seconds'])}"
    )


def _time(facts):
    text = _duration(facts["seconds"])
    if "device" in facts:
        text += f" on {facts['device']}, in {facts['precision']}"
    return text


def _predictions(facts):
    if "classes" not in facts or facts["predicted_prior"] is not None:
        return ""
    return "for no known class prior, as the loss moves the decision; target_prior sets one"


def _duration(seconds):
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _classes(facts):
    """Return the head and the rows of the table of the classes, as texts."""
    labels = facts.get("classes", [])
    columns = {key: name for key, name in COLUMNS.items() if facts.get(key) is not None}
    if len(set(facts.get("class_weight", []))) == 1:
        # No class has another weight than the others.
        del columns["class_weight"]
    rows = [
        (str(label), *(_number(facts[key][i]) for key in columns)) for i, label in enumerate(labels)
    ]
    if len(rows) > MOST_CLASSES:
        order = sorted(range(len(rows)), key=lambda i: facts["class_count"][i])
        left_out = len(rows) - MOST_RARE - MOST_FREQUENT
        rows = [
            *(rows[i] for i in order[:MOST_RARE]),
            (f"... {left_out} more", *[""] * len(columns)),
            *(rows[i] for i in order[-MOST_FREQUENT:]),
        ]
    return ("class", *columns.values()), rows


def _number(value):
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"
