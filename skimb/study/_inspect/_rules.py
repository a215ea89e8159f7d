"""Advice by written rules: each has a condition, a sentence, a reason, and a link to its evidence.

To add a rule, write a function of an inspection that returns a sentence, or None where the rule
does not apply, and put it into `RULES` with its reason and link.
"""

from collections.abc import Callable
from dataclasses import dataclass

from skimb._messages import counted

__all__ = ["RULES", "Rule", "advice_of"]

#: Fewer images of a class than this cannot be in each of five folds, and so few tell little.
FOLDS, FEW_IMAGES, FOR_GUARANTEE = 5, 30, 59

#: The ratio of the largest and the smallest class from which it is called extreme.
EXTREME = 100

#: The folder of the pages of the guide.
GUIDE = "docs/guide/"


@dataclass(frozen=True)
class Rule:
    """A rule of advice.

    Parameters
    ----------
    name : str
    applies : callable
        ``applies(inspection)`` returns a sentence with numbers, or None.
    why : str
        The reason, in a sentence.
    link : str
        The evidence: a page, or an article.
    """

    name: str
    applies: Callable
    why: str
    link: str


def advice_of(inspection):
    """Return the advice of all rules that apply.

    Parameters
    ----------
    inspection : Inspection

    Returns
    -------
    list of dict
        Rule, advice, why and link.
    """
    found = []
    for rule in RULES:
        sentence = rule.applies(inspection)
        if sentence is not None:
            found.append(
                {"rule": rule.name, "advice": sentence, "why": rule.why, "link": rule.link}
            )
    return found


def _broken(found):
    if n := len(found.broken):
        files = counted(n, "image" if found.samples.paths is None else "file")
        return f"Mend or remove what cannot be read ({files}): compare and fit refuse it."
    return None


def _across(found):
    n_similar = len(found.leaked) - found.n_equal
    parts = []
    if n := found.n_equal:
        parts.append(f"Remove the {counted(n, 'test image')} that {_equals(n)} a training image.")
    if n_similar:
        parts.append(
            f"Look at the {counted(n_similar, 'test image')} that {_is(n_similar)} similar to a "
            "training image, and remove those that show the same object in the same picture."
        )
    return " ".join(parts) or None


def _equals(number):
    return "equals" if number == 1 else "equal"


def _is(number):
    return "is" if number == 1 else "are"


def _within(found):
    n_images = sum(len(group) for group in found.train_groups)
    if n_images:
        return (
            f"Keep the {n_images} training images that equal others or are similar to them "
            "together: give --group-near-duplicates to skimb compare and skimb fit, or "
            "groups=inspection.groups."
        )
    return None


def _conflicts(found):
    n_equal = sum(pair.is_exact for pair in found.conflicts)
    n_similar = len(found.conflicts) - n_equal
    parts = []
    if n_equal:
        parts.append(
            f"Decide on the label of {counted(n_equal, 'pair')} of equal images in two classes: "
            "one label of each is wrong, or neither class fits."
        )
    if n_similar:
        parts.append(
            f"Look at {counted(n_similar, 'pair')} of similar images in two classes: where both "
            "show the same, one label is wrong."
        )
    return " ".join(parts) or None


def _constant(found):
    if n := len(found.samples.constant):
        images = counted(n, "image")
        return f"Look at the {images} of one colour: nothing can be learned from such an image."
    return None


def _few(found):
    few = {label: n for label, n in found.counts.items() if n < FEW_IMAGES}
    if few:
        named = ", ".join(f"{label} ({n})" for label, n in list(few.items())[:5])
        return f"Collect more images of the small classes, if you can: {named}."
    return None


def _folds(found):
    few = [str(label) for label, n in found.counts.items() if n < FOLDS]
    if few:
        return (
            f"Five folds need five images of each class, and these have fewer: "
            f"{', '.join(few[:5])}. Give --folds to skimb compare, or collect more images."
        )
    return None


def _guarantee(found):
    if found.counts and (n := min(found.counts.values())) < FOR_GUARANTEE:
        return (
            f"With {counted(n, 'image')} of the smallest class, a recall of 95 % cannot be "
            f"guaranteed: it takes at least {FOR_GUARANTEE} that are held out, at a confidence of "
            "95 %."
        )
    return None


def _extreme(found):
    counts = found.counts.values()
    if len(counts) > 1 and min(counts) and (ratio := max(counts) / min(counts)) >= EXTREME:
        return (
            f"The largest class has {ratio:.0f} times as many images as the smallest. "
            "Accuracy says little here: judge by minority F1, balanced accuracy or costs."
        )
    return None


def _one_class(found):
    if len(found.counts) == 1:
        return "There is only one class: add the folder of another one before you compare."
    return None


