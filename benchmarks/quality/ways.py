"""Ways to train on a set of images with a rare class, by name, for studies that compare them.

Each way is a function of a `Split` and a seed, with the arguments that it takes, and returns an
estimator that is not fitted.
"""

import time
from functools import partial

from image_sets import read
from kept_fits import result_of
from mobilenet_v2 import mobilenet_v2
from sklearn.frozen import FrozenEstimator
from skorch.callbacks import Callback
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from untuned_peers import frozen, hog, loop, skorch_weighted

from skimb.losses import CrossEntropyLoss, FocalLoss, LDAMLoss, LogitAdjustedLoss
from skimb.model_selection import TunedOffsetsClassifierCV
from skimb.neural_network import (
    CNNClassifier,
    CNNRegressor,
    CutMix,
    DecoupledClassifier,
    Jitter,
    Mixup,
    training_length,
)
from skimb.over_sampling import SMOTE, RandomOverSampler
from skimb.study import strategy_estimator


def network(split, seed, *, length: float = 1, batch: float = 1, steps=(), **parameters):
    """Return a network, trained longer than usual, in other batches, or with other parameters.

    Parameters
    ----------
    split : Split
    seed : int
    length, batch : float, default=1
        The number of epochs and the size of the batches, in units of those of `training_length`.
    steps : list of callable, default=()
        Steps of the augmentation after the usual one.
    **parameters : object
        Further parameters of the estimator.

    Returns
    -------
    CNNClassifier, or CNNRegressor where the target is a number
    """
    usual = training_length(len(split.y))
    kind = CNNRegressor if split.minority is None else CNNClassifier
    return kind(
        augmentation=["flip_crop" if split.mirrors else "shift_crop", *steps],
        max_epochs=round(length * usual.max_epochs),
        batch_size=max(8, round(batch * usual.batch_size)),
        random_state=seed,
        **parameters,
    )


def strategy(split, seed, *, name):
    """Return the estimator of a strategy of `compare`."""
    base = network(split, seed)
    return strategy_estimator(name, split.X, split.y, estimator=base, random_state=seed)


def weighted_minority(split, seed, *, weight, **options):
    """Return a network whose errors at the minority count so many times as much."""
    weights = dict.fromkeys(set(split.y), 1.0) | {split.minority: float(weight)}
    return network(split, seed, class_weight=weights, **options)


def pretrained(split, seed, **options):
    """Return MobileNetV2 with weights of ImageNet, all of which are trained further."""
    return network(split, seed, module=mobilenet_v2(), **options)


class AveragedWeights(Callback):
    """Replace the weights at the end of a training by their moving average over the steps."""

    def __init__(self, decay):
        self.decay = decay

    def on_train_begin(self, net, **kwargs):
        """Begin with the initial weights."""
        self.average_ = AveragedModel(net.module_, multi_avg_fn=get_ema_multi_avg_fn(self.decay))

    def on_batch_end(self, net, *, training, **kwargs):
        """Add the weights after a step."""
        if training:
            self.average_.update_parameters(net.module_)

    def on_train_end(self, net, **kwargs):
        """Take the average; the statistics of batch norms are estimated again after this."""
        net.module_.load_state_dict(self.average_.module.state_dict())

    def __repr__(self):
        return f"AveragedWeights({self.decay})"


LONG = {"length": 3}
DEFERRED = {"class_weight": "balanced", "reweight_after": 0.8}

#: The strategies of `compare`, those that need the network of another way left out.
STRATEGIES = {
    name: partial(strategy, name=name)
    for name in (
        *("class_weight", "focal", "focal_weighted", "over", "under", "balanced_batches"),
        *("logit_adjusted", "mixup_logit_adjusted"),
    )
}

#: Single changes of the training, and what they make together.
TRAININGS = {
    "none": partial(network),
    "ldam, deferred weights": partial(network, loss=LDAMLoss(), **DEFERRED),
    "jitter": partial(network, steps=[Jitter()]),
    "mixup": partial(network, steps=[Mixup()]),
    "cutmix": partial(network, steps=[CutMix()]),
    "label smoothing": partial(network, loss=CrossEntropyLoss(label_smoothing=0.1)),
    "small batches": partial(network, batch=1 / 4),
    "small batches, mixup": partial(network, batch=1 / 4, steps=[Mixup()]),
    "long": partial(network, **LONG),
    "long, jitter": partial(network, **LONG, steps=[Jitter()]),
    "long, mixup": partial(network, **LONG, steps=[Mixup()]),
    "long, averaged weights": partial(network, **LONG, net_callbacks=[AveragedWeights(0.998)]),
    "long, jitter, mixup": partial(network, **LONG, steps=[Jitter(), Mixup()]),
    "long, jitter, logit adjusted": partial(
        network, **LONG, steps=[Jitter()], loss=LogitAdjustedLoss()
    ),
    "long, jitter, mixup, logit adjusted": partial(
        network, **LONG, steps=[Jitter(), Mixup()], loss=LogitAdjustedLoss()
    ),
}

#: What published studies did with larger networks. Some processors train them faster in bfloat16.
LARGER = {
    f"{module}{suffix}": partial(network, module=module, precision="bfloat16", **options)
    for module in ("resnet", "vgg")
    for suffix, options in {
        "": {},
        ", weighted": {"class_weight": "balanced"},
        ", over": {"sampler": RandomOverSampler()},
        ", focal": {"loss": FocalLoss()},
    }.items()
}

