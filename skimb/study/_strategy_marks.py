"""The colour and the shape that stand for a strategy in every figure of a report."""

from dataclasses import dataclass

from skimb.study._strategies import CONSTANT

__all__ = ["Mark", "marks_of"]

#: Colours of the stylesheet, ``--s0`` to ``--s7``. Any two differ for those too who lack one kind
#: of cones, by the model of Machado et al. (2009, doi:10.1109/TVCG.2009.113).
N_COLOURS = 8

#: Paths around the origin, within a circle of radius 5.
SHAPES = {
    "circle": "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0z",
    "square": "M-4-4h8v8h-8z",
    "triangle": "M0-5L5 4H-5z",
    "turned": "M0 5L5-4H-5z",
    "bar": "M-2.5-5h5v10h-5z",
}
BASELINE_SHAPE = "M0-6L6 0L0 6L-6 0z"
CONSTANT_SHAPE = (
    "M-4.5-2.5L-2.5-4.5L0-2L2.5-4.5L4.5-2.5L2 0L4.5 2.5L2.5 4.5L0 2L-2.5 4.5L-4.5 2.5L-2 0z"
)


@dataclass(frozen=True)
class Mark:
    """A coloured shape.

    Parameters
    ----------
    colour : str
        The name of a colour of the stylesheet.
    path : str
        The shape as an SVG path around the origin.
    """

    colour: str
    path: str


def marks_of(comparison):
    """Return the mark of each strategy, the same in every figure.

    No two strategies of up to 40 have the same colour and the same shape, and with up to 8
    strategies beside the baseline and the constant, no two have the same colour.

    Parameters
    ----------
    comparison : BaseComparison

    Returns
    -------
    dict of str to Mark
    """
    marks, shapes = {}, list(SHAPES.values())
    for name in comparison.strategies:
        if name == comparison.baseline:
            marks[name] = Mark("ink", BASELINE_SHAPE)
        elif comparison.chosen[name].name == CONSTANT:
            marks[name] = Mark("soft", CONSTANT_SHAPE)
        else:
            n = sum(
                mark.colour.startswith("s") and mark.colour != "soft" for mark in marks.values()
            )
            marks[name] = Mark(f"s{n % N_COLOURS}", shapes[n % len(shapes)])
    return marks
