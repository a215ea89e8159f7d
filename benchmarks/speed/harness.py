"""What the benchmarks of speed share: contenders timed in turn, their record, and its tables.

A `Benchmark` calls every contender once to warm up and then all of them in turn, so that a machine
that slows down does so for all. The first contender, the baseline, is called once more at the end
of each turn: the difference between these two is what noise alone does. Ratios are those of the
fastest calls.
"""

import argparse
import gc
import json
import math
import os
import platform
import re
import shlex
import subprocess
import sys
import time
from contextlib import suppress
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

import threadpoolctl

import skimb
from skimb._files import write_text

# torch is imported where it is needed: what samplers do is measured in processes without it.

ROOT = Path(__file__).resolve().parents[2]

#: Libraries whose versions are recorded where they are installed.
LIBRARIES = ("torch", "numpy", "scikit-learn", "skorch", "imbalanced-learn", "keras")

#: The name of the baseline's second call in each turn.
CONTROL = "the same once more"


def parser_of(doc, *, repeats, has_device=False):
    """Return a parser with the options of all benchmarks, described by a docstring."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=repeats, help="turns that are timed")
    parser.add_argument("--threads", type=int, default=1, help="threads of every contender")
    parser.add_argument("--quick", action="store_true", help="see that it runs; times mean nothing")
    parser.add_argument("--json", type=Path, help="the file to write")
    if has_device:
        parser.add_argument("--device", default="cpu")
    return parser


class Benchmark:
    """The tables of one run, which are printed, and written to a file, as they are made.

    Parameters
    ----------
    arguments : argparse.Namespace
        What a parser of `parser_of` returned.
    """

    def __init__(self, arguments):
        from skimb._engine._runtime import resolve_device

        self.quick, self.file = arguments.quick, arguments.json
        self.repeats = 1 if arguments.quick else arguments.repeats
        self.device = resolve_device(getattr(arguments, "device", "cpu"))
        limit_threads(arguments.threads)
        self.record = {"about": about(self.device, arguments), "tables": []}
        print(describe(self.record["about"]), flush=True)

    def compare(self, title, contenders, *, per=1, targets=(), warm_up=True, control=True):
        """Call contenders in turn, and add a table.

        Parameters
        ----------
        title : str
        contenders : dict of str to callable
            Functions without arguments; the first is the baseline. Each is timed, unless it
            measures itself and returns a dict of numbers, of which one is ``"seconds"``.
        per : int, default=1
            The number, such as that of the epochs, by which seconds are divided.
        targets : iterable of `target`
        warm_up : bool, default=True
            Whether each contender is called once before.
        control : bool, default=True
            Whether the baseline has a second call in each turn.

        Returns
        -------
        dict
            What each contender returned last.
        """
        baseline, *others = contenders
        turn = dict(contenders) | ({CONTROL: contenders[baseline]} if control else {})
        measures = {name: {} for name in [baseline, *([CONTROL] if control else []), *others]}
        results = {name: contender() for name, contender in contenders.items() if warm_up}
        for _ in range(self.repeats):
            for name, contender in turn.items():
                measured, results[name] = self._measured(contender)
                for measure, value in measured.items():
                    value = value / per if measure == "seconds" else value
                    measures[name].setdefault(measure, []).append(round(value, 7))
        self.add({"title": title, "measures": measures, "targets": list(targets)})
        return results

    def _measured(self, contender):
        gc.collect()
        self._synchronize()
        start = time.perf_counter()
        result = contender()
        self._synchronize()
        seconds = time.perf_counter() - start
        return (result if isinstance(result, dict) else {"seconds": seconds}), result

    def _synchronize(self):
        if self.device.type == "cuda":
            import torch

            torch.cuda.synchronize(self.device)

    def add(self, table):
        """Print a table, and write all that there are: a run that is cut off leaves its tables."""
        self.record["tables"].append(table)
        print(f"\n{markdown(table)}", flush=True)
        if self.file is not None:
            write_text(self.file, json.dumps(self.record, indent=1) + "\n")


def target(contender, to, at_most, *, measure="seconds"):
    """Return a target: a contender's measure is at most so many times that of another."""
    return {"contender": contender, "to": to, "at_most": at_most, "measure": measure}


def reached(table, aim):
    """Return the ratio that a target is about, as it was measured."""
    measures = table["measures"]
    ours, theirs = (min(measures[aim[role]][aim["measure"]]) for role in ("contender", "to"))
    return ours / theirs if theirs else math.inf


# --------------------------------------------------------------------- one call, and its process


def limit_threads(n_threads):
    """Give every library in this process, and in those that it starts, a number of threads."""
    import torch

    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(n_threads)
    # skimb chooses its threads by the work, up to this limit.
    os.environ["OMP_THREAD_LIMIT"] = str(n_threads)
    threadpoolctl.threadpool_limits(n_threads)
    torch.set_num_threads(n_threads)


