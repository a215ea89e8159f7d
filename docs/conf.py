"""Configuration of the site. CONTRIBUTING.md has the command that builds it."""

import sys
from pathlib import Path

import skimb

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "skimb"
author = "The skimb developers"
copyright = author
version = release = skimb.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_gallery.gen_gallery",
    "command_help",
    "enlarged_pictures",
    "listed_names",
    "mathml",
    "public_names",
]
exclude_patterns = ["auto_examples/*.py"]
templates_path = ["_templates"]
nitpicky = True

# -- Markdown -------------------------------------------------------------------
# The pages are read on the forge too, so they use links and tables alone where these will do.
myst_heading_anchors = 3

# -- Reference ------------------------------------------------------------------
autosummary_generate = True
autodoc_typehints = "none"
default_role = "literal"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
# All checks of numpydoc but those whose rule the docstrings do not follow.
numpydoc_validation_checks = {
    "all",
    "ES01",  # a summary of one line that says all needs no second paragraph
    "EX01",  # classes and functions have examples (a test demands them), their methods need none
    "PR04",  # several parameters "as in" another function, or as scikit-learn's, have no type
    "PR06",  # "tensor of integers" is no Python type
    "PR07",  # the name of a parameter may say all
    "RT02",  # a returned value may have a name
    "RT03",  # "self", or a type that the summary describes
    "SA01",  # names in the text are links already
    "YD01",  # a context manager that yields nothing
}
# Methods of one line that keep a protocol, whose base class or page documents what they take, and
# two classes that are made by the library, or only inherited from.
numpydoc_validation_exclude = {
    r"\.losses\.\w+\.(forward|effective_logits|decision_logits|extra_repr)$",
    r"\.neural_network\.\w+\.forward$",
    r"\.datasets\.\w+\.\w+$",
    r"\.joint_training\.\w+\.\w+$",
    r"\.relevance\.LabelDensity\.bin_of$",
    r"\.study\.\w+\.(is_error|to_dict|seconds)$",
    r"\.(RegressionLoss|Suggestions)$",
}

# -- Examples -------------------------------------------------------------------
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "backreferences_dir": "reference/generated/examples",
    "doc_module": ("skimb",),
    "write_computation_times": False,
    "show_memory": False,
    "min_reported_time": 1e9,
}

# -- HTML -----------------------------------------------------------------------
html_theme = "pydata_sphinx_theme"
html_math_renderer = "mathml"
html_title = "skimb"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_use_index = False
# What is read from top to bottom needs no navigation beside it.
html_sidebars = {"index": [], "changelog": [], "contributing": [], "glossary": []}
html_theme_options = {
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "navigation_with_keys": False,
    "show_prev_next": False,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
}
