"""Write the tables of benchmarks of speed into a page, from the files that the benchmarks wrote.

    python benchmarks/speed/table.py benchmarks/results/*.json --write docs/guide/speed.md

All targets come first, in one table, then the tables of each file; of a file of cost_curves.py, the
largest point of each curve. Files of another form, such as that of memory.py, are left out. The
tables replace what stands between the two markers of the page; without ``--write`` they are
printed.
"""

import argparse
import json
from pathlib import Path

from harness import aim_row, describe, markdown, spell

from skimb._files import write_text

#: What the figure of cost curves shows, in words.
PICTURED = (
    "Seconds and memory by the number of samples, up to a million, of predictions, trainings, an "
    "inspection and the resamplers: most lines are straight, and those of Tomek links and of their "
    "combinations with SMOTE are the steepest"
)

BEGIN, END = "<!-- speed: begin -->", "<!-- speed: end -->"


def section(record):
    """Return the heading of a run, a sentence about it, and its tables."""
    run = record["about"]
    if "points" in record:
        return f"## Cost curves\n\n{describe(run)}\n\n{curves(record)}"
    name = Path(run["command"].split()[1]).stem
    tables = "\n\n".join(markdown(table) for table in record["tables"])
    return f"## {name}, {run['device']}\n\n{describe(run)}\n\n{tables}"


def curves(record):
    """Return the figure of cost curves, a table of their largest points, and what was left out."""
    largest = {(point["name"], point["form"]): point for point in record["points"]}
    rows = [["", "input", "samples", "time", "peak beyond the input"], ["---"] * 5]
    for (name, form), point in largest.items():
        time, peak = spell(point["seconds"]), spell(point["peak"], "peak")
        rows.append([name, form, f"{point['n']:,}", time, peak])
    left = "; ".join(
        f"{one['name']} ({one['form']}) from {one['sizes'][0]:,} samples"
        for one in record["left_out"]
    )
    return (
        f"![{PICTURED}](cost_curves.png)\n\n"
        f"The largest points:\n\n{in_rows(rows)}\n\n"
        f"Left out, because they take more than {record['limit']:.0f} s: {left or 'none'}."
    )


def in_rows(rows):
    """Return rows of texts as a table in Markdown."""
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def targets(records):
    """Return one table of all targets."""
    rows = [
        aim_row(record["about"], table, aim)
        for record in records
        for table in record.get("tables", ())
        for aim in table["targets"]
    ]
    head = ["", "device", "target, a ratio", "measured", "", "identical controls differ by"]
    return in_rows([head, ["---"] * len(head), *rows])


def main():
    """Print the tables, or write them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--write", type=Path, metavar="PAGE")
    arguments = parser.parse_args()
    read = [json.loads(file.read_text()) for file in arguments.files]
    records = [record for record in read if "about" in record]
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
