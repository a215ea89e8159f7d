"""Reports of made comparisons, to be looked at in a browser.

Pages of 2, 10 and 100 classes, one run, equal values, awkward names, numbers, and evaluations; no
network is trained. With Chromium, pictures of each page at the width of a phone, a tablet and a
desktop, in light and dark, and on paper:

    PYTHONPATH=. python tests/study/report_pages.py FOLDER --pictures

With node and the npm packages axe-core and puppeteer-core in a folder, the pages are checked for
accessibility, and for sideways scrolling at 320 and 390 pixels:

    PYTHONPATH=. python tests/study/report_pages.py FOLDER --axe FOLDER_OF_NODE_MODULES
"""

import argparse
import json
import os
import subprocess
from pathlib import Path

import numpy as np
from made_comparisons import (
    AWKWARD,
    drawn_images,
    made_comparison,
    made_curve,
    made_regression,
)

from skimb.study import ClassificationEvaluation, RegressionEvaluation

CHROMIUM = "chromium"

CHECK = r"""
const puppeteer = require("puppeteer-core"), fs = require("fs"), path = require("path");
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
(async () => {
  const browser = await puppeteer.launch({executablePath: process.argv[2], args: ["--no-sandbox"]});
  const found = {};
  for (const file of process.argv.slice(3)) {
    for (const scheme of ["light", "dark"]) {
      const page = await browser.newPage();
      await page.setBypassCSP(true);
      await page.emulateMediaFeatures([{name: "prefers-color-scheme", value: scheme}]);
      for (const width of [320, 390, 1200]) {
        await page.setViewport({width, height: 900});
        await page.goto("file://" + file);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        if (wide > width) found[`${path.basename(file)} ${scheme} ${width}`] = `scrolls: ${wide}`;
        if (width == 320) continue;
        await page.evaluate(() => document.querySelectorAll("details").forEach(d => d.open = true));
        await page.evaluate(axe);
        const result = await page.evaluate(() => axe.run({resultTypes: ["violations"]}));
        for (const v of result.violations)
          found[`${path.basename(file)} ${scheme} ${width} ${v.id}`] =
            `${v.help}; ${v.nodes.length} times, such as ${v.nodes[0].html.slice(0, 200)}: ` +
            v.nodes[0].failureSummary.slice(0, 300);
      }
      await page.close();
    }
  }
  await browser.close();
  console.log(JSON.stringify(found, null, 1));
})();
"""


def write_pages(folder):
    """Write all pages, and return their paths."""
    rng = np.random.default_rng(0)
    pages = {
        "two": made_comparison(2, classes=["crack", "sound"], counts=[40, 400]),
        "one_run": made_comparison(
            2, classes=["crack", "sound"], counts=[30, 120], X_test=True, strategies=["over"]
        ),
        "ten": made_comparison(10),
        "awkward": made_comparison(len(AWKWARD), classes=AWKWARD),
        "hundred": made_comparison(100),
        "numbers": made_regression(),
    }
    for comparison in (pages["two"], pages["hundred"]):
        comparison.protocol |= {
            "command": "skimb compare 'my images' --folds 5 --report report.html --json r.json",
            "next_command": "skimb fit 'my images' --strategy best --from r.json --out model.skimb",
        }
    pages["two"].more_images = made_curve(rng)
    truth = np.repeat(AWKWARD, 12)
    wrong = np.where(rng.random(len(truth)) < 0.25, rng.permutation(truth), truth)
    images = drawn_images(np.repeat(np.arange(len(AWKWARD)), 12))
    pages["evaluation"] = ClassificationEvaluation(
        *(truth, wrong, rng.uniform(0.3, 1, size=len(truth))),
        classes=sorted(AWKWARD),
        minority=AWKWARD[0],
        X=images,
        facts={"model": "m.skimb", "data": "test"},
    )
    values = rng.lognormal(8, 0.7, size=len(images))
    pages["evaluation_numbers"] = RegressionEvaluation(
        values, values * rng.normal(1, 0.2, size=len(values)), y_train=values, X=images
    )
    paths = []
    for name, page in pages.items():
        paths.append(folder / f"{name}.html")
        page.to_html(paths[-1])
    return paths


def take_pictures(path, only=None):
    """Take pictures of a page at several widths, in light and dark, and of its paper."""
    flags = ["--headless", "--no-sandbox", "--hide-scrollbars", "--disable-gpu"]
    for width, height in ((390, 9000), (768, 5000), (1200, 5000)):
        for scheme in ("light", "dark"):
            if only and f"{width}-{scheme}" not in only:
                continue
            dark = ["--blink-settings=preferredColorScheme=0"] if scheme == "dark" else []
            out = path.with_name(f"{path.stem}-{width}-{scheme}.png")
            size = [f"--window-size={width},{height}", f"--screenshot={out}"]
            subprocess.run([CHROMIUM, *flags, *dark, *size, f"file://{path}"], check=True)
    if only is None or "paper" in only:
        out = path.with_name(f"{path.stem}.pdf")
        paper = [f"--print-to-pdf={out}", "--no-pdf-header-footer"]
        subprocess.run([CHROMIUM, *flags, *paper, f"file://{path}"], check=True)


def check(paths, modules):
    """Return what an accessibility checker finds on the pages, and which scroll sideways."""
    script = Path(modules) / "check-report.js"
    script.write_text(CHECK)
    command = ["node", str(script), f"/usr/bin/{CHROMIUM}", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=True)
    return json.loads(done.stdout)


def main():
    """Write the pages, and look at them as the arguments say."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", nargs="*", metavar="390-dark|paper|...")
    parser.add_argument("--pages", nargs="*", help="names of pages; default: all")
    parser.add_argument("--axe", metavar="FOLDER")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(exist_ok=True, parents=True)
    paths = write_pages(folder)
    for path in paths:
        print(f"{path}: {path.stat().st_size // 1000} kB")
    chosen = [path for path in paths if not arguments.pages or path.stem in arguments.pages]
    if arguments.pictures is not None:
        for path in chosen:
            take_pictures(path, arguments.pictures or None)
    if arguments.axe:
        print(json.dumps(check(chosen, arguments.axe), indent=1))


if __name__ == "__main__":
    main()
