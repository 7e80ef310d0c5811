"""Real sets of several kinds become corpora, and come back as they were."""

import importlib.util
import os
from pathlib import Path

import pytest
from seisfm.data.corpus.convert import convert_to_corpus
from seisfm.data.corpus.shards import CorpusConfig

REAL_DATA = Path(os.environ.get("SEISFM_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
EXAMPLE = Path(__file__).parents[2] / "examples" / "convert_real_sets.py"

# records, stations, P, records with a magnitude, with poles and zeros
EXPECTED = {
    "california_mw": (12, 12, 0, 12, 9),
    "chile_seisbench": (200, 1, 0, 200, 0),
    "events_groundmotion": (14, 13, 0, 14, 10),
    "iceland_continuous": (40, 20, 0, 0, 0),
    "ncedc_denoiser": (99, 57, 99, 0, 0),
    "ncedc_phasenet": (154, 111, 154, 0, 0),
}


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("convert_real_sets", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", EXPECTED)
def test_a_real_set_becomes_a_corpus(example, name, tmp_path):
    if not (REAL_DATA / name).is_dir():
        pytest.skip(f"needs SEISFM_DATA/{name}")
    read, licence = example.SETS[name]
    records, skipped = read(REAL_DATA / name)
    corpus = convert_to_corpus(
        records, tmp_path / name, CorpusConfig(dataset=name, licence=licence), skipped=skipped
    )
    row = example.row(name, records, corpus, skipped)
    found = tuple(row[key] for key in ("records", "stations", "P", "magnitude", "response"))
    assert found == EXPECTED[name]
    assert row["differ"] == 0


def test_real_events_without_picks_are_unlabelled_and_know_their_path(example):
    if not (REAL_DATA / "events_groundmotion").is_dir():
        pytest.skip("needs SEISFM_DATA/events_groundmotion")
    records, _ = example.ground_motion(REAL_DATA / "events_groundmotion")
    assert not any(record.arrivals or record.labelled_phases for record in records)
    (napa,) = (r for r in records if r.station_id == "BK.CMB.00")
    # The file event.json beside the data has the wrong sign of longitude.
    assert napa.metadata["source_longitude_deg"] < -122
    assert napa.metadata["path_ep_distance_km"] == pytest.approx(170.01, abs=0.5)
    assert napa.metadata["trace_sensitivity_unit"] == "m/s**2"
    assert napa.metadata["station_instrument"] == "strong_motion"
    (csn,) = (r for r in records if r.station_id == "CJ.T001230.")
    assert csn.unit == "unknown" and "trace_sensitivity" not in csn.metadata


def test_weak_labels_say_that_they_are(example):
    if not (REAL_DATA / "pfo_weak").is_dir():
        pytest.skip("needs SEISFM_DATA/pfo_weak")
    files = sorted((REAL_DATA / "pfo_weak").glob("*.mseed"))[:1]
    (whole,), _ = example.stream_to_records(example.obspy.read(str(files[0])))
    noise, event = example.pfo_parts(whole)
    assert noise.labelled_phases == {"P", "S"} and noise.duration_s == 90.0 and not noise.arrivals
    (p,) = event.arrivals
    assert (p.time_s, p.evaluation, p.uncertainty_s) == (10.5, "automatic", 0.6)
    assert event.labelled_phases == {"P"} and noise.event_id == event.event_id
