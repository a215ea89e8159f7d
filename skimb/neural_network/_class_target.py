"""Classes as the target of a network: labels, weights, priors."""

from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.metrics import confusion_matrix
from sklearn.metrics import precision_recall_fscore_support as precision_recall_f1

from skimb._class_prior import effective_prior, starting_prior
from skimb._engine import (
    ImageClassifierNet,
    Part,
    Phase,
    Target,
    class_weighted,
    dataset_of,
    mean_one,
)
from skimb._label_columns import check_labels
from skimb._messages import shown
from skimb.class_weight import weights_from_counts
from skimb.losses import Loss
from skimb.neural_network._double_correction import warn_of_double_correction
from skimb.neural_network._posterior import Posterior
from skimb.neural_network._training_samplers import resample_training_part

__all__ = ["ClassTarget"]

#: The values of parameters that correct in full for the class prior.
WHOLE = {
    "class_weight": ("balanced", "effective"),
    "batch_sampling": ("balanced", "progressive", 1),
}


class ClassTarget(Target):
    """Class labels as the target: class indices with weights, and outputs as probabilities.

    Parameters
    ----------
    parameters : dict
        The parameters of the classifier by name.
    """

    net_class = ImageClassifierNet
    #: The name of a stratum of the validation split.
    stratum = "class"
    #: The least number of held-out samples of a class, where that is not more than a quarter of it.
    least_held = 5
    #: The `scoring` that is computed without a scorer.
    own_scoring = "balanced_accuracy"

    def __init__(self, parameters):
        self.parameters = {
            name: parameters[name]
            for name in (
                "loss",
                "class_weight",
                "max_weight",
                "batch_sampling",
                "target_prior",
                "calibration",
            )
        }
        self.posterior: Any = None
        self._seen: Any = None
        #: The number by which weights are divided, for calls of `partial_fit`.
        self.unit: Any = None
        #: Prior and number of samples of earlier calls of `partial_fit`.
        self._before: Any = None

    # ---------------------------------------------------------------- labels and weights

    def fit(self, y):
        """Learn the labels; return class indices."""
        check_labels(y)
        self.classes, indices = np.unique(y, return_inverse=True)
        if len(self.classes) < 2:
            raise ValueError(
                f"CNNClassifier needs at least two classes, but y holds one class only: "
                f"{shown(self.classes[0])}."
            )
        return indices

    def read(self, y):
        """Return the class indices of labels that `fit` has seen."""
        y = np.asarray(y)
        known = np.isin(y, self.classes)
        if not known.all():
            raise ValueError(
                f"y holds labels that `fit` did not see: {shown(np.unique(y[~known]))}. Labels "
                f"that it saw: {shown(self.classes)}."
            )
        return np.searchsorted(self.classes, y)

    def original(self, values):
        """Return the labels of class indices."""
        return self.classes[values]

    def decode(self, values):
        """Return the labels of class indices, which the network sees as they are."""
        return self.original(values)

    def count(self, indices, weight):
        """Count the samples of positive weight; refuse weights that leave a class without any."""
        empty = self.classes[np.bincount(indices, weights=weight) == 0]
        if len(empty):
            raise ValueError(
                f"`sample_weight` leaves no sample of the classes {empty.tolist()}: all their "
                "weights are zero. Remove these samples, or give one of them a positive weight."
            )
        self.class_count = np.bincount(indices[weight > 0])

    def counts(self, indices):
        """Return the number of samples of each class in a part."""
        return np.bincount(indices, minlength=len(self.classes))

    def learn(self, part):
        """Do nothing: labels need nothing from the training part before it is resampled."""

    # ------------------------------------------------------------------- parts of a data set

    def name_classes(self, classes, known):
        """Set the labels that all calls of `partial_fit` may hold.

        Parameters
        ----------
        classes : array-like or None
            The labels as they were given to this call.
        known : ndarray or None
            The labels of earlier calls; None: this is the first.
        """
        if known is None and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        given: Any = known if classes is None else np.unique(np.asarray(classes))
        if known is not None and not np.array_equal(given, known):
            raise ValueError(
                f"`classes` must be those of the first call. Got {given.tolist()}; they were "
                f"{known.tolist()}."
            )
        if len(given) < 2:
            raise ValueError(
                f"CNNClassifier needs at least two classes, but `classes` holds {given.tolist()}."
            )
        self.classes = given

    def count_part(self, part, before: Any = None):
        """Count the samples of all calls; `before` is the classifier after the last call."""
        self.class_count = self.counts(part.target)
        if before is not None:
            self._before = before.effective_prior_, before.class_count_.sum()
            self.class_count = self.class_count + before.class_count_

    def counts_of_all(self):
        """Return the number of samples of each class in all calls, at least 1."""
        return np.maximum(self.class_count, 1)

    def phase_of_part(self, part, loss, unit, *, is_first):
        """Return the phase of one call, and the mean weight that the first training has fixed."""
        self.class_weight = weights_from_counts(
            self.parameters["class_weight"], classes=self.classes, counts=self.counts_of_all()
        )
        if isinstance(loss, Loss):
            loss.fit_counts(self.counts_of_all())
        weight = part.weight * self.class_weight[part.target]
        weight, unit = mean_one(weight) if unit is None else (weight / unit, unit)
        return Phase(0, weight, loss), unit

    def begin_part(self, training):
        """Set the meaning of the outputs, of which some classes may not have been seen yet."""
        self.at(training, 0)

    # --------------------------------------------------------------- the validation part

    @property
    def wants_validation(self):
        """Whether a validation part is needed for more than early stopping."""
        return self.parameters["calibration"] is not None

    def strata(self, indices, fraction):
        """Return the stratum of each sample, and the names of the strata."""
        return indices, self.classes

    def check_validation(self, indices):
        """Refuse a validation part that cannot be used, as it has too few classes."""
        held = np.unique(indices)
        if len(held) < 2:
            raise ValueError(
                "Early stopping and calibration need at least two classes in the validation part, "
                f"but only {shown(self.classes[held])} could be split. "
                "Give more samples or groups, or use early_stopping=False and calibration=None."
            )

    def watches_loss(self, loss, *, is_resampled):
        """Return whether early stopping can watch the loss of the validation part."""
        return True

    def held_weight(self, valid, training, phase):
        """Weigh held-out samples so that classes count as in the training, batches included."""
        prior = self._prior_shown(training, phase, training.plan.n_epochs - 1)
        held = np.bincount(valid.target, weights=valid.weight, minlength=len(prior))
        weight = valid.weight * (prior / np.maximum(held, np.finfo(float).tiny))[valid.target]
        # All held-out samples of a class may have weight zero.
        return weight / max(weight.mean(), np.finfo(float).tiny)

    def judge(self, outputs, y):
        """Judge the outputs for a validation part.

        Parameters
        ----------
        outputs : ndarray of shape (n, n_classes)
        y : ndarray of shape (n,)
            Labels.

        Returns
        -------
        view : classifier
            For scorers.
        records : dict
            For the history.
        score : float
            The balanced accuracy.
        """
        view = _View(self.classes, self._log_posterior(outputs))
        predicted = view.predict(y)
        precision, recall, f1, _ = precision_recall_f1(
            y, predicted, labels=self.classes, zero_division=0.0
        )
        balanced = float(recall[np.isin(self.classes, y)].mean())
        matrix = confusion_matrix(y, predicted, labels=self.classes)
        records = {
            "valid_balanced_accuracy": balanced,
            "valid_precision": precision.tolist(),
            "valid_recall": recall.tolist(),
            "valid_f1": f1.tolist(),
            "valid_confusion_matrix": matrix.tolist(),
        }
        return view, records, balanced

    def described(self, y):
        """Describe a validation part for an error."""
        return f"the validation part, which holds {shown(np.unique(y))}"

    # --------------------------------------------------------------------- the training

    def resample(self, sampler, part, rng):
        """Apply the sampler to the training part."""
        images, labels, weight = resample_training_part(
            sampler, part.images, self.classes[part.target], part.weight, rng=rng
        )
        return Part(images, np.searchsorted(self.classes, labels), weight)

    def phases(self, part, loss, start):
        """Return the phases of the training; weights set in at epoch `start`, counted from 0."""
        self.class_weight = weights_from_counts(
            self.parameters["class_weight"], classes=self.classes, counts=self.counts(part.target)
        )
        warn_of_double_correction(
            self.parameters,
            WHOLE,
            loss=loss,
            effect=(
                "correct for the class prior, so minority classes are favoured twice. Leave one "
                "of them out, or set `target_prior` to the class prior that predictions are for."
            ),
        )
        weight, _ = class_weighted(
            part.weight, part.target, self.class_weight, max_weight=self.parameters["max_weight"]
        )
        if self.parameters["max_weight"] is None:
            # Relative to the largest: products may overflow.
            largest = self.class_weight.max() or 1.0
            relative = part.weight * (self.class_weight / largest)[part.target]
            self.unit = float(largest) * float(mean_one(relative)[1])
        if isinstance(loss, Loss):
            loss.fit(part.target)
        phases = [Phase(start, weight, loss)]
        if start > 0:
            early = loss
            if isinstance(loss, Loss):
                early = clone(loss).fit(np.arange(len(self.classes)))
            phases.insert(0, Phase(0, mean_one(part.weight)[0], early))
        return phases

    def batch_fractions(self, indices):
        """Return the keywords of the `BatchPlan` that decide how often batches hold each sample."""
        # Only the samples of one call of `partial_fit` may lack a class.
        self._present = np.flatnonzero(self.counts(indices))
        return {
            "target": np.searchsorted(self._present, indices),
            "batch_sampling": self.parameters["batch_sampling"],
        }

    def drawn_counts(self, plan):
        """Return the samples of each class in the batches of the last epoch of a plan."""
        # A net that a user trains further draws without regard to classes.
        if len(plan.drawn) != len(getattr(self, "_present", ())):
            return None
        counts = np.zeros(len(self.classes), dtype=np.intp)
        counts[self._present] = plan.drawn
        return counts.tolist()

    def begin(self, training):
        """Refuse, before the training, parameters with which no predictions could be made."""
        for phase in reversed(training.phases):
            self.at(training, phase.start)
            self._prior()

    def network_options(self, training):
        """Return the keywords of `build_module` that the target decides."""
        loss = training.phases[-1].loss
        adjusts, n_samples = getattr(loss, "adjusts_prior", False), len(training.part.target)
        return {
            "n_outputs": len(self.classes),
            "prior": None if adjusts else starting_prior(self.posterior.effective_prior, n_samples),
            "cosine_head": getattr(loss, "needs_cosine_head", False),
        }

    def example(self):
        """Return outputs and a target of two samples, on which the loss is tried."""
        n_classes = len(self.classes)
        return torch.zeros(2, n_classes), torch.tensor([0, n_classes - 1])

    def at(self, training, epoch):
        """Set the meaning of the outputs after an epoch; see `Target`."""
        phase = training.phase(epoch)
        # Batches have the same prior in all epochs of a phase, except with progressive sampling.
        is_progressive = self.parameters["batch_sampling"] == "progressive"
        seen = phase.start, epoch if is_progressive else None
        if seen == self._seen:
            return
        self._seen = seen
        self.posterior = Posterior(
            self.classes,
            self.class_count,
            phase.loss,
            self._prior_shown(training, phase, epoch),
        )

    def _prior_shown(self, training, phase, epoch):
        """Return the class prior of the batches of an epoch, weights included."""
        fractions = np.zeros(len(self.classes))
        fractions[self._present] = training.plan.fractions(epoch)
        fractions = training.augmentation.label_shares(fractions)
        prior = effective_prior(fractions, training.part.target, phase.weight)
        if self._before is None:
            return prior
        earlier, n_earlier = self._before
        n_samples = self.class_count.sum()
        return (n_earlier * earlier + (n_samples - n_earlier) * prior) / n_samples

    def conclude(self, training, net, epoch):
        """Set the meaning of the outputs after the training.

        Parameters
        ----------
        training : Training
        net : ImageNet
            The trained net, which has the weights of that epoch.
        epoch : int
            Counted from 0.
        """
        self.at(training, epoch)
        if self.parameters["calibration"] is not None and training.held is not None:
            held = training.held
            logits = net.logits(dataset_of(held.images))
            if self.parameters["calibration"] == "bias_corrected":
                self.posterior.fit_biases(logits, held)
            else:
                self.posterior.fit_temperatures(logits, held)

    def fitted(self):
        """Return the public attributes of the classifier."""
        posterior = self.posterior
        zeros = np.zeros(len(self.classes))
        return {
            "classes_": self.classes,
            "class_count_": self.class_count,
            "class_weight_": self.class_weight,
            "effective_prior_": posterior.effective_prior,
            "loss_": posterior.loss,
            "temperature_": posterior.temperature,
            "decision_temperature_": posterior.decision_temperature,
            "biases_": zeros if posterior.biases is None else posterior.biases,
            "decision_biases_": (
                zeros.copy()
                if posterior.decision_biases is None
                else posterior.decision_biases.copy()
            ),
        }

    # ---------------------------------------------------------------------- predictions

    def _prior(self):
        return self.posterior.resolve_prior(
            self.parameters["target_prior"], self.parameters["calibration"]
        )

    def _log_posterior(self, outputs):
        return self.posterior.log(outputs, self._prior())

    def interpret(self, outputs):
        """Return the probabilities of the classes; see `Target`."""
        return np.exp(self._log_posterior(outputs))

    def predict(self, interpreted):
        """Return the most probable labels."""
        return self.classes[interpreted.argmax(axis=1)]


class _View(ClassifierMixin, BaseEstimator):
    """The classifier after an epoch, for scorers: it returns log-posteriors that are known.

    Parameters
    ----------
    classes, log_proba : ndarray
        Labels and their log-probabilities on the validation part.
    """

    def __init__(self, classes, log_proba):
        self.classes = classes
        self.log_proba = log_proba
        self.classes_ = classes

    def fit(self, X, y):
        """Do nothing: the network is trained elsewhere."""
        return self

    def predict_proba(self, X):
        """Return the probabilities of the validation part."""
        return np.exp(self.log_proba)

    def decision_function(self, X):
        """Return log-probabilities, or their difference for two classes."""
        if len(self.classes) == 2:
            return self.log_proba[:, 1] - self.log_proba[:, 0]
        return self.log_proba

    def predict(self, X):
        """Return the most probable labels."""
        return self.classes[self.log_proba.argmax(axis=1)]
