"""What the site knows about public names: links to them, and the version that brought them."""

import importlib
import pkgutil

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

import skimb

#: The version that brought each name whose docstring has no ``versionadded``.
FIRST_VERSION = "0.1.0"
#: Where other libraries document an object. No inventory is fetched: the site is built offline.
PAGES_OF_OTHERS = {
    "sklearn": "https://scikit-learn.org/stable/modules/generated/{}.html",
    "imblearn": "https://imbalanced-learn.org/stable/references/generated/{}.html",
}


def public_modules():
    """Return the modules whose names have no underscore at the start."""
    found = pkgutil.walk_packages(skimb.__path__, "skimb.")
    return [module.name for module in found if "._" not in module.name]


def public_names():
    """Map each full name to the one that the reference has: the first of an object's names."""
    first_names, documented = {}, {}
    for module_name in sorted(public_modules()):
        module = importlib.import_module(module_name)
        for short_name in module.__all__:
            name = f"{module_name}.{short_name}"
            documented[name] = first_names.setdefault(id(getattr(module, short_name)), name)
    return documented


def short_names(documented):
    """Map each short name that belongs to one object alone to its name in the reference."""
    targets = {}
    for name in documented.values():
        targets.setdefault(name.rpartition(".")[2], set()).add(name)
    return {short_name: names.pop() for short_name, names in targets.items() if len(names) == 1}


DOCUMENTED = public_names()
TARGETS = DOCUMENTED | short_names(DOCUMENTED)


class LinkNames(SphinxTransform):
    """Link public names in code font to the reference, in pages as in docstrings."""

    default_priority = 400

    def apply(self):
        """Put each literal that is a public name, or a call of one, into a reference."""
        unlinked = (nodes.reference, nodes.title, addnodes.pending_xref)
        for literal in list(self.document.findall(nodes.literal)):
            target = TARGETS.get(literal.astext().partition("(")[0])
            if target is None or isinstance(literal.parent, unlinked):
                continue
            link = addnodes.pending_xref(
                refdomain="py",
                reftype="obj",
                reftarget=target,
                refdoc=self.env.docname,
                refexplicit=True,
                refwarn=True,
            )
            literal.replace_self(link)
            link += literal


def leave_out_members(app, what, name, obj, skip, options):
    """Keep the methods and properties of skimb.

    Leave out what a class inherits from scikit-learn, torch or Python, and data, which have their
    place in the docstring of the class.
    """
    function = obj.fget if isinstance(obj, property) else getattr(obj, "__func__", obj)
    return skip or not str(getattr(function, "__module__", None)).startswith("skimb")


def add_version(app, what, name, obj, options, lines):
    """Say which version brought a public name."""
    if name in DOCUMENTED and not any("versionadded::" in line for line in lines):
        lines += ["", f".. versionadded:: {FIRST_VERSION}"]


def link_to_others(app, env, node, text):
    """Link the name of an object of another library to its page there."""
    page = PAGES_OF_OTHERS.get(node["reftarget"].partition(".")[0])
    if page is None:
        return None
    return nodes.reference("", "", text, internal=False, refuri=page.format(node["reftarget"]))


def setup(app):
    """Register all of it with Sphinx."""
    app.add_transform(LinkNames)
    app.connect("autodoc-skip-member", leave_out_members)
    app.connect("autodoc-process-docstring", add_version, priority=900)
    app.connect("missing-reference", link_to_others)
    return {"parallel_read_safe": True}
