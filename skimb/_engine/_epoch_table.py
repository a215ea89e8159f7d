"""The table that ``verbose=1`` prints while a network trains."""

from datetime import timedelta
from numbers import Real

from skorch.callbacks import PrintLog

__all__ = ["EpochTable"]

#: Records that have a column of their own, or none.
APART = ("epoch", "train_loss", "valid_loss", "valid_score", "lr", "dur")

#: The least width of a column with a number.
WIDTH = 10


class EpochTable(PrintLog):
    """Print one line an epoch, in columns of fixed width.

    Unlike skorch's table, which sets each line on its own, columns stay where they are, and the
    time left is shown: the mean of the epochs so far, times those that may follow. The columns are
    those of the first epoch. Early stopping may end the training sooner.

    Parameters
    ----------
    keys_ignored : list of str, default=()
        Records that are not printed.
    sink : callable, default=print
        A function that gets each line.
    """

    def __init__(self, keys_ignored=(), sink=print):
        super().__init__(keys_ignored=list(keys_ignored), sink=sink)

    def on_train_begin(self, net, **kwargs):
        """Note where the training begins; each training has a table of its own."""
        self.first_iteration_ = True
        self.n_before_ = len(net.history)

    def on_epoch_end(self, net, **kwargs):
        """Print the line of an epoch, with the heading before the first one."""
        row = net.history[-1]
        n_epochs = self.n_before_ + net.n_epochs_
        if self.first_iteration_:
            self.names_ = _columns(row, self.keys_ignored)
            of_epoch = max(len("epoch"), 2 * len(str(n_epochs)) + 1)
            self.widths_ = [of_epoch, *(max(WIDTH, len(name)) for name in self.names_), 8, 8, 8]
            self._print(["epoch", *self.names_, "lr", "seconds", "left"], net)
            self._print(["-" * width for width in self.widths_], net)
            self.first_iteration_ = False
        done = net.history[self.n_before_ :, "dur"]
        left = max(0, n_epochs - len(net.history)) * sum(done) / len(done)
        cells = [
            f"{len(net.history)}/{n_epochs}",
            *(_number(row.get(name)) for name in self.names_),
            f"{row['lr']:.2e}",
            f"{row['dur']:.2f}",
            str(timedelta(seconds=round(left))),
        ]
        self._print(cells, net)

    def _print(self, cells, net):
        line = "  ".join(cell.rjust(width) for cell, width in zip(cells, self.widths_, strict=True))
        # The names of a user's own records may hold letters that the terminal does not have.
        line = line.encode("ascii", "replace").decode()
        if self.sink is print:
            print(line, flush=True)
        else:
            self.sink(line)


def _columns(row, ignored):
    """Return the records that are printed as columns, in their order."""
    names = [name for name in ("train_loss", "valid_loss") if name in row]
    names += [
        name
        for name, value in row.items()
        if isinstance(value, Real)
        and name not in APART
        and name not in ignored
        and not name.startswith("event_")
        and not name.endswith(("_best", "_batch_count"))
    ]
    # Where early stopping watches the loss, the score is its negative.
    if "valid_score" in row and row["valid_score"] != -row["valid_loss"]:
        names.append("valid_score")
    return names


def _number(value):
    """Return a number in at most ten characters; an empty string for a record that is missing."""
    if value is None:
        return ""
    is_plain = value == 0 or 1e-3 <= abs(value) < 1e4
    return f"{value:.4f}" if is_plain else f"{value:.3e}"
