import importlib
import json
import sys
from argparse import Namespace
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def scripts(monkeypatch):
    """Modules of the benchmarks, which are scripts and find each other in their own folder."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "speed"))
    monkeypatch.setattr(sys, "argv", [str(ROOT / "benchmarks" / "speed" / "epoch.py")])
    harness, table = map(importlib.import_module, ("harness", "table"))
    # The number of threads belongs to the process of a benchmark.
    monkeypatch.setattr(harness, "limit_threads", lambda n_threads: None)
    yield Namespace(harness=harness, table=table)
    for name in ("harness", "table"):
        del sys.modules[name]


def benchmark(harness, file, *, quick=False):
    return harness.Benchmark(Namespace(quick=quick, json=file, repeats=3, threads=1))


def run(harness, file, **options):
    """Run a benchmark of contenders that say themselves how long they took."""
    turns = []

    def contender(name, *seconds):
        times = iter(seconds)

        def call():
            turns.append(name)
            return {"seconds": next(times), "peak": 2e6}

        return call

    contenders = {
        # In each turn the second time is that of the control.
        "theirs": contender("theirs", 9.0, 2.0, 2.2, 3.0, 2.4, 4.0, 3.0),
        "ours": contender("ours", 9.0, 1.5, 1.0, 8.0),
    }
    aims = [harness.target("ours", "theirs", 0.5), harness.target("ours", "theirs", 0.4)]
    benchmark(harness, file, **options).compare("A case", contenders, targets=aims)
    return turns


def test_contenders_take_turns_and_the_baseline_has_two_in_each(scripts, tmp_path):
    turns = run(scripts.harness, tmp_path / "run.json")
    assert turns == ["theirs", "ours", *["theirs", "ours", "theirs"] * 3]
    [table] = json.loads((tmp_path / "run.json").read_text())["tables"]
    seconds = {name: own["seconds"] for name, own in table["measures"].items()}
    assert seconds == {
        "theirs": [2.0, 3.0, 4.0],
        "the same once more": [2.2, 2.4, 3.0],
        "ours": [1.5, 1.0, 8.0],
    }


def test_a_table_tells_ratios_of_the_fastest_turns_noise_and_targets(scripts, capsys):
    run(scripts.harness, None)
    lines = capsys.readouterr().out.splitlines()
    assert "| ours | 1 s | 1.5 s | 0.50 | 2 MB | 1.00 |" in lines
    # The logarithm of 2.2 / 2.0.
    assert "Identical controls differ by 10 %." in lines
    assert "Target: ours at most 0.50 of theirs; measured 0.50, met." in lines
    assert "Target: ours at most 0.40 of theirs; measured 0.50, **not met**." in lines


def test_what_a_contender_takes_is_timed_and_divided(scripts, tmp_path):
    results = benchmark(scripts.harness, tmp_path / "run.json").compare(
        "A case", {"a list": lambda: [0] * 1_000_000}, per=10
    )
    assert len(results["a list"]) == 1_000_000
    [table] = json.loads((tmp_path / "run.json").read_text())["tables"]
    assert 0 < min(table["measures"]["a list"]["seconds"]) < 0.1


def test_the_peak_of_a_call_is_what_it_holds_at_most(scripts):
    def hold():
        kept = bytearray(100_000_000)
        return len(kept)

    scripts.harness.measured(hold)
    n_bytes, found = scripts.harness.measured(hold)
    assert n_bytes == 100_000_000
    assert found["peak"] == pytest.approx(100_000_000, rel=0.05)


def test_a_page_gets_the_tables_between_its_marks(scripts, tmp_path, monkeypatch):
    run(scripts.harness, tmp_path / "run.json")
    page = tmp_path / "page.md"
    page.write_text("Before.\n<!-- speed: begin -->\nOld.\n<!-- speed: end -->\nAfter.\n")
    command = ["table.py", str(tmp_path / "run.json"), "--write", str(page)]
    monkeypatch.setattr(sys, "argv", command)
    scripts.table.main()
    text = page.read_text()
    assert text.startswith("Before.\n")
    assert text.endswith("\nAfter.\n")
    assert "Old." not in text
    assert "| A case | CPU | ours at most 0.40 of theirs | 0.50 | **not met** | 10 % |" in text
    scripts.table.main()
    assert page.read_text() == text


def test_cost_curves_have_their_largest_points_in_the_page(scripts):
    point = {"name": "SMOTE", "form": "embeddings", "n": 1000, "seconds": 0.5, "peak": 1e6}
    record = {
        "points": [point, point | {"n": 3000, "seconds": 2.0, "peak": 3e6}],
        "left_out": [{"name": "SMOTEENN", "form": "embeddings", "sizes": [300_000, 1_000_000]}],
        "limit": 600,
    }
    text = scripts.table.curves(record)
    assert "| SMOTE | embeddings | 3,000 | 2 s | 3 MB |" in text
    assert "| 1,000 |" not in text
    assert "more than 600 s: SMOTEENN (embeddings) from 300,000 samples." in text


def test_a_quick_run_is_not_written_to_a_page(scripts, tmp_path, monkeypatch, capsys):
    run(scripts.harness, tmp_path / "run.json", quick=True)
    page = tmp_path / "page.md"
    page.write_text("<!-- speed: begin --><!-- speed: end -->")
    command = ["table.py", str(tmp_path / "run.json"), "--write", str(page)]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit):
        scripts.table.main()
    assert "--quick measures nothing" in capsys.readouterr().err
