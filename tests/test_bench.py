"""The benchmarks run; their figures are read by people."""

import json
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def test_bench_writes_its_figures(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--only", "many-users", "--json", tmp_path / "found.json"],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{REPOSITORY / 'tests'}"},
    )
    assert ended.returncode == 0, ended.stderr
    rows = json.loads((tmp_path / "found.json").read_text())["rows"]
    assert {row["subject"] for row in rows} == {"100 users", "1,000 users", "SQLite"}
    assert all((row["value"] > 0) != row["what"].startswith("refused") for row in rows)
    assert "search: a first name" in ended.stdout
