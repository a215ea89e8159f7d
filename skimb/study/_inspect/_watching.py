"""The progress of an inspection: a bar on a terminal, and otherwise a line a step."""

import sys

from tqdm import tqdm

__all__ = ["Watch"]


class Watch:
    """Shows the progress of steps on stderr.

    Parameters
    ----------
    verbose : int
        0: nothing is shown.
    """

    def __init__(self, verbose):
        self.verbose, self.told = verbose, set()

    def __call__(self, items, what, total=None):
        """Yield the items of a step, and show how many are done."""
        if not self.verbose:
            yield from items
            return
        is_terminal = sys.stderr.isatty()
        if not is_terminal and what not in self.told:
            print(f"{what} ...", file=sys.stderr, flush=True)
        self.told.add(what)
        yield from tqdm(items, desc=what, total=total, disable=not is_terminal, leave=False)
