"""Metadata (sample weights, groups) that an estimator passes on to the one it holds."""

from sklearn import get_config
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing

__all__ = ["metadata_of_estimator", "requesting", "router_of", "routes"]


def routes():
    """Tell whether scikit-learn's metadata routing is enabled."""
    return get_config()["enable_metadata_routing"]


def requesting(estimator, *names):
    """Let a default estimator request metadata, since no one else can ask it to.

    Parameters
    ----------
    estimator : estimator
        It is changed where routing is enabled.
    *names : str
        The metadata of its ``fit``.

    Returns
    -------
    estimator
    """
    return estimator.set_fit_request(**dict.fromkeys(names, True)) if routes() else estimator


def router_of(owner, estimator, *, callers=("fit",)):
    """Return the routing of an estimator that fits another one.

    Parameters
    ----------
    owner : estimator
        The one that holds the other. Its own requests count too.
    estimator : estimator
        The other one.
    callers : tuple of str, default=("fit",)
        The methods of `owner` in which ``estimator.fit`` is called.

    Returns
    -------
    MetadataRouter
    """
    mapping = MethodMapping()
    for caller in callers:
        mapping.add(caller=caller, callee="fit")
    router = MetadataRouter(owner=owner).add_self_request(owner)
    return router.add(estimator=estimator, method_mapping=mapping)


def metadata_of_estimator(owner, given, others):
    """Return the metadata that the estimator in another one gets in ``fit``.

    Parameters
    ----------
    owner : estimator
        The estimator whose ``fit`` was called.
    given : dict
        The metadata that are parameters of its ``fit``, by name. None: not given.
    others : dict
        Further metadata, under names that the estimator in it has requested.

    Returns
    -------
    dict

    Raises
    ------
    UnsetMetadataPassedError
        If routing is enabled, and the estimator neither requests nor refuses what is given.
    TypeError
        If further metadata are given, and routing is not enabled or no estimator requests them.
    """
    given = {name: value for name, value in given.items() if value is not None}
    if routes():
        return dict(process_routing(owner, "fit", **given, **others).estimator.fit)
    if others:
        raise TypeError(
            f"{type(owner).__name__}.fit() got unexpected metadata: {sorted(others)}. Other names "
            "need scikit-learn's metadata routing: "
            "sklearn.set_config(enable_metadata_routing=True)."
        )
    return given
