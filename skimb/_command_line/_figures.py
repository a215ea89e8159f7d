"""The JSON file of a comparison, read again: its recipe, its winner and its figures."""

import json
from argparse import Namespace
from collections import Counter
from dataclasses import dataclass
from typing import Any

from skimb._command_line._labels import listed

__all__ = ["ComparisonFile", "read_comparison"]

#: The parameters of a network that a comparison hands on; others are about the machine, or name
#: files.
RECIPE = (
    *("module", "augmentation", "calibration", "optimizer", "lr", "weight_decay", "lr_schedule"),
    *("lr_decay", "freeze", "max_grad_norm", "max_epochs", "steps_per_epoch", "batch_size"),
    *("value_range", "standardize", "module_params", "optimizer_params", "precision"),
    *("relevance", "density"),
)

#: Names of a recipe in files that hold no parameters.
OLD_RECIPE = {"module": "simple_cnn", "lr": 1e-3, "weight_decay": 1e-2, "augmentation": ...}


@dataclass
class ComparisonFile:
    """The JSON file of a comparison.

    Parameters
    ----------
    path : Path
    figures : dict
        The file, as `skimb.study.Comparison.to_dict` made it.
    """

    path: Any
    figures: dict

    @property
    def is_regression(self):
        """Whether numbers were predicted."""
        return "classes" not in self.figures

    def check_data(self, data):
        """Refuse a comparison of another task, or of other classes.

        Parameters
        ----------
        data : Inputs

        Raises
        ------
        ValueError
            If the comparison is not about these data.
        """
        if self.is_regression != data.is_regression:
            kinds = ["labels", "numbers"]
            raise ValueError(
                f"{self.path} compares strategies for {kinds[self.is_regression]}, and the target "
                f"holds {kinds[data.is_regression]}. Give the comparison of these data."
            )
        if data.is_regression:
            return
        known, found = (
            sorted(map(str, labels)) for labels in (self.figures["classes"], set(data.y.tolist()))
        )
        if known != found:
            raise ValueError(
                f"{self.path} is about the classes {listed(known)}, and the images have the "
                f"classes {listed(found)}. Give the comparison of these data."
            )

    def differences(self, data, arguments, network):
        """Tell in which ways the training of a fit is not that of the comparison.

        Parameters
        ----------
        data : Inputs
            The training data of the fit.
        arguments : Namespace
        network : CNNClassifier or CNNRegressor
            The network of the fit.

        Returns
        -------
        list of str
            Words for each difference; empty: its figures are those of the model. Fields that an
            older file does not have are taken as equal.
        """
        from skimb._command_line._networks import network_of

        protocol, found = self.figures["protocol"], []
        counts = protocol.get("class_counts")
        if isinstance(counts, dict) and not data.is_regression:
            of_data = dict(Counter(str(label) for label in data.y.tolist()))
            if counts != of_data:
                unlike = sorted(
                    f"{label} {counts.get(label)} there and {of_data.get(label)} here"
                    for label in {*counts, *of_data}
                    if counts.get(label) != of_data.get(label)
                )
                more = f", ... {len(unlike)} classes in all" if len(unlike) > 3 else ""
                found.append(f"other numbers of images ({', '.join(unlike[:3])}{more})")
        elif (n_rows := protocol.get("n_rows", len(data.y))) != len(data.y):
            found.append(f"other numbers of images ({n_rows} there and {len(data.y)} here)")
        recipe = protocol.get("recipe")
        shape = recipe.get("image_shape") if isinstance(recipe, dict) else None
        sides = list(data.X.shape[1:3])
        if isinstance(shape, list) and len(shape) == 3 and shape[1:] != sides:
            found.append(f"another size of images ({shape[1:]} there and {sides} here)")
        nothing = Namespace(device="auto", epochs=None, augmentation=None, precision=None)
        same = network_of(nothing, data.is_regression, self.parameters())
        if network.max_epochs != same.max_epochs:
            found.append(f"other epochs ({same.max_epochs} there and {network.max_epochs} here)")
        if network.augmentation != same.augmentation:
            found.append(
                f"another augmentation ({same.augmentation} there and {network.augmentation} here)"
            )
        if network.precision != same.precision:
            found.append(f"another precision ({same.precision} there and {network.precision} here)")
        if "n_groups" in protocol and self._has_other_groups(data, arguments):
            found.append("other groups")
        return found

    def _has_other_groups(self, data, arguments):
        """Tell whether other images were kept together in the splits of the comparison."""
        from skimb._groups import are_shared, checked_groups

        protocol = self.figures["protocol"]
        if not protocol.get("test_share"):
            # A test set of its own needs no splits.
            return False
        if "group" in protocol:
            return protocol["group"] != arguments.group
        groups = checked_groups(data.X, data.groups)
        n_groups = len(set(groups.tolist())) if are_shared(groups) else None
        return protocol["n_groups"] != n_groups

    def winner(self):
        """Return the winner, as `skimb.study.winner_of` does."""
        from skimb.study import winner_of

        try:
            return winner_of(self.figures)
        # A file of another origin can hold anything in any place.
        except Exception as exc:
            raise self._damaged(f"{type(exc).__name__}: {exc}") from exc

    def built_in(self, label):
        """Return the built-in strategy that a strategy of the file is.

        Parameters
        ----------
        label : str

        Returns
        -------
        str or None
            None: the file does not hold it.

        Raises
        ------
        ValueError
            If it is an estimator of the user's own.
        """
        if label not in self.figures["strategies"]:
            return None
        names = self.figures.get("built_in")
        name = names.get(label) if isinstance(names, dict) else label
        own = self.figures["protocol"].get("own_strategies", [])
        if name is None or (names is None and label in own):
            raise ValueError(
                f"{label!r} of {self.path} is no built-in strategy, and the file holds its code"
                " alone. Fit it in Python, and save it by skimb.neural_network.save."
            )
        return name

    def settings(self, label):
        """Return the settings of a variant of a built-in strategy.

        Parameters
        ----------
        label : str

        Returns
        -------
        dict or None
            None: it is the strategy as it is.

        Raises
        ------
        ValueError
            If only Python can make one of them.
        """
        every = self.figures.get("settings", {})
        found = every.get(label) if isinstance(every, dict) else None
        if found is None:
            return None
        if not isinstance(found, dict):
            raise self._damaged(f"the settings of {label!r} must be an object")
        for name, value in found.items():
            if isinstance(value, dict):
                raise ValueError(
                    f"{label!r} of {self.path} has {name}={value.get('code')}, which only Python "
                    "can make. Fit it there, and save it by skimb.neural_network.save."
                )
        return found

    def shares_features(self, label):
        """Tell whether a strategy was compared as a last layer of the baseline's network.

        Parameters
        ----------
        label : str

        Returns
        -------
        bool
        """
        shared = self.figures["protocol"].get("shared_features")
        return isinstance(shared, list) and label in shared

    def measure(self):
        """Return the measure that was asked for, or None."""
        found = self.figures["protocol"].get("measure")
        if not isinstance(found, str | None):
            raise self._damaged("the measure must be text")
        return found

    def deployment(self):
        """Return where the strategies were to be used, or None.

        Returns
        -------
        dict or None
            ``deploy``, the fraction of each class; ``costs``, ``{true: {predicted: cost}}``; and
            ``recall``, that must be kept, or None. Classes are text.

        Raises
        ------
        ValueError
            If the file is damaged there.
        """
        found = self.figures.get("deployment")
        if found is None or self.is_regression:
            return None
        try:
            labels = [str(label) for label in self.figures["classes"]]
            prior = {label: float(found["prior"][label]) for label in labels}
            costs = {
                label: {other: float(cost) for other, cost in zip(labels, row, strict=True)}
                for label, row in zip(labels, found["cost_matrix"], strict=True)
            }
            recall = None if found["require"] is None else float(found["require"]["recall"])
        # A damaged file can hold anything in any place.
        except Exception as exc:
            raise self._damaged(f"deployment: {type(exc).__name__}: {exc}") from exc
        return {"deploy": prior, "costs": costs, "recall": recall}

    def head_training(self, label):
        """Return how the last layer was trained that a strategy trains after its network.

        Parameters
        ----------
        label : str

        Returns
        -------
        dict or None
            With ``batch_size`` and ``max_epochs``; None: it has none, or the file does not tell.
        """
        every = self.figures["protocol"].get("head_training")
        found = every.get(label) if isinstance(every, dict) else None
        if found is not None and not isinstance(found, dict):
            raise self._damaged(f"head_training of {label!r} must be an object")
        return found

    def parameters(self):
        """Return the parameters of the network that are not the default, and its batches.

        Where the batch size and the epochs were chosen by the number of samples, they are those
        that the comparison trained with.

        Returns
        -------
        dict

        Raises
        ------
        ValueError
            If only Python can make the network.
        """
        protocol = self.figures["protocol"]
        found = protocol.get("parameters")
        if found is None:
            return self._old_parameters(protocol)
        found = {name: value for name, value in found.items() if name in RECIPE}
        for name, value in found.items():
            if isinstance(value, dict):
                raise ValueError(
                    f"The network of {self.path} has {name}={value.get('code')}, which only Python "
                    "can make. Fit it there, and save it by skimb.neural_network.save."
                )
        return {
            **self._length(protocol),
            **{
                name: tuple(value) if isinstance(value, list) else value
                for name, value in found.items()
            },
        }

    def _length(self, protocol):
        """Return the batch size and the epochs that the comparison trained with, if it tells."""
        told = {"batch_size": protocol.get("batch_size"), "max_epochs": protocol.get("epochs")}
        return {
            name: value
            for name, value in told.items()
            if isinstance(value, int) and not isinstance(value, bool) and value > 0
        }

    def _old_parameters(self, protocol):
        """Return what the recipe of an older file tells."""
        recipe = protocol.get("recipe") or {}
        found = {
            name: recipe[name]
            for name, default in OLD_RECIPE.items()
            if isinstance(recipe.get(name), str | float | None)
            and name in recipe
            and recipe[name] != default
        }
        return {**self._length(recipe), **found, **self._length(protocol)}

    def image_shape(self):
        """Return the shape that images were resized to, or None."""
        protocol = self.figures["protocol"]
        if isinstance(size := protocol.get("size"), int):
            return 3, size, size
        # Older files hold the shape alone, whether images were resized or not.
        known = protocol.get("parameters", protocol.get("recipe")) or {}
        shape = known.get("image_shape")
        if not isinstance(shape, list) or [type(side) for side in shape] != [int] * 3:
            return None
        return tuple(shape)

    def evaluation(self):
        """Return how the figures were found, in words."""
        return str(self.figures["protocol"].get("evaluation", "its evaluation"))

    def _damaged(self, reason):
        return ValueError(
            f"{self.path} cannot be read as the JSON file of a comparison ({reason}). Give a file "
            "that skimb compare --json wrote."
        )


