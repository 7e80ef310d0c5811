"""`seisfm data synthesize …`: what a user types."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import obspy
import pytest
from seisfm.cli import app
from seisfm.data.corpus.corpus import Corpus
from seisfm.data.formats.seisbench_format import write_seisbench
from seisfm.data.synthesis import SynthesisConfig, synthesize_records


def call(capsys: pytest.CaptureFixture[str], line: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of `seisfm LINE`."""
    with pytest.raises(SystemExit) as end:
        app(shlex.split(line), prog_name="seisfm")
    printed = capsys.readouterr()
    return int(end.value.code or 0), printed.out, printed.err


def test_a_region_as_a_corpus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "sea"
    line = f"data synthesize --events 3 --region ocean_bottom --format corpus --out {out} --json"
    status, printed, _ = call(capsys, f"{line} recorder.vertical_share=0")
    corpus = Corpus(out)
    assert status == 0 and json.loads(printed)["num_records"] == len(corpus) >= 3
    assert any("H" in record.component_names for record in corpus)


def test_one_event_as_many_stations_see_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = f"data synthesize-gather --stations 3 --seed 2 --out {tmp_path / 'event'} --json"
    status, printed, _ = call(capsys, line)
    made = json.loads(printed)
    (event,) = obspy.read_events(made["catalog"])
    assert status == 0 and made["num_stations"] == 3
    assert len({pick.waveform_id.station_code for pick in event.picks}) >= 2


def test_a_region_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fit to records, then make records from what came out."""
    records = synthesize_records(SynthesisConfig(stations_per_event=(1, 1), snr=(20.0, 60.0)), 1, 30)
    write_seisbench(records, tmp_path / "few")
    fitted = tmp_path / "mine.yaml"
    line = f"data synthesize-fit {tmp_path / 'few'} --kind seisbench --out {fitted} --synthetic 60"
    status, printed, _ = call(capsys, line)
    assert status == 0 and "log10 S minus P (s)" in printed and fitted.is_file()
    status, _, err = call(capsys, line)
    assert status == 1 and "exists already" in err
    line = f"data synthesize --config {fitted} --events 2 --out {tmp_path / 'more'}"
    assert call(capsys, line)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("synthesize --region moon", "region"),
        ("synthesize --format sac", "the format must be one of"),
        ("synthesize noise.loud=1", "unknown key"),
        ("synthesize-archive --minutes 0.5", "an archive needs a station and more than"),
    ],
)
def test_what_cannot_be_made_is_told_in_one_line(tmp_path, capsys, arguments, message):
    status, _, err = call(capsys, f"data {arguments} --out {tmp_path / 'x'}")
    assert status != 0 and message in err and "Traceback" not in err
