"""Strategies of a comparison: built-in ones by name, and the user's own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from inspect import isclass
from typing import Any

from sklearn.base import clone, is_classifier, is_regressor
from sklearn.pipeline import Pipeline

from skimb._strategy_names import BASELINE, CONSTANT

__all__ = [
    "BASELINE",
    "CONSTANT",
    "LINEAR",
    "Strategy",
    "check_settings",
    "chosen_strategies",
    "group_strategies",
]

#: A network without a hidden layer, and without what belongs to layers. A thousand steps at the
#: usual rate, or on shifted images, leave it below logistic regression; so they do not here.
LINEAR = {
    "module": "linear",
    "lr": 1e-2,
    "augmentation": None,
    "freeze": None,
    "lr_decay": None,
}


#: Parameters that all built-in strategies share: the length of the training, seeds, the machine.
SHARED = frozenset(
    (
        *("batch_size", "checkpoint", "compile", "device", "early_stopping", "image_column"),
        *("max_epochs", "n_jobs", "num_workers", "precision", "random_state", "steps_per_epoch"),
        *("validation_fraction", "verbose", "warm_start"),
    )
)


@dataclass(frozen=True, eq=False)
class Strategy:
    """One strategy of a comparison.

    Parameters
    ----------
    label : str
        The strategy's name in tables, plots and files.
    name : str or None
        The built-in strategy that it is; None: one of the user's own.
    estimator : estimator, default=None
        The user's own estimator, which stays as it is.
    description : str, default=""
        The strategy in one line.
    settings : dict, default={}
        Parameters that a variant of a built-in strategy sets.
    """

    label: str
    name: str | None
    estimator: Any = None
    description: str = ""
    settings: dict = field(default_factory=dict)

    @property
    def is_own(self):
        """Whether the user brought it."""
        return self.name is None


def chosen_strategies(strategies, task):
    """Return the strategies of a comparison, the baseline first.

    Parameters
    ----------
    strategies : sequence of str, dict of str to str or estimator, or None
        As in `skimb.study.compare`.
    task : ClassificationTask or RegressionTask
        The task, which knows the built-in strategies.

    Returns
    -------
    list of Strategy

    Raises
    ------
    ValueError
        If a name is unknown, a strategy cannot run, or a value of the dict is neither a name nor an
        estimator of the right kind.
    """
    if isinstance(strategies, Mapping):
        return _from_dict(strategies, task)
    known = task.strategies
    if strategies is None:
        names = [name for name in task.by_default if task.why_impossible(name) is None]
    else:
        if isinstance(strategies, str):
            raise ValueError(
                f"`strategies` must be a list of names, or a dict. Got the string {strategies!r}."
            )
        strategies = list(strategies)
        _check_names(strategies, task)
        names = [name for name in known if name == BASELINE or name in strategies]
    return [Strategy(name, name, description=known[name]) for name in names]


def _check_names(names, task):
    unknown = [name for name in names if not isinstance(name, str) or name not in task.strategies]
    if unknown:
        more = ""
        if any(not isinstance(name, str) for name in unknown):
            more = " Estimators of your own come in a dict: strategies={'mine': estimator}."
        raise ValueError(f"Unknown strategies {unknown}. Known are {list(task.strategies)}.{more}")
    for name in names:
        if (reason := task.why_impossible(name)) is not None:
            raise ValueError(f"Strategy {name!r} cannot run here. {reason}")


def _from_dict(strategies, task):
    if not strategies:
        raise ValueError(
            "`strategies` is an empty dict. Give at least one entry, for instance "
            "{'none': 'none', 'mine': estimator}."
        )
    chosen, labels = [], {}
    for label, value in strategies.items():
        if not isinstance(label, str) or not label.strip():
            raise ValueError(
                "The keys of `strategies` name the strategies in tables and files: they must be "
                f"strings that are not blank. Got {label!r}."
            )
        if label in task.strategies and value is not label and value != label:
            raise ValueError(
                f"{label!r} is the name of a built-in strategy, but the dict `strategies` has "
                f"{_shown(value)} for it. Choose another key."
            )
        if isinstance(value, tuple):
            chosen.append(_variant(label, value, task))
        elif isinstance(value, str):
            _check_names([value], task)
            if value in labels:
                raise ValueError(
                    f"The entries {labels[value]!r} and {label!r} of `strategies` are both the "
                    f"strategy {value!r}. Leave one out."
                )
            labels[value] = label
            chosen.append(Strategy(label, value, description=task.strategies[value]))
        else:
            _check_own(label, value, task)
            chosen.append(Strategy(label, None, value, _described(value)))
    # Stable: the others stay in the order of the dict.
    return sorted(chosen, key=lambda strategy: strategy.name != BASELINE)


def _variant(label, value, task):
    """Return a built-in strategy with other settings."""
    if len(value) != 2 or not isinstance(value[0], str) or not isinstance(value[1], Mapping):
        raise ValueError(
            f"Strategy {label!r} is a tuple, which must hold the name of a built-in strategy and a "
            f"dict of parameters, as ('focal', {{'loss__gamma': 5}}). Got {value!r}."
        )
    name, settings = value[0], dict(value[1])
    _check_names([name], task)
    check_settings(label, name, settings, task)
    return Strategy(label, name, description=task.strategies[name], settings=settings)


def check_settings(label, name, settings, task):
    """Refuse settings of a built-in strategy that it cannot have, or that would be unfair.

    Parameters
    ----------
    label, name : str
        The strategy, as the user calls it, and its built-in name.
    settings : dict
        Parameters of the network.
    task : ClassificationTask or RegressionTask

    Raises
    ------
    ValueError
        If the strategy trains no network of its own, or a parameter is unknown, or is one that all
        strategies share.
    """
    if not settings:
        return
    if name in (*task.built_on_baseline, *task.without_settings, CONSTANT):
        raise ValueError(
            f"Strategy {label!r} has settings, but {name!r} is none that sets parameters of one "
            "network. Leave them out."
        )
    if shared := sorted(set(settings) & SHARED):
        raise ValueError(
            f"The settings of strategy {label!r} hold {', '.join(shared)}, which all strategies "
            "share, so that they can be compared. Set it in `estimator`."
        )
    try:
        task.unfitted(name, task.estimator_class(), settings)
    except ValueError as exc:
        raise ValueError(f"The settings of strategy {label!r} cannot be set: {exc}") from exc


def _check_own(label, value, task):
    """Refuse an object that cannot be compared on this target."""
    if isclass(value):
        raise ValueError(
            f"Strategy {label!r} is the class {value.__name__}. Give an instance: "
            f"{value.__name__}()."
        )
    kind = _kind(value)
    if kind is None:
        raise ValueError(
            f"Strategy {label!r} must be a name, a classifier, a regressor, or a Pipeline that "
            f"ends in one of them. Got {_shown(value)}."
        )
    if kind != task.kind:
        raise ValueError(
            f"Strategy {label!r} is a {kind}, {type(value).__name__}, but {task.why_this_kind} "
            f"Give a {task.kind}, or say what y is: {task.other_kind}."
        )
    try:
        clone(value)
    except (TypeError, RuntimeError, ValueError) as exc:
        raise ValueError(
            f"Strategy {label!r} cannot be cloned, and every run fits a clone: {exc} Give an "
            "estimator that follows scikit-learn's rules for parameters."
        ) from exc


def _kind(value):
    """Return "classifier" or "regressor"; None: it is neither."""
    if not all(hasattr(value, method) for method in ("fit", "get_params", "set_params")):
        return None
    try:
        is_class, is_number = is_classifier(value), is_regressor(value)
    # Tags of foreign objects raise errors of every kind.
    except Exception:
        return None
    return "classifier" if is_class else "regressor" if is_number else None


def _shown(value):
    return repr(value) if isinstance(value, str) else f"an object of type {type(value).__name__}"


def _described(value):
    """Describe an estimator of the user's own in one line."""
    text = f"your own {type(value).__name__}"
    if isinstance(value, Pipeline):
        steps = (
            step if isinstance(step, str) else type(step).__name__
            for _, step in value.steps
            if step is not None
        )
        text += f" ({', '.join(steps)})"
    return f"{text}, fitted as it is"


def group_strategies(strategies, from_baseline=()):
    """Group strategies so that each group needs one network: the unit of work.

    Parameters
    ----------
    strategies : list of Strategy
    from_baseline : container of str, default=()
        The built-in strategies that start from the baseline's network.

    Returns
    -------
    list of list of Strategy
        The group of the baseline first.
    """
    shared = [s for s in strategies if s.name == BASELINE or s.name in from_baseline]
    alone = [[s] for s in strategies if s not in shared]
    return [shared, *alone] if shared else alone
