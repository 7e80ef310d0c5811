"""What an audit leaves on disk, and the command that makes it."""

import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from seisfm.cli import app
from seisfm.data.formats.seisbench_format import write_seisbench
from seisfm.data.records import Arrival, Record, Skipped
from seisfm.data.splitting.exclusion import leave_out
from seisfm.eval.audit.page import write_page
from seisfm.eval.audit.registry import CHECKS
from seisfm.eval.audit.run import audit
from seisfm.eval.audit.tables import check_table, summary, write_tables


@pytest.fixture
def records(new_record: Callable) -> list[Record]:
    """A good one, one with labels in the wrong order, one with a gap, one of 1000 times the amplitude."""
    wrong = (Arrival(phase="P", time_s=26.0), Arrival(phase="S", time_s=20.0))
    far = {"start_time": 1.7e9, "metadata": {}}
    gap = new_record("gap", seed=2, **far)
    gap.waveform[:, 4000:4100] = np.nan
    strong = new_record("strong", seed=3, station_id="XX.B.00")
    return [
        new_record(),
        new_record("order", seed=1, arrivals=wrong, station_id="XX.C.00", metadata={}),
        gap,
        replace(strong, waveform=strong.waveform * np.float32(1e3)),
    ]


def test_tables_say_what_was_found(records: list[Record], tmp_path: Path) -> None:
    result = audit(records, skipped=[Skipped("file", "a reason")])
    paths = write_tables(result, tmp_path)
    stored = pd.read_parquet(paths["findings_parquet"])
    columns = ["record_id", "check", "severity", "at_s", "value", "expected", "message"]
    assert list(stored.columns) == columns == list(pd.read_csv(paths["findings"]).columns)
    assert len(stored) == len(result.findings)
    excluded = pd.read_csv(paths["exclude"])
    assert set(excluded["record_id"]) == {"order", "strong"} and excluded["record_id"].is_unique
    assert "phase_order: P lies" in excluded.set_index("record_id")["reason"]["order"]
    counts = json.loads(paths["summary"].read_text())
    assert counts["num_records"] == 4 and counts["num_excluded"] == 2
    assert counts["records_by_check"]["phase_order"] == 1
    assert counts["skipped"] == [{"item": "file", "reason": "a reason"}]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in paths.values())


def test_the_list_is_what_a_source_excludes(records: list[Record], tmp_path: Path) -> None:
    paths = write_tables(audit(records), tmp_path)
    kept, left_out = leave_out(records, paths["exclude"])
    assert [record.record_id for record in kept] == ["good", "gap"]
    assert "2 of 4 records" in left_out.reason


def test_a_clean_set_leaves_empty_tables_and_a_page(new_record: Callable, tmp_path: Path) -> None:
    result = audit([new_record()])
    assert len(check_table(result)) == 0 and summary(result)["num_errors"] == 0
    paths = write_tables(result, tmp_path)
    assert len(pd.read_csv(paths["exclude"])) == 0
    assert "Nothing was found" in write_page(result, [new_record()], tmp_path / "r.html", "good").read_text()


def test_the_page_shows_every_kind_and_stays_light(records: list[Record], tmp_path: Path) -> None:
    result = audit(records, skipped=[Skipped("file", "a reason")])
    page = write_page(result, records, tmp_path / "report.html", "four records").read_text()
    for word in ("phase_order", "amplitude", "a reason", "S − P against distance", "Atkinson"):
        assert word in page
    assert page.count("<img") == 3 + len(result.findings)
    assert len(page) < 400_000 * page.count("<img")
    numbers = json.loads((tmp_path / "report.json").read_text())
    assert numbers["numbers"]["num_errors"] == summary(result)["num_errors"]


def test_a_set_that_cannot_be_read_still_gets_its_page(tmp_path: Path) -> None:
    class Broken(list):
        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> Record:
            raise OSError("gone")

    result = audit(Broken())
    assert "unreadable" in write_page(result, Broken(), tmp_path / "r.html", "broken").read_text()


def command(capsys: pytest.CaptureFixture[str], line: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        app(shlex.split(line), prog_name="seisfm")
    printed = capsys.readouterr()
    return int(end.value.code or 0), printed.out, printed.err


def test_the_command(records: list[Record], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    write_seisbench(records, data)
    status, printed, _ = command(capsys, f"data check {data} --against {data} --out {out} --json")
    counts = json.loads(printed)
    assert status == 0 and counts["num_records"] == 4
    assert counts["records_by_check"]["shared_waveform"] == 4
    names = {"report.html", "report.json", "findings.csv", "findings.parquet", "exclude.csv", "summary.json"}
    assert {path.name for path in out.iterdir()} == names
    status, _, error = command(capsys, f"data check {data} --out {out} --strict")
    assert status == 1 and "of 4 records" in error
    ignored = "'only_warn=[phase_order,amplitude]'"
    status, printed, _ = command(capsys, f"data check {data} --out {out} --strict {ignored}")
    assert status == 0 and "0 errors" in printed
    status, _, error = command(capsys, f"data check {data} --out {out} typo=1")
    assert status == 1 and "unknown key ['typo']" in error


def test_the_page_about_it_names_every_check_with_its_severity() -> None:
    text = (Path(__file__).parents[3] / "docs" / "audit.md").read_text(encoding="utf-8")
    missing = [c.name for c in CHECKS.values() if f"| `{c.name}` | {c.severity} | {c.meaning} |" not in text]
    assert not missing
