"""A synthetic archive, of which everything is known, and a catalog with gaps: the labels are all right."""

import dataclasses
import importlib.util
import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from seisfm.cli import app
from seisfm.data.continuous.archive import Archive
from seisfm.data.corpus.corpus import Corpus
from seisfm.data.formats.tables import read_events, read_picks
from seisfm.data.region.noise import NoiseConfig
from seisfm.data.region.records import RegionConfig
from seisfm.data.region.source import RegionFiles, iterate_region
from seisfm.data.sources import SourceConfig, load_records
from seisfm.data.splitting.split_sides import SplitConfig
from seisfm.data.synthesis import SynthesisConfig, synthesize_archive
from seisfm.data.synthesis.labelled_records import INSTRUMENT_WORDS

EXAMPLE = Path(__file__).parents[2] / "examples" / "archive_to_training_set.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("archive_to_training_set", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def region(example, tmp_path_factory):
    """Half an hour, three stations, nine events, of which several lie less than a minute apart."""
    folder = tmp_path_factory.mktemp("region")
    archive = synthesize_archive(SynthesisConfig(sampling_rate_hz=50.0), 4, 1800.0, 3, 9, folder / "archive")
    truth = example.true_times(archive)
    example.write_analysts_catalog(archive, truth, folder / "catalog.xml", seed=1)
    files = RegionFiles(
        stations=str(archive.inventory),
        picks=str(folder / "catalog.xml"),
        records=RegionConfig(include_unpicked=True),
        noise=NoiseConfig(num_per_station=3, duration_s=20.0, clearance_s=10.0),
    )
    return archive, truth, files


def test_all_labels_are_right(example, region):
    archive, truth, files = region
    skipped = []
    records = list(iterate_region(archive.sds, files, 0, skipped))
    found = example.check(records, truth)
    assert found["labels"] == found["labels at a true time"] > 25
    assert not any(found[name] for name in example.FAULTS)
    assert found["claims that a phase is fully listed"] > 5 and found["noise records"] > 1
    # Of the station that nobody picked there are records, without labels of their own, and no noise.
    never = [record for record in records if record.station_id == archive.sites[-1].station_id]
    assert len(never) == 9 and not any(record.labelled_phases or record.arrivals for record in never)
    assert found["records with several events"] > 3
    assert any("without picks" in note.reason for note in skipped)


def test_the_check_would_find_what_is_wrong(example, region):
    """Without regard to events that nobody picked, phases count as labelled that are not."""
    archive, truth, files = region
    blind = dataclasses.replace(files, records=RegionConfig(reach_km=1e-3))
    records = list(iterate_region(archive.sds, blind, 0, []))
    found = example.check(records, truth)
    assert found["wrong claims"] > 0
    late = [
        dataclasses.replace(
            record, arrivals=tuple(dataclasses.replace(a, time_s=a.time_s + 0.05) for a in record.arrivals)
        )
        for record in records
    ]
    assert example.check(late, truth)["labels at a true time"] == 0


def test_records_know_their_event_and_their_instrument(region):
    archive, _, files = region
    records = list(iterate_region(archive.sds, files, 0, []))
    events = {f"smi:local/{event.event_id}": event for event in archive.events}
    sites = {site.station_id: site for site in archive.sites}
    for record in records:
        about, site = record.metadata, sites[record.station_id]
        assert about["station_latitude_deg"] == pytest.approx(site.latitude_deg, abs=1e-5)
        assert about["trace_component_dip_deg"] == [-90.0, 0.0, 0.0]
        assert about["trace_response_state"] == "raw"
        assert about["station_instrument"] == INSTRUMENT_WORDS[site.instrument.sensor]
        np.testing.assert_allclose(about["trace_sensitivity"], site.instrument.gain_counts_s_m, rtol=0.01)
        if about["source_type"] == "noise":
            continue
        source = events[record.event_id].source
        assert about["source_type"] == "earthquake" and about["source_magnitude_type"] == "Mw"
        assert about["source_magnitude"] == pytest.approx(source.magnitude, abs=1e-3)
        assert about["source_depth_km"] == pytest.approx(source.depth_km, abs=1e-3)
        assert about["source_mechanisms"][0]["strike_deg"] == pytest.approx(source.mechanism[0], abs=1e-3)


def test_a_region_is_a_source(region):
    archive, _, files = region
    source = SourceConfig(kind="region", path=str(archive.sds), region=files)
    records, skipped = load_records(source)
    assert [record.record_id for record in records] == [
        r.record_id for r in iterate_region(archive.sds, files, 0, [])
    ]
    assert skipped
    split = SplitConfig(fractions={"train": 0.6, "test": 0.4})
    part, _ = load_records(dataclasses.replace(source, part="train", split=split))
    assert 0 < len(part) < len(records)
    assert {record.event_id for record in part} < {record.event_id for record in records}
    with pytest.raises(ValueError, match="a source of kind region, and no other, needs region"):
        SourceConfig(kind="region", path=str(archive.sds))


def test_picks_and_events_may_come_from_tables(region, tmp_path):
    archive, _, files = region
    read_picks(files.picks).to_csv(tmp_path / "picks.csv", index=False)
    columns = ["event_id", "time", "latitude_deg", "longitude_deg", "depth_km", "magnitude", "magnitude_type"]
    read_events(files.picks)[columns].to_csv(tmp_path / "events.csv", index=False)
    tables = RegionFiles(
        stations=str(archive.stations_csv),
        picks=str(tmp_path / "picks.csv"),
        events=str(tmp_path / "events.csv"),
        records=files.records,
        noise=files.noise,
    )
    by_tables, by_quakeml = (list(iterate_region(archive.sds, each, 0, [])) for each in (tables, files))
    assert [r.arrivals for r in by_tables] == [r.arrivals for r in by_quakeml]
    assert [r.labelled_phases for r in by_tables] == [r.labelled_phases for r in by_quakeml]
    assert not any("trace_response" in record.metadata for record in by_tables)
    assert Archive.open(archive.sds).station_ids == sorted({r.station_id for r in by_tables})


def test_the_command(region, tmp_path, capsys):
    archive, _, files = region
    given = f"data convert-region {archive.sds} --stations {files.stations} --picks {files.picks}"
    command = f"{given} --unpicked --noise 0 --out {tmp_path / 'corpus'} --licence CC0-1.0 --json"
    with pytest.raises(SystemExit) as end:
        app(shlex.split(command), prog_name="seisfm")
    assert not end.value.code
    printed = json.loads(capsys.readouterr().out)
    corpus = Corpus(tmp_path / "corpus")
    assert printed["num_records"] == len(corpus) == 27
    assert corpus[0].metadata["licence"] == "CC0-1.0"
    with pytest.raises(SystemExit) as end:
        app(shlex.split(given.replace("SDS", "nowhere") + f" --out {tmp_path / 'b'}"), prog_name="seisfm")
    assert end.value.code == 1 and "no archive at" in capsys.readouterr().err
