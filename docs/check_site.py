"""Check a built site: ``python docs/check_site.py build/site`` prints what is wrong with it.

Each link within the site leads to a page and an anchor that exist, links to other sites have the
form of one (nothing is fetched), each picture says what it shows, and each page is at most two
clicks away from the first.
"""

import argparse
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: Pages that are reached by the search field, or not at all.
WITHOUT_LINK = {"search.html", "genindex.html", "404.html"}
MOST_CLICKS = 2


class Page(HTMLParser):
    """The links, the anchors and the pictures of a page."""

    def __init__(self, path):
        super().__init__()
        self.path = path
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.unnamed: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        """Take down an element."""
        found = {name: value for name, value in attrs if value}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        self.links += [found[name] for name in ("href", "src") if name in found]
        source = found.get("src", "")
        # The title of an example stands beside its thumbnail.
        if tag == "img" and not source.endswith("_thumb.png") and "alt" not in found:
            self.unnamed.append(source)


def is_external(link):
    """Return whether a link leads out of the site."""
    parts = urlsplit(link)
    return bool(parts.scheme or parts.netloc)


def well_formed(link):
    """Return whether a link to another site can be one."""
    parts = urlsplit(link)
    if parts.scheme in ("mailto", "data"):
        return bool(parts.path)
    return parts.scheme in ("http", "https") and "." in parts.netloc and " " not in link


def target_of(page, link):
    """Return the file that a link within the site leads to, and the anchor in it."""
    parts = urlsplit(link)
    path = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
    return (path / "index.html" if path.is_dir() else path), unquote(parts.fragment)


def clicks_from(first, pages):
    """Return how many clicks away from the first page each page is."""
    clicks = {first: 0}
    waiting = [first]
    for path in waiting:
        for link in pages[path].links:
            target = None if is_external(link) else target_of(pages[path], link)[0]
            if target in pages and target not in clicks:
                clicks[target] = clicks[path] + 1
                waiting.append(target)
    return clicks


def mistakes_of(folder) -> Iterator[str]:
    """Yield a line for each mistake of the site in a folder."""
    folder = Path(folder).resolve()
    paths = [path for path in sorted(folder.rglob("*.html")) if "_static" not in path.parts]
    pages = {path: Page(path) for path in paths}
    first = folder / "index.html"
    if first not in pages:
        yield f"{folder} has no index.html: it is no built site"
        return
    for path, page in pages.items():
        name = path.relative_to(folder).as_posix()
        for link in page.links:
            if is_external(link):
                if not well_formed(link):
                    yield f"{name}: {link!r} cannot be a link to another site"
                continue
            target, anchor = target_of(page, link)
            if not target.exists():
                yield f"{name}: {link!r} leads to no file"
            elif anchor and target in pages and anchor not in pages[target].anchors:
                yield f"{name}: {link!r} leads to no anchor"
        for picture in page.unnamed:
            yield f"{name}: the picture {picture!r} has no text that says what it shows"
    clicks = clicks_from(first, pages)
    for path in paths:
        name = path.relative_to(folder).as_posix()
        if name not in WITHOUT_LINK and clicks.get(path, MOST_CLICKS + 1) > MOST_CLICKS:
            yield f"{name} is more than {MOST_CLICKS} clicks away from index.html: link to it"


def main():
    """Print the mistakes, and fail where there are any."""
    parser = argparse.ArgumentParser(description="Check a built site.")
    parser.add_argument("folder", type=Path)
    mistakes = list(mistakes_of(parser.parse_args().folder))
    print(*mistakes, f"{len(mistakes)} mistakes", sep="\n")
    return bool(mistakes)


if __name__ == "__main__":
    sys.exit(main())
