"""The learning curve of one class as a chart of a report."""

import numpy as np

from skimb.study._charts import axis_of, line_path

__all__ = ["more_images_chart"]

SIZE = {"width": 348, "height": 220, "left": 44, "right": 338, "top": 10, "bottom": 178}


def more_images_chart(found):
    """Return a learning curve with its band and the scores that it goes on from.

    Parameters
    ----------
    found : MoreImages

    Returns
    -------
    dict
    """
    x_axis = axis_of([0, found.grid[-1]], SIZE["left"], SIZE["right"], margin=0)
    values = [*found.low, *found.high, *found.scores.ravel()]
    y_axis = axis_of(values, SIZE["bottom"], SIZE["top"], n_ticks=4, least=0.0, most=1.0)
    x, low, high = x_axis.at(found.grid), y_axis.at(found.low), y_axis.at(found.high)
    there, back = line_path(x, high), line_path(x[::-1], low[::-1])
    means = np.nanmean(found.scores, axis=0)
    return SIZE | {
        "x": x_axis,
        "y": y_axis,
        "line": line_path(x, y_axis.at(found.mean)),
        "band": f"{there}L{back[1:]}z",
        "dots": list(zip(x_axis.at(found.sizes).tolist(), y_axis.at(means).tolist(), strict=True)),
        "now": float(x_axis.at(found.n_images)),
        "measure": found.measure,
        "text": f"Score of {found.label} over the number of its images",
    }
