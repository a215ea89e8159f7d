"""The parts of all checks: a promise that is kept or broken, and the global random generators."""

import pickle
import random
import sys

import numpy as np

__all__ = ["ensure", "random_generators"]


def ensure(holds, promise):
    """Raise an AssertionError with the promise, if it does not hold."""
    if not holds:
        raise AssertionError(promise)


def random_generators():
    """Return the states of the global random generators by name; torch is not imported for it.

    Returns
    -------
    dict of str to bytes
    """
    states = {"random": random.getstate(), "numpy": np.random.get_state()}
    if "torch" in sys.modules:
        states["torch"] = sys.modules["torch"].get_rng_state().numpy()
    return {name: pickle.dumps(state) for name, state in states.items()}