#: A pretrained network, for half of the usual epochs, or with a logistic regression on top.
PRETRAINED = {
    "pretrained": partial(pretrained, length=1 / 2),
    "pretrained, logit adjusted": partial(pretrained, length=1 / 2, loss=LogitAdjustedLoss()),
    "pretrained, frozen": partial(frozen, class_weight=None),
}

#: What a user would try without skimb.
PEERS = {
    "skorch, weights": partial(skorch_weighted),
    "HOG, linear": partial(hog),
    "frozen MobileNetV2, linear": partial(frozen),
    "loop of ten lines": partial(loop),
}


def resnet32(split, seed, *, steps=(), epochs=200, **parameters):
    """Return ResNet-32, trained as articles on long-tailed CIFAR-10 train it."""
    return CNNClassifier(
        module="resnet",
        augmentation=["flip_crop", *steps],
        max_epochs=epochs,
        batch_size=128,
        random_state=seed,
        **{
            "optimizer": "sgd",
            "optimizer_params": {"momentum": 0.9},
            "lr": 0.1,
            "weight_decay": 2e-4,
            "lr_schedule": published_schedule,
            **parameters,
        },
    )


def published_schedule(optimizer):
    """Return the schedule of Cao et al. 2019: a warm-up, and a hundredth at epochs 160 and 180."""
    return LambdaLR(optimizer, _published_rate)


def _published_rate(epoch):
    return (epoch + 1) / 5 if epoch < 5 else 0.01 ** ((epoch >= 160) + (epoch >= 180))


#: ResNet-32 for 200 epochs; the stronger recipe has a smooth schedule and twice as many epochs.
STRONGER = {"epochs": 400, "lr_schedule": "cosine", "weight_decay": 5e-4}
PUBLISHED = {
    "resnet32": partial(resnet32),
    "resnet32, balanced softmax": partial(resnet32, loss="balanced_softmax"),
    "resnet32, ldam, deferred weights": partial(resnet32, loss=LDAMLoss(), **DEFERRED),
    "resnet32, mixup, deferred weights": partial(resnet32, steps=[Mixup()], **DEFERRED),
    "resnet32, mixup, logit adjusted": partial(resnet32, steps=[Mixup()], loss=LogitAdjustedLoss()),
    "resnet32, jitter, cutmix, logit adjusted, 400 epochs": partial(
        resnet32, steps=[Jitter(), CutMix()], loss=LogitAdjustedLoss(), **STRONGER
    ),
    "resnet32, jitter, mixup, logit adjusted, 400 epochs": partial(
        resnet32, steps=[Jitter(), Mixup()], loss=LogitAdjustedLoss(), **STRONGER
    ),
}

#: A validation part is held out only to see what each epoch gets right.
WATCHED = {"early_stopping": True, "n_iter_no_change": 10_000}

#: Weights by hand, and repeated samples whose epochs are watched.
WEIGHTED = {
    "dogs count 100": partial(network, class_weight={"cat": 1.0, "dog": 100.0}),
    "dogs count 1000": partial(network, class_weight={"cat": 1.0, "dog": 1000.0}),
    "minority counts 10": partial(weighted_minority, weight=10),
    "minority counts 25": partial(weighted_minority, weight=25),
    "over, watched": partial(network, sampler=RandomOverSampler(), **WATCHED),
}

SEARCHED = {"tuned_baseline": partial(strategy, name="tuned_baseline")}

#: Networks that also get new last layers.
WITH_NEW_LAYERS = [*TRAININGS, "pretrained"]

WAYS = {
    **TRAININGS,
    **STRATEGIES,
    **SEARCHED,
    **LARGER,
    **PRETRAINED,
    **PEERS,
    **WEIGHTED,
    **PUBLISHED,
}


def code_of(way):
    """Return the function and the arguments of a way, which decide the results of its fits."""
    function = WAYS[way]
    arguments = ", ".join(f"{name}={_written(value)}" for name, value in function.keywords.items())
    return f"{function.func.__name__}({arguments})"


def _written(value):
    """Return the text of an argument, which must not depend on where it is in memory."""
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    return getattr(value, "__name__", None) or repr(value)


def one_fit(fit, folder):
    """Return the results of a fit, by way: a network serves further ones, with new last layers."""
    split = read(fit.data, folder, fit.seed)
    model = WAYS[fit.way](split, fit.seed)
    start = time.perf_counter()
    model.fit(split.X, split.y)
    seconds = time.perf_counter() - start
    results = {fit.way: result_of(model, split, seconds)}
    if fit.way in WITH_NEW_LAYERS and split.minority is not None:
        for way, build in built_on(fit.way, model, fit.seed).items():
            start = time.perf_counter()
            other = build(split.X, split.y)
            results[way] = result_of(other, split, seconds + time.perf_counter() - start)
    return results


def built_on(way, network, seed):
    """Return functions of X and y that fit classifiers on the network of a way, by their names."""
    frozen = FrozenEstimator(network)
    heads = {
        "decoupled": DecoupledClassifier(frozen, random_state=seed).fit,
        "smote_embedding": DecoupledClassifier(frozen, sampler=SMOTE(), random_state=seed).fit,
    }
    if way != "none":
        return {f"{way}, {name}": fit for name, fit in heads.items()}
    threshold = TunedOffsetsClassifierCV(network, random_state=seed)
    return heads | {"threshold": partial(threshold.tune_fitted, network)}
