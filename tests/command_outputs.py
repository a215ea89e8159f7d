"""What tests of the command line read: tables of predictions, facts of models, complaints."""

import csv
from typing import Any

from skimb.neural_network import read_metadata


def rows_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def facts_of(path) -> Any:
    return read_metadata(path)


def complaints(capsys):
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("skimb: ")]
