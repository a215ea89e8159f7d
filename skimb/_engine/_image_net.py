"""The skorch net that reads images: it trains in whole batches and predicts in equal blocks."""

from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.base import ClassifierMixin, RegressorMixin
from skorch.exceptions import DeviceWarning, SkorchTrainingImpossibleError
from torch.utils.data import Dataset

from skimb._engine._batch_norms import RecentBatches
from skimb._engine._batch_plan import BatchPlan
from skimb._engine._blocks import (
    block_size,
    forward,
    has_ragged_weights,
    map_side_by_side,
    replicas,
)
from skimb._engine._divergence import ended_diverged
from skimb._engine._image_data import BatchIterator
from skimb._engine._memory import BatchParts
from skimb._engine._net import PER_CLASS, Net
from skimb._engine._optimizers import loss_parameters
from skimb._engine._runtime import (
    is_available,
    seeded,
    threads_beside,
    threads_for,
    with_live_threads,
)
from skimb._engine._standardized import mean_over_views
from skimb._engine._step_graph import StepGraphs
from skimb._networks import batch_norms, hidden_values, named_batch_norms
from skimb._warnings import warn

__all__ = ["OF_ENGINE", "ImageClassifierNet", "ImageNet", "ImageRegressorNet"]

#: Prefix of the names of callbacks that the engine adds to those of the user.
OF_ENGINE = "engine_"

#: Attributes that only the training needs.
OF_TRAINING = (
    "plan",
    "augmentation",
    "layers",
    "regularizer",
    "train_split",
    "scores",
    "optimizer_",
)

#: Numbers of results that are fetched from a device at once.
VALUES_AT_ONCE = 2**22

#: An image on which views are tried to see how many they are.
ONE_IMAGE = torch.zeros(1, 1, 1, 1)


