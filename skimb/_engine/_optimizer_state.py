"""The state of an optimiser, from one training to the next."""

import copy

from skorch.callbacks import Callback

__all__ = ["KeptOptimizer"]


class KeptOptimizer(Callback):
    """Begin a training with the state of the optimiser of the last one, and keep it at the end.

    Parameters
    ----------
    before : KeptOptimizer, default=None
        The callback of the last training, on a network with equal parameters; None: the state is
        new. It is new too if the optimiser is of another kind or has other groups of parameters.

    Attributes
    ----------
    state_ : dict
        The state at the end of the training.
    kind_ : type
        The class of the optimiser.
    """

    def __init__(self, before=None):
        self.before = before

    def on_train_begin(self, net, **kwargs):
        """Give the optimiser the state; learning rates and other options are those of the net."""
        before, self.before = self.before, None
        optimizer = net.optimizer_
        self.kind_ = type(optimizer)
        if before is None or before.kind_ is not self.kind_:
            return
        sizes = [len(group["params"]) for group in optimizer.param_groups]
        if [len(group["params"]) for group in before.state_["param_groups"]] != sizes:
            return
        groups = optimizer.state_dict()["param_groups"]
        # Torch takes the tensors as they are, and a step that fails must not change what was kept.
        state = copy.deepcopy(before.state_["state"])
        optimizer.load_state_dict({"state": state, "param_groups": groups})

    def on_train_end(self, net, **kwargs):
        """Keep the state."""
        self.state_ = net.optimizer_.state_dict()