def _absent(found):
    if not found.test_counts:
        return None
    lacks = [str(label) for label in found.counts if label not in found.test_counts]
    new = [str(label) for label in found.test_counts if label not in found.counts]
    parts = []
    if lacks:
        parts.append(f"the test set has no image of {', '.join(lacks[:5])}")
    if new:
        parts.append(f"the training set has no image of {', '.join(new[:5])}")
    return f"Add images, because {' and '.join(parts)}." if parts else None


def _shortcut(found):
    if not found.shortcuts:
        return None
    one = found.shortcuts[0]
    return (
        f"Convert all images in the same way: {one['fraction_of_class']:.0%} of class "
        f"{one['class']} have the {one['property']} {one['value']}, and "
        f"{one['fraction_of_others']:.0%} of the others."
    )


def _sizes(found):
    if (n := len(found.sizes)) > 1:
        return (
            f"The images have {n} sizes: give --size N to skimb compare and skimb fit, to which "
            "all are resized."
        )
    return None


def _depths(found):
    deep, n_readable = found.samples.deep, len(found.samples.readable)
    if 0 < len(deep) < n_readable:
        return (
            f"Save all files with the same depth: {len(deep)} of {n_readable} have more than 8 "
            f"bits per channel, {found.samples.names[deep[0]]} first, and the others have 8. "
            "compare and fit refuse a mixture."
        )
    return None


def _modes(found):
    if len({mode in ("1", "L", "I", "F", "I;16") for mode in found.modes}) > 1:
        return "Some images are grey and others in colour: check that this is no sign of the class."
    return None


def _names(found):
    across = [one for one in found.sources if one["n_train"] and one["n_test"]]
    if across:
        return (
            f"File names tell of {counted(len(across), 'source')} with images on both sides of the "
            f"test split, {across[0]['stem']} first. Put each source on one side."
        )
    if found.sources:
        return (
            f"File names tell of {counted(len(found.sources), 'source')} with several images each, "
            f"{found.sources[0]['stem']} first. If that is so, keep each together: give "
            "--group-pattern, or --group with a table, to skimb compare and skimb fit."
        )
    return None


RULES = (
    Rule(
        "broken files",
        _broken,
        "A file that cannot be read is often a sign of a download or copy that stopped, and NaN in "
        "an array of a division by zero.",
        f"{GUIDE}inspecting.md",
    ),
    Rule(
        "copies across the split",
        _across,
        "A network remembers images that it was trained on, so that figures on their copies are "
        "too good.",
        "https://doi.org/10.3390/jimaging6060041",
    ),
    Rule(
        "labels of copies differ",
        _conflicts,
        "Wrong labels in test sets change which method looks best.",
        "https://arxiv.org/abs/2103.14749",
    ),
    Rule(
        "copies within the training set",
        _within,
        "In cross-validation, copies on both sides of a split make figures too good.",
        "https://doi.org/10.3390/jimaging6060041",
    ),
    Rule(
        "sources in file names",
        _names,
        "Images of one patient or video resemble each other more than those of others will.",
        "https://doi.org/10.1016/j.patter.2023.100804",
    ),
    Rule(
        "properties of files",
        _shortcut,
        "Networks learn whatever tells the classes apart, the traces of a file format included.",
        "https://arxiv.org/abs/2004.07780",
    ),
    Rule("one class", _one_class, "There is nothing to tell apart.", f"{GUIDE}inspecting.md"),
    Rule(
        "classes without images",
        _absent,
        "A class without test images has no recall, and one without training images is never "
        "predicted.",
        f"{GUIDE}inspecting.md",
    ),
    Rule(
        "too few images for folds",
        _folds,
        "Each fold must have an image of each class.",
        f"{GUIDE}validation.md",
    ),
    Rule(
        "few images",
        _few,
        "With few images of a class, the difference of two strategies is mostly noise, and more "
        "images help more than any strategy.",
        f"{GUIDE}inspecting.md",
    ),
    Rule(
        "guarantees",
        _guarantee,
        "By the binomial distribution, 58 images that are all found leave a recall below 95 % "
        "possible.",
        f"{GUIDE}guarantees.md",
    ),
    Rule(
        "extreme ratio",
        _extreme,
        "A classifier that never finds the minority class is right nearly always.",
        f"{GUIDE}methods.md",
    ),
    Rule(
        "constant images",
        _constant,
        "They are often failed recordings.",
        f"{GUIDE}inspecting.md",
    ),
    Rule(
        "sizes differ",
        _sizes,
        "A network reads images of one size.",
        f"{GUIDE}inspecting.md",
    ),
    Rule(
        "depths differ",
        _depths,
        "Equal numbers mean different brightness at different depths.",
        f"{GUIDE}inspecting.md",
    ),
    Rule(
        "grey and colour",
        _modes,
        "Where one class is mostly grey, a network learns that.",
        "https://arxiv.org/abs/2004.07780",
    ),
)
