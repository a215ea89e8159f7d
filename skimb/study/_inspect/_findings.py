"""What the facts of images and their labels tell: counts, formats, sizes, names."""

import re
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

__all__ = ["class_correlated", "class_counts_of", "shared_prefixes"]

#: A name such as "patient12_frame003": a stem, and a number at its end.
NUMBERED = re.compile(r"^(.*\D)[ _.\-]*\d+$", re.DOTALL)

#: Words in a stem that tell of a source with several images.
SOURCES = re.compile(
    r"(patient|subject|person|video|vid|clip|scan|slide|series|study|session|camera|cam|module|"
    r"site|case)[ _\-]?\d+",
    re.IGNORECASE,
)

#: A stem belongs to one source if at least so many and at most this fraction of all images have it.
LEAST_OF_STEM, MOST_OF_STEM = 2, 0.2

#: The fraction of a class that has a property, and of the other classes, for a shortcut.
MOST, FEW = 0.9, 0.1

#: Images of a class and of the others from which properties of classes are compared.
LEAST_OF_CLASS = 5


def class_counts_of(samples, *, test=False):
    """Return the number of images of each class, of which broken ones are left out.

    Parameters
    ----------
    samples : Samples
    test : bool, default=False
        Whether test images are counted, and not training images.

    Returns
    -------
    dict of label to int
    """
    if samples.labels is None:
        return {}
    rows = [row for row in samples.readable if (row >= samples.n_train) == test]
    labels, counts = np.unique(np.asarray(samples.labels)[rows], return_counts=True)
    return dict(zip(labels.tolist(), counts.tolist(), strict=True))


def class_correlated(samples):
    """Return the properties of files by which a class could be told without looking at the image.

    Parameters
    ----------
    samples : Samples

    Returns
    -------
    list of dict
        Property, its value, the class, and the fractions of the class and of the others that have
        it.
    """
    if samples.facts is None or samples.labels is None:
        return []
    rows = [row for row in samples.readable if row < samples.n_train]
    labels = np.asarray(samples.labels)[rows]
    found = []
    for name, values in {
        "format": [samples.facts[row][0] for row in rows],
        "colour mode": [samples.facts[row][1] for row in rows],
        "size": [f"{samples.facts[row][2]} x {samples.facts[row][3]}" for row in rows],
        "orientation mark (EXIF)": [str(samples.facts[row][4]) for row in rows],
    }.items():
        values = np.array(values)
        for value in np.unique(values).tolist():
            has = values == value
            for label in np.unique(labels).tolist():
                own = labels == label
                if min(own.sum(), (~own).sum()) < LEAST_OF_CLASS:
                    continue
                inside, outside = float(has[own].mean()), float(has[~own].mean())
                if inside >= MOST and outside <= FEW:
                    found.append(
                        {
                            "property": name,
                            "value": value,
                            "class": label,
                            "fraction_of_class": inside,
                            "fraction_of_others": outside,
                        }
                    )
    return found


def shared_prefixes(samples):
    """Return the sources, such as a patient or a video, that file names tell of.

    A stem counts if it names a source with a number ("patient 12"), and several images that are
    numbered have it.

    Parameters
    ----------
    samples : Samples

    Returns
    -------
    list of dict
        Stem, the numbers of its training and test images, and two of the files.
    """
    if samples.paths is None:
        return []
    by_stem = defaultdict(list)
    for row in samples.readable.tolist():
        path = Path(samples.paths[row])
        stems = [part for part in (path.parent.name, path.stem) if SOURCES.search(part)]
        if not stems:
            continue
        # The name of a folder counts only if it is not that of the class.
        label = None if samples.labels is None else str(samples.labels[row])
        for part in stems:
            if part == path.stem:
                match = NUMBERED.match(part)
                source = SOURCES.search(part)
                if match is None or source is None or source.end() >= len(part):
                    continue
                by_stem[part[: source.end()]].append(row)
            elif part != label:
                by_stem[part].append(row)
    most = max(MOST_OF_STEM * len(samples), LEAST_OF_STEM)
    found = []
    for stem, rows in sorted(by_stem.items()):
        if not LEAST_OF_STEM <= len(rows) <= most:
            continue
        sides = Counter(row >= samples.n_train for row in rows)
        found.append(
            {
                "stem": stem,
                "n_train": sides[False],
                "n_test": sides[True],
                "files": [samples.names[rows[0]], samples.names[rows[-1]]],
            }
        )
    return found
