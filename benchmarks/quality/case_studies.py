"""Stories of imbalanced images, told again with data at hand: what helps, and what it costs.

- "traffic lights": three classes in the shares 56, 3 and 41 %, weighted by their inverse;
- "one in ten": 1500 dogs and 150 cats, with weights of 10 and 25, and with repeated samples;
- "many" and "few": one image in six or seven is rare, of 10,500 and of 438 images. Where images
  are many, it costs little to drop most of the others; where they are few, each one counts.

    python benchmarks/quality/case_studies.py FOLDER [--seeds 3] [--jobs 2] [--minutes M]
    python benchmarks/quality/case_studies.py FOLDER --table --write docs/guide/case_studies.md

FOLDER holds fashion_mnist/, and, unpacked, cats_dogs/. Every fit is kept in
benchmarks/results/fits, and only those that are missing are made.
"""

import argparse
from pathlib import Path

from fit_tables import both_priors, markdown, write_between
from kept_fits import Store, add_options, make
from ways import PRETRAINED

BALANCING = ["none", "class_weight", "over", "under", "balanced_batches"]
ONE_IN_TEN = ["cats_150_dogs_1500"]
#: A training that ends with the weights of its best epoch, so that its scores are another story.
WATCHED = "over, watched"

#: The sets of each story, and the ways that are compared.
STORIES = {
    "traffic lights": (["traffic_lights"], [*BALANCING, "focal", "focal_weighted"]),
    "one in ten": (
        ONE_IN_TEN,
        ["none", "minority counts 10", "minority counts 25", "over", WATCHED, *PRETRAINED],
    ),
    "many and few": (["shirts_1500_others_9000", "shirts_60_others_378"], BALANCING),
}


def epochs(store):
    """Return what the validation part shows in each epoch of a training with repeated samples."""
    result = store.read(*ONE_IN_TEN).get((WATCHED, 0))
    if result is None:
        return "No training was watched."
    rows = [["epoch", "true positives", "false positives", "true negatives", "false negatives"]]
    for epoch, ((tp, fn), (fp, tn)) in enumerate(result["epochs"], start=1):
        if epoch in (1, 2, 3) or epoch % 5 == 0:
            rows.append([str(number) for number in (epoch, tp, fp, tn, fn)])
    return markdown(rows)


def main():
    """Make the fits, and print or write the tables."""
    parser = add_options(argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]))
    parser.add_argument("--write", type=Path, metavar="PAGE")
    arguments = parser.parse_args()
    make(arguments, list(STORIES.values()))
    store = Store(arguments.results)
    for story, (names, ways) in STORIES.items():
        shown = [way for way in ways if way != WATCHED]
        parts = [both_priors(store, name, seeds=arguments.seeds, ways=shown) for name in names]
        if story == "one in ten":
            parts.append(epochs(store))
        text = "\n\n".join(parts)
        if arguments.write:
            write_between(arguments.write, story, text)
        else:
            print(f"## {story}\n\n{text}\n")


if __name__ == "__main__":
    main()