class ImageNet(Net):
    """A skorch net for images, which can be used without the estimator that holds it.

    ``predict``, ``predict_proba``, ``score`` and ``partial_fit`` take images and targets in the
    form of the estimator's `fit`; ``history``, ``save_params`` and ``load_params`` are skorch's.
    Before predictions, batch-norm statistics are re-estimated from the last batches.

    Parameters
    ----------
    module, criterion, **kwargs
        As in skorch; `dataset` turns X and y of the estimator's form into a data set.
    plan : BatchPlan, default=None
        The samples of each batch of the training; None: all samples in random order.
    multiply_adds : int, default=0
        The work of one image, forward only.
    num_workers : int, default=0
        Number of processes that decode image files.
    augmentation : Augmentation, default=None
        Changes of the batches of the training.
    regularizer : callable, default=None
        A function of ``(labels)`` that returns a term, which is added to the loss of a training
        batch.
    target : Target, default=None
        The meaning of outputs; None: the network was not trained here.
    scores : callable, default=None
        A function of ``(outputs, loss)`` of the validation part that returns records of the
        history.
    seed : int, default=0
        Seed of a later ``partial_fit``.
    """

    #: The `StepForward` of the training; None: the module as it is.
    forward_: Any = None

    #: What records the steps of the training, and their graphs; None: they run kernel by kernel.
    recorder_: Any = None
    graphs_: Any = None

    #: The `Shares` of a training by several processes.
    shares_: Any = None

    def __init__(
        self,
        module,
        criterion,
        *,
        plan: Any = None,
        multiply_adds=0,
        num_workers=0,
        augmentation=None,
        regularizer: Any = None,
        target: Any = None,
        scores: Any = None,
        seed=0,
        **kwargs,
    ):
        super().__init__(module, criterion, **kwargs)
        # Set in the way of skorch, which examines each attribute that is set.
        self.__dict__.update(
            plan=plan,
            multiply_adds=multiply_adds,
            num_workers=num_workers,
            augmentation=augmentation,
            regularizer=regularizer,
            target=target,
            scores=scores,
            seed=seed,
        )

    @property
    def own_callbacks(self):
        """The callbacks of the user, each with its name."""
        return [
            (name, callback)
            for name, callback in self.callbacks_
            if not name.startswith(OF_ENGINE) and name not in ("epoch_timer", "print_log")
        ]

    # -------------------------------------------------------------------- skorch's hooks

    def initialize_module(self):
        """Set the module, and choose the size of the blocks in which it predicts."""
        # A trained module stays, but skorch would build a new one from its class.
        if getattr(self, "module_", None) is None:
            super().initialize_module()
        views = self.module_.views
        work = self.multiply_adds * (1 if views is None else len(views(ONE_IMAGE)))
        n_layers = sum(parameter.ndim > 1 for parameter in self.module_.parameters())
        size = block_size(work, torch.device(self.device), n_layers)
        self.__dict__.update(
            block_size_=size,
            block_work_=work * size,
            is_ragged_=has_ragged_weights(self.module_),
        )
        return self

    def initialize_criterion(self):
        """Set the loss; the loss of a training stays."""
        if getattr(self, "criterion_", None) is None:
            super().initialize_criterion()
        return self

    def get_iterator(self, dataset, training=False):
        """Return an iterator of whole batches."""
        # A DataLoader would read single samples and collate them.
        if training:
            gives_rows = self.graphs_ is not None
            options = {"num_workers": self.num_workers, "gives_rows": gives_rows}
            return BatchIterator(dataset, self.batch_size, self.plan, **options)
        return BatchIterator(dataset, self.block_size_, num_workers=self.num_workers)

    def infer(self, x, **fit_params):
        """Run the module on a batch; predictions are made in blocks of a fixed size."""
        # Kernels are chosen by the number of samples: in blocks of equal size a sample gets equal
        # values.
        if self.module_.training:
            images = x.to(self.device)
            run = self.forward_
            return self.module_(images) if run is None else run(self.module_, images)
        blocks = x.to(self.device).split(self.block_size_)
        return torch.cat([self._forward(self.module_, block) for block in blocks])

    def evaluation_step(self, batch, training=False):
        """Predict a batch, with as many threads as the estimator uses."""
        with threads_for(self.block_work_):
            return super().evaluation_step(batch, training=training)

    def validation_step(self, batch, **fit_params):
        """Predict a batch in the same way as after the training, and return its loss."""
        with threads_for(self.block_work_):
            return super().validation_step(batch, **fit_params)

    def _forward(self, module, images):
        images = images.to(self.device)
        return forward(module, images, self.block_size_, is_ragged=self.is_ragged_)

    def train_step(self, batch, **fit_params):
        """Take a step on a batch, by a graph where there is one."""
        if self.graphs_ is not None:
            return self.graphs_.step(*batch)
        return self.whole_step(batch, **fit_params)

    def whole_step(self, batch, **fit_params):
        """Take a step on a batch, after its augmentation."""
        if self.augmentation is not None:
            images, labels = batch
            batch = self.augmentation(
                images.to(self.device), *(label.to(self.device) for label in labels)
            )
        self.recent_.keep(batch[0])
        return super().train_step(batch, **fit_params)

    def train_step_single(self, batch, **fit_params):
        """Compute the gradient of a batch, in parts where it does not fit in memory.

        Several processes that train the network together compute a share of it each.
        """
        step = None if self.shares_ is None else self.shares_.step(self, batch)
        if step is not None:
            return step
        return self.parts_.step(batch, super().train_step_single)

    def step_on_part(self, batch, fraction):
        """Add the gradient of a part of a batch; the loss is multiplied by its fraction."""
        images, labels = batch
        self._set_training(True)
        outputs = self.infer(images)
        loss = self.get_loss(outputs, labels, X=images, training=True) * fraction
        loss.backward()
        return {"loss": loss.detach(), "y_pred": outputs.detach()}

    def forget_step(self):
        """Drop what a step has left that has failed."""
        self._zero_grad_optimizer(set_to_none=True)
        if self.regularizer is not None:
            self.regularizer.forget()

    def limit_blocks(self, n_samples):
        """Predict in blocks of at most so many samples from now on."""
        size = min(self.block_size_, n_samples)
        work = self.block_work_ // self.block_size_ * size
        self.__dict__.update(block_size_=size, block_work_=work)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Return the loss of a batch, in training with the term of the regulariser."""
        # skorch would examine the tuple of labels, which are on the device, several times.
        loss = self.criterion_(y_pred, tuple(label.to(self.device) for label in y_true))
        if training and self.regularizer is not None:
            loss = loss + self.regularizer(y_true)
        return loss

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Go once over the batches; before validation, batch-norm statistics are re-estimated."""
        if iterator is not None and not training:
            self.re_estimate_norms()
        super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)

    def end_of_batches(self, prefix, loss, outputs):
        """Return the mean loss of an epoch and, for the validation part, its scores."""
        records = super().end_of_batches(prefix, loss, outputs)
        if self.shows_batches_:
            # Only skorch's `Checkpoint` reads these.
            name = prefix + "_loss"
            earlier = [record[name] for record in self.history[:-1] if name in record]
            records[name + "_best"] = loss < min(earlier, default=np.inf)
        if prefix == "train" and self.target is not None:
            counts = self.target.drawn_counts(self.plan)
            if counts is not None:
                records[PER_CLASS + "class_counts"] = counts
        if outputs and self.scores is not None:
            scores = self.scores(torch.cat(outputs).cpu().numpy(), loss)
            records |= {
                (PER_CLASS + name if isinstance(value, list) else name): value
                for name, value in scores.items()
            }
        return records

    def shown(self, batch):
        """Return a batch for callbacks of users: images, and y in the estimator's form."""
        images, (target, *_) = batch
        return images, self.target.decode(target.cpu().numpy())

    def end_of_epochs(self):
        """Re-estimate batch-norm statistics, if no validation has done so."""
        if self.train_split is None:
            self.re_estimate_norms()

    def end_of_training(self):
        """Re-estimate them again where a callback of the user may have restored other weights."""
        if self.shows_batches_:
            self.end_of_epochs()

    def re_estimate_norms(self):
        """Re-estimate batch-norm statistics from the last batches, for the present weights."""
        self._set_training(True)
        norms = [norm for norm in batch_norms(self.module_) if norm.training]
        self._set_training(False)
        parts = self.__dict__.get("parts_")
        n_most = None if parts is None else parts.size
        self.recent_.re_estimate(self.module_, norms, self.device, n_most)

    # ------------------------------------------------------------------------ training

    def fit(self, X, y=None, **fit_params):
        """Refuse a new fit: the estimator builds the network, and this net only trains it."""
        raise SkorchTrainingImpossibleError(
            "`fit` of this net would have to build another network, and the estimator that holds "
            "the net does that. Call `fit` of the estimator; or `partial_fit` of the net, which "
            "continues from the present weights."
        )

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        """Train for `max_epochs` more epochs, from the present weights.

        The state of the optimiser was dropped at the end of the last training, so a new one begins,
        at the constant rate `lr`. There is no validation part, and the augmentation, sampler,
        weights, frozen layers, layer-wise rates and clipping of the estimator are not used: all
        parameters train.

        Parameters
        ----------
        X, y : array-like
            Images and targets in the form of the estimator's `fit`; or a data set of the engine.
        classes
            Not used.
        **fit_params
            ``epochs``: epochs to train instead of `max_epochs`.

        Returns
        -------
        self

        Raises
        ------
        SkorchTrainingImpossibleError
            If the network was not trained here, like the one of an embedder.
        """
        epochs = fit_params.pop("epochs", None)
        if fit_params:
            raise TypeError(f"`partial_fit` of this net does not know {sorted(fit_params)}.")
        if self.plan is not None:
            return self._train(X, epochs)
        if self.target is None:
            raise SkorchTrainingImpossibleError(
                "This net holds a network that is used as it is: it has no loss and no target. "
                "Train it as the `module` of CNNClassifier or CNNRegressor."
            )
        if y is None and not isinstance(X, Dataset):
            raise ValueError("`partial_fit` needs y, the labels or values that belong to X.")
        dataset = self.get_dataset(X, y)
        seed = self.seed + len(self.history)
        self.plan = BatchPlan(
            np.zeros(len(dataset), dtype=np.intp),
            batch_size=self.batch_size,
            n_epochs=self.max_epochs,
            steps_per_epoch=None,
            batch_sampling=None,
            rng=np.random.RandomState(seed % 2**32),
        )
        work = self.multiply_adds * self.plan.batch_size
        self._initialize_callbacks()
        try:
            with seeded(seed, torch.device(self.device)), threads_for(work), torch.enable_grad():
                self._initialize_optimizer()
                for group in self.optimizer_.param_groups:
                    # Schedulers that continue from an earlier epoch read it.
                    group.setdefault("initial_lr", group["lr"])
                with_live_threads(self._train, dataset, epochs)
        finally:
            self.drop_training()
        return self

    def _train(self, dataset, epochs=None):
        if not self.initialized_:
            self.initialize()
        self.__dict__.update(
            recent_=RecentBatches(self.module_, dataset.shape, self.plan.batch_size),
            shows_batches_=bool(self.own_callbacks),
            parts_=BatchParts(self),
        )
        if self.recorder_ is not None and dataset.is_in_memory:
            self.__dict__["graphs_"] = StepGraphs(self, dataset, self.recorder_)
        try:
            return super().partial_fit(dataset, epochs=epochs)
        finally:
            self.__dict__.pop("graphs_", None)
            del self.__dict__["recent_"], self.__dict__["parts_"]
            self.module_.eval()

    def drop_training(self):
        """Drop all objects of the training: they hold the data, or copies of the network.

        skorch's `trim_for_prediction` drops the history and the loss too, and then nothing can be
        trained any more.
        """
        # Callbacks of the user stay, but without references to the training.
        own = self.own_callbacks
        self.__dict__.update(
            dict.fromkeys(OF_TRAINING),
            module=type(self.module_),
            criterion=type(self.criterion_),
            callbacks_=own,
            callbacks=own or None,
            checkpoint_=None,
            shares_=None,
            listeners_={},
            watch_=None,
            gradient_norm_=None,
            forward_=None,
            recorder_=None,
            # Without an optimiser, its options are set as parameters of the net.
            virtual_params_=dict.fromkeys(("optimizer__*", "lr"), setattr),
        )
        for _, callback in own:
            for name in ("lr_scheduler_", "best_model_weights_"):
                if getattr(callback, name, None) is not None:
                    setattr(callback, name, None)

    def refuse_divergence(self, dataset, watch=None):
        """Check the trained network, because losses were checked only before each step.

        Parameters
        ----------
        dataset : ImageTensors or ImageBatches
            A few training samples.
        watch : LossWatch, default=None
            The watch of the training, which knows its epoch and its gradients.

        Raises
        ------
        DivergenceError
            If parameters, batch-norm statistics, or the outputs for these samples are not finite.
        """
        norms = named_batch_norms(self.module_)
        named = [
            *(
                (name, values)
                for name, values in self.module_.network.named_parameters()
                if values.requires_grad
            ),
            *(
                (f"{name}.{kind}".removeprefix("network."), norm.get_buffer(kind))
                for name, norm in norms.items()
                for kind in ("running_mean", "running_var")
            ),
        ]
        if loss_parameters(self.criterion_.loss):
            named += self.criterion_.named_parameters()
        for name, values in named:
            if not torch.isfinite(values).all():
                raise ended_diverged(f"{name!r} holds values that are not finite", watch)
        logits = self.logits(dataset)
        # A network may exclude classes by a logit of minus infinity, but not all of them.
        if np.isnan(logits).any() or not np.isfinite(logits.max(axis=1)).all():
            raise ended_diverged("the outputs for samples of X are not finite", watch)

    # ---------------------------------------------------------------------- prediction

    def predict(self, X):
        """Return predictions for images in the form of the estimator's `fit`."""
        return self.predict_proba(X)

    def logits(self, dataset):
        """Return the outputs for all samples, float32 of shape (n, n_outputs), on the host."""

        def reader(module):
            return partial(self._forward, module)

        return self._predict(dataset, reader)

    def values_at(self, layer, dataset, *, inputs):
        """Return the input or the output of a layer for all samples, on the host.

        Parameters
        ----------
        layer : nn.Module
            Part of the network.
        dataset : ImageTensors or ImageBatches
            The samples.
        inputs : bool
            Whether to return its input. Otherwise its output is returned, with feature maps
            averaged over their pixels.

        Returns
        -------
        ndarray of shape (n, d), float32
        """
        name = next(name for name, part in self.module_.named_modules() if part is layer)

        def reader(module):
            def read(images):
                with hidden_values(module.get_submodule(name), inputs=inputs) as last:
                    self._forward(module, images)
                if not last:
                    raise ValueError(
                        f"The layer {type(layer).__name__} does not run as a whole when the "
                        "network reads images. Name one that does."
                    )
                return mean_over_views(last[0], self.block_size_)[: len(images)]

            return read

        return self._predict(dataset, reader)

    def _predict(self, dataset, reader):
        """Return the results of readers for all samples; `reader` makes one from a module."""
        self._set_training(False)
        n_readers = 1
        if torch.device(self.device).type == "cpu" and not torch.is_autocast_enabled("cpu"):
            n_readers = threads_beside(self.block_work_, -(-len(dataset) // self.block_size_))
        with threads_for(self.block_work_):
            readers = map(reader, replicas(self.module_, n_readers))
            functions = [partial(_without_gradients, read) for read in readers]
            blocks = map_side_by_side(functions, self.get_iterator(dataset))
            if torch.device(self.device).type != "cpu":
                # Each fetch waits for the device.
                blocks = (joint.cpu() for joint in _larger(blocks))
            return _joined(blocks, len(dataset))

    # --------------------------------------------------------------------------- files

    def save_params(self, f_params=None, f_optimizer=None, **kwargs):
        """Save parameters and history; see `skorch.NeuralNet.save_params`.

        Raises
        ------
        ValueError
            If the state of the optimiser is asked for after the training, when it is dropped.
        """
        if f_optimizer is not None and getattr(self, "optimizer_", None) is None:
            raise ValueError(
                "`f_optimizer` asks for the state of the optimiser, which is dropped when a "
                "training ends. Save it during the training, with a Checkpoint in `net_callbacks`."
            )
        super().save_params(f_params=f_params, f_optimizer=f_optimizer, **kwargs)

    def load_params(self, *args, checkpoint=None, f_optimizer=None, **kwargs):
        """Load parameters and history; see `skorch.NeuralNet.load_params`.

        The state of an optimiser is read from a checkpoint, but not kept after the training.
        """
        is_over = getattr(self, "optimizer_", None) is None
        if is_over and (checkpoint is not None or f_optimizer is not None):
            self._initialize_optimizer()
        super().load_params(*args, checkpoint=checkpoint, f_optimizer=f_optimizer, **kwargs)
        if is_over:
            self.__dict__["optimizer_"] = None

    def __setstate__(self, state):
        # skorch would give two warnings, know only whether there is any CUDA device, and keep the
        # size of the blocks.
        device, is_here = state["device"], is_available(state["device"])
        super().__setstate__(state if is_here else {**state, "device": torch.device("cpu")})
        if not is_here:
            if "module_" in self.__dict__:
                self.initialize_module()
            warn(
                f"The network was on device={str(device)!r}, which is not available here. It is "
                "loaded to the CPU.",
                DeviceWarning,
            )

    def __sklearn_clone__(self):
        raise TypeError(
            "A net of an estimator cannot be cloned, as the estimator builds its network. Clone "
            "the estimator; or copy the trained net with copy.deepcopy."
        )


class ImageClassifierNet(ClassifierMixin, ImageNet):
    """The net of a classifier: `predict_proba` gives probabilities, `predict` labels.

    Probabilities are those of the estimator as it was fitted, `target_prior` and `calibration`
    included; a `target_prior` that is set later acts in the estimator alone.
    """

    @property
    def classes_(self):
        """The labels, in the order of the probabilities."""
        return self.target.classes

    def predict(self, X):
        """Return the most probable label of each image."""
        return self.target.predict(self.predict_proba(X))


class ImageRegressorNet(RegressorMixin, ImageNet):
    """The net of a regressor: `predict` gives values in the unit of y."""


def _joined(blocks, n_samples):
    """Return the results for all samples as one array.

    It is made with the first block: results that were kept one by one would lie between the images
    of the blocks in memory, which could not be used again as a whole.
    """
    joint: Any = None
    start = 0
    for block in blocks:
        if joint is None:
            joint = torch.empty((n_samples, *block.shape[1:]), dtype=block.dtype, device="cpu")
        joint[start : start + len(block)] = block
        start += len(block)
    return joint.numpy()


def _without_gradients(read, batch):
    """Return the result of a reader for a batch; each thread has to disable gradients itself."""
    with torch.no_grad():
        return read(batch[0])


def _larger(blocks, n_values=VALUES_AT_ONCE):
    """Yield the rows of blocks, joined until there are at least so many numbers."""
    held, n_held = [], 0
    for block in blocks:
        held.append(block)
        n_held += block.numel()
        if n_held >= n_values:
            yield torch.cat(held)
            held, n_held = [], 0
    if held:
        yield torch.cat(held)
