"""Labels in messages, and labels that a model does not know."""

__all__ = ["listed", "refuse_unknown"]

#: Labels that a message names at most.
MOST_NAMED = 10


def listed(labels):
    """Return labels as text, of which the first ten are named.

    Parameters
    ----------
    labels : iterable

    Returns
    -------
    str

    Examples
    --------
    >>> from skimb._command_line._labels import listed
    >>> listed(["cat", "dog"])
    "['cat', 'dog']"
    >>> listed(range(171))
    '[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ... 171 in all]'
    """
    labels = list(labels)
    if len(labels) <= MOST_NAMED:
        return str(labels)
    return f"{str(labels[:MOST_NAMED])[:-1]}, ... {len(labels)} in all]"


def refuse_unknown(found, known, *, source, knower):
    """Refuse labels that a model cannot predict.

    Parameters
    ----------
    found, known : iterable of labels
        Labels of the images, and labels that the model knows; their texts are compared.
    source, knower : object
        Where the two come from, for the message.

    Raises
    ------
    ValueError
        If some are unknown.
    """
    found = sorted(set(found))
    texts = {str(label) for label in known}
    if unknown := [label for label in found if str(label) not in texts]:
        raise ValueError(
            f"{source} has the classes {listed(found)}, and {knower} knows {listed(known)}: "
            f"{listed(unknown)} are not known to it. Rename or remove them."
        )
