"""The parts of all checks: a promise that is kept or broken, and the global random generators."""

import pickle
import random
import sys
from contextlib import contextmanager

import numpy as np

__all__ = ["ensure", "random_generators", "restored_generators", "seed_generators"]


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


def seed_generators(seed):
    """Seed the global random generators."""
    random.seed(seed)
    np.random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


@contextmanager
def restored_generators():
    """Give the global random generators their states back at the end of a block."""
    of_random, of_numpy, torch = random.getstate(), np.random.get_state(), sys.modules.get("torch")
    of_torch = torch and torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(of_random)
        np.random.set_state(of_numpy)
        if torch:
            torch.set_rng_state(of_torch)
