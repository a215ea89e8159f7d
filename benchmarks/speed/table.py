"""Write the tables of benchmarks of speed into a page, from the files that the benchmarks wrote.

    python benchmarks/speed/table.py benchmarks/results/*.json --write docs/guide/speed.md

All targets come first, in one table, then the tables of each file. They replace what stands between
the two markers of the page; without ``--write`` they are printed.
"""

import argparse
import json
from pathlib import Path

from harness import aim_row, describe, markdown

from skimb._files import write_text

BEGIN, END = "<!-- speed: begin -->", "<!-- speed: end -->"


def section(record):
    """Return the heading of a run, a sentence about it, and its tables."""
    run = record["about"]
    name = Path(run["command"].split()[1]).stem
    tables = "\n\n".join(markdown(table) for table in record["tables"])
    return f"## {name}, {run['device']}\n\n{describe(run)}\n\n{tables}"


def targets(records):
    """Return one table of all targets."""
    rows = [
        aim_row(record["about"], table, aim)
        for record in records
        for table in record["tables"]
        for aim in table["targets"]
    ]
    head = ["", "device", "target, a ratio", "measured", "", "identical controls differ by"]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def main():
    """Print the tables, or write them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--write", type=Path, metavar="PAGE")
    arguments = parser.parse_args()
    records = [json.loads(file.read_text()) for file in arguments.files]
    if arguments.write and any(record["about"]["quick"] for record in records):
        parser.error("A run with --quick measures nothing that a page could say.")
    text = "\n\n".join(["## Targets", targets(records), *map(section, records)])
    if arguments.write is None:
        print(text)
        return
    page = arguments.write.read_text()
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        parser.error(f"{arguments.write} must hold {BEGIN} and {END}, once each.")
    before, rest = page.split(BEGIN)
    write_text(arguments.write, f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
