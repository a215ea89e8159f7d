"""Pictures of pages link to themselves: on a phone, a tap shows them in their own size."""

from docutils import nodes


def keep_size(app, doctree):
    """Give pictures a scale, because Sphinx makes links of pictures that have one."""
    for image in doctree.findall(nodes.image):
        if not isinstance(image.parent, nodes.reference):
            image["scale"] = 100


def setup(app):
    """Act on each page as it is read."""
    app.connect("doctree-read", keep_size)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
