"""A copy of a net in the middle of its training, which predicts as if the training had ended."""

import copy

__all__ = ["snapshot"]


def snapshot(net, target):
    """Return a copy of a net with the present weights, as if its training had ended.

    Call it at the end of an epoch. The training does not see how the copy is used.

    Parameters
    ----------
    net : ImageNet
        The net that trains.
    target : Target
        The meaning of the outputs of the copy.

    Returns
    -------
    ImageNet
    """
    made = object.__new__(type(net))
    made.__dict__.update(net.__dict__)
    made.__dict__.update(
        module_=copy.deepcopy(net.module_),
        criterion_=copy.deepcopy(net.criterion_),
        history_=copy.copy(net.history),
        target=target,
        predict_nonlinearity=target.interpret_tensor,
        # Callbacks of the user belong to the training.
        callbacks_=[],
        # The copied layers keep what is frozen.
        layers=None,
    )
    made.end_of_epochs()
    made.module_.eval()
    del made.__dict__["recent_"], made.__dict__["parts_"]
    made.drop_training()
    return made
