"""What a figure shows, as boxes in pixels, and what is cut off or overlaps in it."""

from itertools import combinations

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import AxesImage
from matplotlib.legend import Legend
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.text import Text
from matplotlib.transforms import Bbox

__all__ = ["boxes_of", "faults_of"]

#: Boxes may reach over an edge, or into each other, by so many pixels.
TOLERANCE = 1.0

#: A box is counted that was drawn by one of these.
KINDS = (Text, Legend, AxesImage, OffsetImage, AnnotationBbox)


def boxes_of(figure, monkeypatch):
    """Return what a figure draws as it is saved: pairs of a description and a box in pixels.

    Parameters
    ----------
    figure : matplotlib Figure
    monkeypatch : pytest.MonkeyPatch

    Returns
    -------
    list of (str, str, Bbox)
        The kind, a description, and the box.
    """
    drawn = []
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    with monkeypatch.context() as patch:
        for kind in KINDS:
            patch.setattr(kind, "draw", _recording(kind.draw, kind, drawn))
        canvas.draw()
    return drawn


def _recording(draw, kind, drawn):
    def recording(self, renderer, *args, **kwargs):
        if self.get_visible():
            text = self.get_text() if isinstance(self, Text) else ""
            if not isinstance(self, Text) or text.strip():
                place = self.get_window_extent(renderer)
                if isinstance(self, AxesImage) and self.axes is not None:
                    place = Bbox.intersection(place, self.axes.bbox) or place
                drawn.append((kind.__name__, text, place))
        return draw(self, renderer, *args, **kwargs)

    return recording


def faults_of(figure, monkeypatch):
    """Return what is cut off, and which texts and images overlap, as sentences.

    Parameters
    ----------
    figure : matplotlib Figure
    monkeypatch : pytest.MonkeyPatch

    Returns
    -------
    list of str
    """
    drawn = boxes_of(figure, monkeypatch)
    frame = figure.bbox
    faults = [
        f"{kind} {text!r} is cut off: {_numbers(box)} in {_numbers(frame)}"
        for kind, text, box in drawn
        if box.x0 < frame.x0 - TOLERANCE
        or box.y0 < frame.y0 - TOLERANCE
        or box.x1 > frame.x1 + TOLERANCE
        or box.y1 > frame.y1 + TOLERANCE
    ]
    texts = [one for one in drawn if one[0] == "Text"]
    pictures = [one for one in drawn if one[0] == "OffsetImage"]
    for one, other in [
        *combinations(texts, 2),
        *((text, picture) for text in texts for picture in pictures),
        *combinations(pictures, 2),
    ]:
        if _overlap(one[2], other[2]):
            faults.append(
                f"{one[0]} {one[1]!r} and {other[0]} {other[1]!r} overlap: "
                f"{_numbers(one[2])}, {_numbers(other[2])}"
            )
    return faults


def _overlap(one, other):
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return width > TOLERANCE and height > TOLERANCE


def _numbers(box):
    return tuple(round(float(value), 1) for value in box.extents)
