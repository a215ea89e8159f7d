"""The table that ``verbose=1`` prints: one line an epoch, in columns that stay where they are."""

import re

import numpy as np
import pytest
from skorch.callbacks import EpochScoring

from skimb.neural_network import CNNClassifier, CNNRegressor


def quick(**params):
    own = {"module": "linear", "max_epochs": 3, "batch_size": 100, "random_state": 0, "verbose": 1}
    return CNNClassifier(**{**own, **params})


def lines_of(capsys):
    return capsys.readouterr().out.splitlines()


def columns_of(rule):
    """Return where each column begins and ends, by the rule below the heading."""
    return [found.span() for found in re.finditer("-+", rule)]


def test_each_epoch_has_its_numbers_in_the_columns_of_the_heading(small_digits, capsys):
    clf = quick(early_stopping=True, scoring="f1_macro").fit(*small_digits)
    heading, rule, *rows = lines_of(capsys)
    spans = columns_of(rule)
    names = [heading[begin:end].strip() for begin, end in spans]
    assert names == [
        "epoch",
        "train_loss",
        "valid_loss",
        "valid_balanced_accuracy",
        "valid_score",
        "lr",
        "seconds",
        "left",
    ]
    assert len(rows) == clf.n_iter_ == 3
    for number, (row, record) in enumerate(zip(rows, clf.history_, strict=True), start=1):
        assert len(row) == len(heading) == len(rule)
        cells = dict(zip(names, (row[begin:end].strip() for begin, end in spans), strict=True))
        assert cells["epoch"] == f"{number}/3"
        assert float(cells["train_loss"]) == pytest.approx(record["train_loss"], abs=1e-4)
        assert float(cells["valid_score"]) == pytest.approx(record["valid_score"], abs=1e-4)
        assert float(cells["lr"]) == pytest.approx(record["lr"], rel=1e-2)
        assert re.fullmatch(r"\d+:\d\d:\d\d", cells["left"])
    assert cells["left"] == "0:00:00"


def test_losses_of_any_size_stay_in_their_columns(small_digits, capsys):
    X, _ = small_digits
    for scale in (1e-20, 1e20):

        class Scaled:
            def __call__(self, outputs, target, scale=scale):
                return (outputs - target) ** 2 * scale

        reg = CNNRegressor("linear", loss=Scaled(), max_epochs=2, lr=1e-9, verbose=1)
        reg.set_params(random_state=0, batch_size=100, max_grad_norm=None, optimizer="adam")
        reg.fit(X, np.linspace(0, 1, len(X)))
        heading, rule, *rows = lines_of(capsys)
        assert {len(row) for row in rows} == {len(heading)} == {len(rule)}


def test_the_table_is_plain_text_with_the_records_of_a_users_callback(small_digits, capsys):
    own = EpochScoring("accuracy", name="größe", on_train=True)
    quick(net_callbacks=[own], max_epochs=1).fit(*small_digits)
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert "gr??e" in printed


def test_the_second_table_of_a_refit_is_announced(small_digits, capsys):
    clf = quick(early_stopping="refit").fit(*small_digits)
    lines = lines_of(capsys)
    [place] = [i for i, line in enumerate(lines) if line.startswith("Training again on all")]
    assert re.search(r"for the \d epochs found best:$", lines[place])
    assert place == 2 + clf.n_iter_
    assert "valid_loss" not in lines[place + 1]
    assert lines[-1].split()[0] == "{0}/{0}".format(lines[place].split()[-4])


def test_a_later_training_of_the_net_counts_on(small_digits, capsys):
    clf = quick(max_epochs=1).fit(*small_digits)
    capsys.readouterr()
    clf.net_.partial_fit(*small_digits, epochs=2)
    epochs = [line.split()[0] for line in lines_of(capsys) if "/" in line]
    assert epochs == ["2/3", "3/3"]


def test_nothing_is_printed_unless_asked_for(small_digits, capsys):
    quick(verbose=0, early_stopping="refit").fit(*small_digits)
    assert not capsys.readouterr().out
