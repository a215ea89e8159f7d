"""A progress bar over the epochs of a training."""

import sys

from tqdm import tqdm

__all__ = ["TrainingBar", "remove_bars"]


class TrainingBar:
    """Callback of scikit-learn that shows each training of a network, with the time left.

    It is set on the network itself: each training of a strategy that has several gets a bar.
    """

    bar = None

    def setup(self, estimator, context):
        """Wait for the training, which knows its epochs."""

    def on_fit_task_begin(self, estimator, context):
        """Show an empty bar when a training begins."""
        if context.task_name == "fit":
            self.bar = tqdm(total=context.max_subtasks, unit="epoch", file=sys.stderr)

    def on_fit_task_end(self, estimator, context):
        """Count an epoch."""
        if context.task_name == "epoch" and self.bar is not None:
            self.bar.update()

    def teardown(self, estimator, context):
        """Leave the bar where the training ended, also by an error."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def remove_bars(fitted):
    """Take the bars out of a fitted estimator, so that its file does not speak of them.

    Parameters
    ----------
    fitted : estimator
        It may hold others, as parameters or found by its fit.
    """
    # They take a while to import, which usage errors need not wait for.
    from sklearn.base import BaseEstimator
    from sklearn.callback import CallbackSupportMixin

    seen, waiting = set(), [fitted]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, list | tuple):
            waiting += value
        elif isinstance(value, BaseEstimator):
            waiting += vars(value).values()
            if isinstance(value, CallbackSupportMixin):
                value.set_callbacks()