def in_a_process(script, *arguments, limit=None):
    """Call ``SCRIPT --measure ARGUMENTS`` in a fresh process, and return the JSON that it prints.

    Raises
    ------
    subprocess.TimeoutExpired
        If it takes more than `limit` seconds.
    """
    command = [sys.executable, str(script), "--measure", json.dumps(arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=limit)
    return json.loads(done.stdout.splitlines()[-1])


def measured(function):
    """Call a function once; return its result, and a dict of seconds and of its peak in bytes.

    The peak is the largest memory that the process held in RAM, beyond what it held before. (Linux
    counts it, and begins again where "5" is written to this file.)
    """
    gc.collect()
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    start = time.perf_counter()
    result = function()
    seconds = time.perf_counter() - start
    return result, {"seconds": seconds, "peak": _status("VmHWM") - before}


def _status(field):
    """Return a field of this process's status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    kilobytes = dict(line.split(":", 1) for line in lines)[field].split()[0]
    return 1024 * int(kilobytes)


# ------------------------------------------------------------------------- what is recorded


def about(device, arguments):
    """Return what a table must say about its run."""
    import torch

    script = Path(sys.argv[0]).resolve()
    return {
        "date": date.today().isoformat(),
        "command": shlex.join(["python", str(script.relative_to(ROOT)), *sys.argv[1:]]),
        "quick": arguments.quick,
        "commit": commit(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
        "processor": processor(),
        "vectors": torch.backends.cpu.get_cpu_capability(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": arguments.threads,
        "python": platform.python_version(),
        "versions": {"skimb": skimb.__version__} | versions(),
    }


def versions():
    """Return the versions of the libraries that are installed."""
    found = {}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def processor():
    """Return the processor's own name."""
    info = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE)
    return names[0].strip() if names else platform.processor()


def commit():
    """Return the commit of this checkout, or None where there is none."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


# ---------------------------------------------------------------------------- Markdown


def describe(record):
    """Return one sentence about a run, from its record."""
    versions = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    cores = f"{record['threads']} of {record['cores']} cores"
    device = "" if record["device"] == "CPU" else f"{record['device']}, "
    quick = ", quick: its times mean nothing" if record["quick"] else ""
    commit = f", commit {record['commit']}" if record["commit"] else ""
    return (
        f"`{record['command']}` ({record['date']}{quick}): {device}{record['processor']} "
        f"({record['vectors']}), {cores}; {versions}{commit}."
    )


def markdown(table):
    """Return a table of the measures of all contenders, with the targets below it."""
    names = list(table["measures"])
    kinds = list(dict.fromkeys(kind for own in table["measures"].values() for kind in own))
    base = table["measures"][names[0]]
    head = ["", "fastest", "median", "ratio"]
    head += [column for kind in kinds[1:] for column in (kind, f"ratio of {kind}")]
    rows = [head, ["---"] * len(head)]
    for name in names:
        own = table["measures"][name]
        row = [name, spell(min(own["seconds"])), spell(median(own["seconds"]))]
        row.append(f"{min(own['seconds']) / min(base['seconds']):.2f}")
        for kind in kinds[1:]:
            value = min(own[kind])
            row += [spell(value, kind), f"{value / min(base[kind]):.2f}" if min(base[kind]) else ""]
        rows.append(row)
    lines = [f"**{table['title']}**", ""]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    if CONTROL in names:
        lines += ["", f"Identical controls differ by {100 * spread(table):.0f} %."]
    lines += [sentence(table, aim) for aim in table["targets"]]
    return "\n".join(lines)


def spread(table):
    """Return by how much the baseline and its control differ, as a fraction."""
    control = target(CONTROL, next(iter(table["measures"])), 1)
    return abs(math.log(reached(table, control)))


def sentence(table, aim):
    """Return a sentence about a target and whether it is met."""
    found = reached(table, aim)
    return f"Target: {_spell_aim(aim)}; measured {found:.2f}, {verdict(found, aim)}."


def aim_row(record, table, aim):
    """Return a row for a table of targets: of what, where, wanted, measured, met, and the noise."""
    found = reached(table, aim)
    noise = f"{100 * spread(table):.0f} %" if CONTROL in table["measures"] else ""
    met = verdict(found, aim)
    return [table["title"], record["device"], _spell_aim(aim), f"{found:.2f}", met, noise]


def verdict(found, aim):
    """Return whether a target is met."""
    return "met" if found <= aim["at_most"] else "**not met**"


def _spell_aim(aim):
    kind = "" if aim["measure"] == "seconds" else f" in {aim['measure']}"
    return f"{aim['contender']} at most {aim['at_most']:.2f} of {aim['to']}{kind}"


def spell(value, kind="seconds"):
    """Return a number with its unit: that of a fraction, of a peak in bytes, or of a time."""
    if "/" in kind:
        return f"{value:.2f}"
    if kind == "peak":
        return f"{value / 1e6:.0f} MB"
    return f"{value:.3g} s" if value >= 1 else f"{1000 * value:.3g} ms"
