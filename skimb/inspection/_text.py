"""Labels as text in a plot."""

__all__ = ["plain_text"]


def plain_text(label):
    r"""Return a label as matplotlib shows it literally: a dollar sign would start mathematics.

    Parameters
    ----------
    label : object
        The label.

    Returns
    -------
    str

    Examples
    --------
    >>> from skimb.inspection import plain_text
    >>> print(plain_text("5 $"))
    5 \$
    """
    return str(label).replace("$", r"\$")
