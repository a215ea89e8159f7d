"""The words of an inspection: how two images are related, and by how much they differ."""

__all__ = ["LOOK", "difference", "explained", "nothing_found", "percent", "relation"]

#: How to look at pairs.
LOOK = (
    "Look at them before you act: --report PAGE.html (in Python to_html) shows each pair side by "
    "side."
)


def nothing_found(inspection):
    """Say that no rule of advice applies.

    Parameters
    ----------
    inspection : Inspection

    Returns
    -------
    str
    """
    if inspection.doubtful:
        return "No rule asks for a change; look at the labels that are listed."
    return "Nothing was found that needs a decision."


def percent(misfit):
    """Return a misfit in percent.

    Parameters
    ----------
    misfit : float

    Returns
    -------
    str
    """
    return "less than 0.1 %" if misfit < 0.0005 else f"{100 * misfit:.1f} %"


def relation(pair):
    """Return the verb between the names of two images of a pair.

    Parameters
    ----------
    pair : Pair

    Returns
    -------
    str
    """
    return {"same file": "is the same file as", "same pixels": "has the same pixels as"}.get(
        pair.kind, "is similar to"
    )


def difference(pair):
    """Say by how much, and how, the images of a pair differ; nothing for equal images.

    Parameters
    ----------
    pair : Pair

    Returns
    -------
    str
    """
    if pair.is_exact:
        return ""
    change = f", {pair.change}" if pair.change else ""
    return f"{change}: they differ by {percent(pair.misfit)}"


def explained(copies):
    """Explain the unit of a difference, and what is typical of the images of a set.

    Parameters
    ----------
    copies : Copies

    Returns
    -------
    str
    """
    words = (
        "One image is laid over the other. 0 % means that all details agree, and 100 % that the "
        f"two have no detail in common. Pairs up to {percent(copies.threshold)} are listed"
    )
    # Where many images have several copies each, these hide what different images look like.
    if copies.lookalike is None or copies.lookalike <= copies.threshold:
        return f"{words}."
    return (
        f"{words}, because images of this set that are probably different differ by "
        f"{percent(copies.lookalike)} or more."
    )
