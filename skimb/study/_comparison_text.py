"""A comparison as a table for a terminal."""

import numpy as np

from skimb._drawn_text import visible_text
from skimb.study._report_labels import short_label

__all__ = ["format_table"]


def format_table(comparison):
    """Lay out the comparison for a terminal.

    Parameters
    ----------
    comparison : BaseComparison
        The comparison to show.

    Returns
    -------
    str
    """
    table, verdict = comparison.table, comparison.verdict
    metrics, others = comparison.verdict_metrics, comparison.other_metrics
    texts = {name: visible_text(name) for name in comparison.strategies}
    width = max(len(text) for text in texts.values())
    rows = []
    for name in comparison.strategies:
        cells = []
        for metric in metrics:
            row = table.loc[name, metric]
            cell = comparison.text(row["mean"], metric)
            if np.isfinite(row["sd"]):
                cell += f" ± {comparison.text(row['sd'], metric)}"
            if name != comparison.baseline:
                cell += f"  {comparison.text(row['difference'], metric, sign=True)}"
                if np.isfinite(row["low"]):
                    bounds = (
                        comparison.text(row[end], metric, sign=True) for end in ("low", "high")
                    )
                    cell += f" [{', '.join(bounds)}]"
                cell += f"  {verdict.loc[name, metric]}"
            cells.append(cell)
        cells += [comparison.text(table.loc[name, (metric, "mean")], metric) for metric in others]
        rows.append((texts[name], cells, table.loc[name, ("seconds", "mean")]))
    heads = [*metrics, *(short_label(metric) for metric in others)]
    widths = [
        max(len(head), least, *(len(cells[k]) for _, cells, _ in rows))
        for k, (head, least) in enumerate(
            zip(heads, [46] * len(metrics) + [9] * len(others), strict=True)
        )
    ]

    def line(name, cells, seconds):
        text = f"{name:<{width}}"
        for k, (cell, space) in enumerate(zip(cells, widths, strict=True)):
            text += f"  {cell:<{space}}" if k < len(metrics) else f"  {cell:>{space}}"
        return f"{text}  {seconds:>7}"

    lines = [line("", heads, "seconds")]
    lines += [line(name, cells, f"{seconds:.1f}") for name, cells, seconds in rows]
    for name in comparison.strategies:
        if (searched := comparison.search_steps(name)) is not None:
            lines.append(
                f"{texts[name]}: {comparison.gradient_steps(name):.0f} gradient steps of its own, "
                f"and {searched:.0f} on parts of the samples; most others take "
                f"{comparison.protocol['gradient_steps']}"
            )
    lines.append(
        f"mean ± sd over {comparison.protocol['n_runs']} run(s); difference to "
        f"{texts[comparison.baseline]} [its 95 % interval]; with several strategies, some "
        "differences look real by chance"
    )
    return "\n".join(lines)
