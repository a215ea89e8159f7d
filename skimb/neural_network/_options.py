"""Checks of parameters that depend on each other."""

from numbers import Integral

from skimb._engine import check_checkpoint_folder, check_net_callbacks, sets_rate

__all__ = ["check_options", "refuse_parameters_of_a_string"]


def check_options(settings, X_val, y_val):
    """Refuse options that contradict each other, and make the folder of checkpoints.

    Parameters
    ----------
    settings : SimpleNamespace
        The parameters of the estimator by name.
    X_val, y_val : array-like or None
        As in its `fit`.

    Raises
    ------
    ValueError
        If they do.
    """
    if (X_val is None) != (y_val is None):
        raise ValueError("`X_val` and `y_val` belong together: give both, or neither.")
    if X_val is not None and settings.early_stopping == "refit":
        raise ValueError(
            "early_stopping='refit' trains again on samples of X that were held out, and with "
            "`X_val` no samples are held out. Use early_stopping=True."
        )
    own = {"lr", "weight_decay"} & set(settings.optimizer_params or {})
    if own:
        raise ValueError(
            f"`optimizer_params` holds {sorted(own)}, which are parameters of the estimator. "
            "Set them there."
        )
    if settings.checkpoint is not None:
        if not isinstance(settings.random_state, Integral):
            raise ValueError(
                "`checkpoint` needs random_state to be an int: a later fit goes on only if it "
                f"draws the same numbers. Got random_state={settings.random_state!r}; use "
                "random_state=0."
            )
        check_checkpoint_folder(settings.checkpoint)
    if not settings.net_callbacks:
        return
    callbacks = [
        entry[-1] if isinstance(entry, tuple) else entry for entry in settings.net_callbacks
    ]
    check_net_callbacks(callbacks)
    if settings.lr_schedule != "constant" and any(map(sets_rate, callbacks)):
        raise ValueError(
            f"`net_callbacks` holds an LRScheduler, and lr_schedule={settings.lr_schedule!r} "
            "sets the learning rate too. Use lr_schedule='constant' with it."
        )


def refuse_parameters_of_a_string(params, loss, named_losses, grid_example):
    """Refuse ``loss__gamma`` and the like where `loss` is a string, and suggest a fix."""
    nested = [name for name in params if name.startswith("loss__")]
    if nested and isinstance(loss, str):
        known = f": loss={named_losses[loss].__name__}()" if loss in named_losses else ""
        raise ValueError(
            f"{nested[0]!r} cannot be set on loss={loss!r}, which is a string. Give the loss "
            f"as an object{known}. In a grid: {grid_example}."
        )
