"""The names of metrics as people read them."""

__all__ = ["metric_label", "short_label"]


def metric_label(metric):
    """Return the name of a metric as people read it.

    Parameters
    ----------
    metric : str
        Such as ``"f1_minority"``.

    Returns
    -------
    str
        Such as ``"minority F1"``.
    """
    if metric.endswith("_minority"):
        metric = f"minority {metric.removesuffix('_minority')}"
    return metric.replace("_", " ").replace("f1", "F1")


def short_label(metric):
    """Return the name of a metric for a narrow column.

    Parameters
    ----------
    metric : str
        Such as ``"recall_minority"`` or ``"mean_absolute_error[rare]"``.

    Returns
    -------
    str
        Such as ``"recall"`` or ``"MAE[rare]"``.
    """
    if metric.endswith("_minority"):
        return metric.removesuffix("_minority")
    return metric.replace("mean_absolute_error", "MAE").replace("prediction_", "")
