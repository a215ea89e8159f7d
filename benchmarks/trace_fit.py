"""Count the Python calls of one fit: those into skimb and skorch, and the changes of file.

    python benchmarks/trace_fit.py
    python benchmarks/trace_fit.py --list

The classifier is fitted for one epoch of one batch. A reader who follows that fit makes as many
steps as there are calls, and turns to another file as often as the file changes from one call to
the next. Lambdas and comprehensions count with the function that holds them.
"""

import argparse
import itertools
import sys
import threading
import warnings
from pathlib import Path


class Trace:
    """Note each call of a function of the packages that are asked about."""

    def __init__(self, folders):
        self.folders = folders
        self.calls = []

    def __call__(self, frame, event, arg):
        """Note a call; everything else passes."""
        code = frame.f_code
        # A generator that goes on is no new call: the argument of RESUME is then not zero.
        is_new = event == "call" and code.co_code[frame.f_lasti + 1] == 0
        if is_new and not code.co_name.startswith("<"):
            for folder in self.folders:
                if code.co_filename.startswith(folder):
                    file = code.co_filename[len(str(Path(folder).parent)) + 1 :]
                    self.calls.append((file, code.co_qualname))


def trace_fit():
    """Return the calls of one fit, each as a file and a name."""
    import skorch

    import skimb
    from skimb.datasets import load_imbalanced_digits
    from skimb.neural_network import CNNClassifier

    X, y = load_imbalanced_digits(return_X_y=True)
    X, y = X[-64:], y[-64:]
    y[:2] = 1 - y[:2]
    folders = [str(Path(str(module.__file__)).parent) for module in (skimb, skorch)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # What is imported at the first fit is no part of it.
        CNNClassifier(max_epochs=1, batch_size=64, random_state=0).fit(X, y)
        trace = Trace(folders)
        threading.setprofile(trace)
        sys.setprofile(trace)
        try:
            CNNClassifier(max_epochs=1, batch_size=64, random_state=0).fit(X, y)
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
    return trace.calls


def main():
    parser = argparse.ArgumentParser(description="Count the Python calls of one fit.")
    parser.add_argument("--list", action="store_true", help="print each call")
    options = parser.parse_args()
    calls = trace_fit()
    if options.list:
        for file, name in calls:
            print(f"{file}: {name}")
    files = [file for file, _ in calls]
    changes = sum(one != other for one, other in itertools.pairwise(files))
    print(f"{len(calls)} calls of {len(set(calls))} functions in {len(set(files))} files")
    print(f"{changes} changes of file")


if __name__ == "__main__":
    main()