def read_comparison(path):
    """Read the JSON file of a comparison.

    Parameters
    ----------
    path : Path

    Returns
    -------
    ComparisonFile

    Raises
    ------
    ValueError
        If it is no such file, or is damaged.
    """
    file = ComparisonFile(path, {})
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as exc:
        raise file._damaged(" ".join(str(exc).split())) from exc
    if not isinstance(figures, dict):
        raise file._damaged("it holds no object")
    missing = [name for name in ("baseline", "protocol", "strategies") if name not in figures]
    if missing:
        raise file._damaged(f"it lacks {', '.join(missing)}")
    if figures.get("schema", 1) != 1:
        raise file._damaged(
            f"its schema is {figures['schema']!r}, and this version of skimb reads 1"
        )
    strategies, protocol = figures["strategies"], figures["protocol"]
    if not isinstance(strategies, dict) or not isinstance(protocol, dict):
        raise file._damaged("strategies and protocol must be objects")
    if not all(isinstance(entry, dict) for entry in strategies.values()):
        raise file._damaged("a strategy must be an object")
    if figures["baseline"] not in list(strategies):
        raise file._damaged(f"the baseline {figures['baseline']!r} is none of the strategies")
    if not isinstance(figures.get("classes", []), list):
        raise file._damaged("classes must be a list")
    if not isinstance(protocol.get("parameters", {}), dict):
        raise file._damaged("parameters must be an object")
    file.figures = figures
    return file
