"""The report of a comparison for a continuous target."""

import numpy as np

from skimb.study._regression_charts import density_chart, error_panels, scatter_panel
from skimb.study._regression_strategies import BUILT_ON_BASELINE
from skimb.study._report import labels_of, render
from skimb.study._report_charts import trade_chart
from skimb.study._report_images import gallery_lines
from skimb.study._sample_images import short_number
from skimb.study._strategies import CONSTANT

__all__ = ["regression_report"]


def regression_report(comparison):
    """Render a comparison for a continuous target as HTML.

    Parameters
    ----------
    comparison : RegressionComparison
        The comparison to show.

    Returns
    -------
    str
    """
    return render(
        comparison,
        "regression.html.j2",
        costs=None,
        building=labels_of(comparison, BUILT_ON_BASELINE),
        trade=_trade(comparison),
        density=density_chart(comparison.y, comparison.relevance),
        samples=gallery_lines(comparison.samples),
        errors=error_panels(comparison),
        predictions=[
            scatter_panel(name, *comparison.predictions(name), values=np.asarray(comparison.y))
            for name in comparison.strategies
        ],
        short_number=short_number,
    )


def _trade(comparison):
    """Return the errors of rare values against those of normal values, which may pay for them."""
    metrics = ("mean_absolute_error[rare]", "mean_absolute_error[normal]")
    # With the constant, which lies so far off, nothing else could be told apart.
    names = [name for name in comparison.strategies if comparison.chosen[name].name != CONSTANT]
    return trade_chart(comparison, metrics, names=names, least=0.0)
