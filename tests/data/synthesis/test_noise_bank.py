"""A noise bank holds no listed event, no unlisted one that stands out, and absence that is labelled."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import obspy
import pandas as pd
import pytest
import torch
from obspy import UTCDateTime
from scipy.signal import butter, sosfilt
from seisfm.cli import app
from seisfm.data.batch import WaveformBatch
from seisfm.data.continuous.archive import Archive
from seisfm.data.corpus.corpus import Corpus
from seisfm.data.loading.mixing import RealNoise
from seisfm.data.loading.window_random import WindowRandom, window_keys
from seisfm.data.loading.window_source import WindowSource
from seisfm.data.records import Record
from seisfm.data.synthesis.noise_bank import UNLISTED, Known, NoiseBankConfig, cut_noise, read_known
from seisfm.data.synthesis.noise_veto import VetoConfig, liveliness, veto
from typer.testing import CliRunner

START = UTCDateTime(2021, 3, 4, 5)
RATE_HZ = 50.0
DATA = Path(os.environ.get("SEISFM_DATA", Path(__file__).parents[3] / ".." / "shared" / "data"))


def quake(generator: np.random.Generator, height: float, length_s: float = 12.0) -> np.ndarray:
    time_s = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
    return height * generator.normal(size=len(time_s)) * np.exp(-time_s / 3.0)


def make_archive(
    folder: Path, minutes: float = 20.0, quakes_s: tuple[float, ...] = (310.0, 700.0)
) -> Archive:
    """Two stations' white noise with bursts 12 times as strong at some times."""
    generator = np.random.default_rng(0)
    folder.mkdir()
    for station in ("AAA", "BBB"):
        stream = obspy.Stream()
        for channel in ("HHZ", "HHN", "HHE"):
            counts = generator.normal(size=round(minutes * 60 * RATE_HZ)) * 100.0
            for begin_s in quakes_s:
                burst, first = quake(generator, 1200.0), round(begin_s * RATE_HZ)
                counts[first : first + len(burst)] += burst
            header = {"network": "XX", "station": station, "channel": channel, "starttime": START}
            stream.append(obspy.Trace(counts.astype(np.int32), header | {"sampling_rate": RATE_HZ}))
        stream.write(str(folder / f"{station}.mseed"), format="MSEED")
    return Archive.open(folder)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return make_archive(tmp_path_factory.mktemp("noise") / "archive")


def picks_at(*times_s: float, stations: tuple[str, ...] = ("XX.AAA.", "XX.BBB.")) -> pd.DataFrame:
    rows = [(f"event {t:g}", name, "P", START.timestamp + t) for t in times_s for name in stations]
    return pd.DataFrame(rows, columns=["event_id", "station_id", "phase", "time"])


def covered(records: list[Record], time_s: float) -> bool:
    time = START.timestamp + time_s
    return any(r.start_time <= time < r.start_time + r.duration_s for r in records)


def test_picked_events_are_cut_out_with_their_clearance(archive):
    config = NoiseBankConfig(clearance_s=(10.0, 60.0), veto=None)
    skipped = []
    records = list(cut_noise(archive, Known(picks=picks_at(310.0, 700.0)), skipped, config))
    assert not skipped
    for time_s in (301.0, 315.0, 369.0, 700.0):
        assert not covered(records, time_s)
    assert covered(records, 200.0) and covered(records, 500.0)
    # Per station: 300 s, 320 s and 440 s are free.
    assert len(records) == 2 * (5 + 5 + 7)


def test_windows_lie_side_by_side_and_are_labelled_as_noise(archive):
    records = list(cut_noise(archive, Known(picks=picks_at(310.0, 700.0)), [], NoiseBankConfig(veto=None)))
    for record in records:
        assert record.arrivals == () and record.labelled_phases == {"P", "S"}
        assert record.metadata["source_type"] == "noise"
        assert record.metadata["trace_quiet_by"] == "catalog"
        assert record.waveform.shape == (3, 3000)
    starts = sorted(r.start_time for r in records if r.station_id == "XX.AAA.")
    assert min(np.diff(starts)) >= 60.0 - 1e-6
    assert len({r.record_id for r in records}) == len(records)
    whole = archive.read("XX.AAA.", START, START + 60).select(channel="HHZ")[0].data[:3000]
    first = next(r for r in records if r.station_id == "XX.AAA." and r.start_time == START.timestamp)
    assert np.array_equal(first.waveform[0], whole.astype(np.float32))


def test_an_unlisted_event_is_vetoed_and_told(archive):
    skipped = []
    records = list(cut_noise(archive, Known(picks=picks_at(310.0)), skipped))
    assert not covered(records, 700.0) and not covered(records, 705.0)
    assert covered(records, 600.0)
    # The one of each station, and at most one in a hundred of the 26 others.
    assert 2 <= len(skipped) <= 3
    assert all(entry.reason.startswith("not taken for noise: ") for entry in skipped)
    assert all(r.metadata["trace_quiet_by"] == "catalog and veto" for r in records)


def test_listed_events_are_cut_out_for_as_long_as_their_waves_can_pass(archive):
    stations = pd.DataFrame(
        [("XX.AAA.", "XX", "AAA", "", 46.0, 8.0, 0.0), ("XX.BBB.", "XX", "BBB", "", 46.5, 8.0, 0.0)],
        columns=["id", "network", "station", "location", "latitude_deg", "longitude_deg", "elevation_m"],
    )
    events = pd.DataFrame(
        [("e", START.timestamp + 400.0, 46.0, 8.0, 5.0)],
        columns=["event_id", "time", "latitude_deg", "longitude_deg", "depth_km"],
    )
    config = NoiseBankConfig(clearance_s=(0.0, 0.0), duration_s=20.0, veto=None)
    records = list(cut_noise(archive, Known(stations=stations, events=events), [], config))
    # At 2.5 km/s S takes 22 s to the far station, to which 2 s are added for the origin's error.
    assert not covered([r for r in records if r.station_id == "XX.BBB."], 423.0)
    assert covered([r for r in records if r.station_id == "XX.AAA."], 423.0)
    assert records[0].metadata["station_latitude_deg"] == 46.0


def test_without_any_catalog_the_veto_stands_alone_and_says_so(archive):
    skipped = []
    records = list(cut_noise(archive, Known(), skipped))
    assert [entry.reason for entry in skipped if entry.reason == UNLISTED] == [UNLISTED] * 2
    assert not covered(records, 312.0) and not covered(records, 702.0)
    assert {r.metadata["trace_quiet_by"] for r in records} == {"veto"}


def test_a_station_that_nobody_picked_is_left_out(archive):
    skipped = []
    known = Known(picks=picks_at(310.0, 700.0, stations=("XX.AAA.",)))
    records = list(cut_noise(archive, known, skipped))
    assert {r.station_id for r in records} == {"XX.AAA."}
    assert any(entry.item == "XX.BBB." and "nobody picked" in entry.reason for entry in skipped)


def test_as_many_as_asked_from_all_over_the_time(archive):
    config = NoiseBankConfig(max_per_station=4, duration_s=20.0)
    records = list(cut_noise(archive, Known(picks=picks_at(310.0, 700.0)), [], config))
    assert len(records) == 8
    starts = sorted(r.start_time - START.timestamp for r in records if r.station_id == "XX.AAA.")
    assert starts[0] < 300.0 and starts[-1] > 600.0


def test_the_veto_hears_what_stands_out_and_lets_gaussian_noise_pass():
    """At 8 times the noise's energy over 0.5 s nothing passes; of 200 minutes of Gaussian noise, 99 % do."""
    generator = np.random.default_rng(1)
    passed, missed = 0, 0
    for _ in range(200):
        noise = generator.normal(size=3000)
        passed += veto(record_of(noise)) is None
        noise[1500 : 1500 + round(12 * RATE_HZ)] += quake(generator, 5.0)
        missed += veto(record_of(noise)) is None
    assert passed >= 198
    assert missed == 0


def test_a_burst_at_30_hz_is_heard_beside_stronger_noise_below_10_hz():
    generator = np.random.default_rng(3)
    time_s = np.arange(6000) / 100.0
    noise = generator.normal(size=6000)
    low = sosfilt(butter(8, 13.0, fs=100.0, output="sos"), 30.0 * generator.normal(size=6000))
    burst = 8.0 * np.sin(2 * np.pi * 30.0 * time_s) * np.exp(-0.5 * ((time_s - 30.0) / 0.7) ** 2)
    both = [dataclasses.replace(record_of(low + noise + b), sampling_rate_hz=100.0) for b in (0.0, burst)]
    assert [veto(record) is None for record in both] == [True, False]
    assert veto(both[1], VetoConfig(bands_hz=((2.0, 15.0),))) is None


def record_of(trace: np.ndarray) -> Record:
    return Record(
        record_id="r",
        waveform=trace[None].astype(np.float32),
        component_names=("Z",),
        sampling_rate_hz=RATE_HZ,
        unit="counts",
    )


def test_what_was_not_recorded_is_vetoed_with_its_reason():
    generator = np.random.default_rng(2)
    noise = generator.normal(size=3000)
    assert veto(record_of(noise)) is None
    gap = noise.copy()
    gap[:300] = np.nan
    assert "only 90% of the samples" in str(veto(record_of(gap)))
    assert veto(record_of(np.full(3000, 7.0))) == "Z: dead"
    assert veto(record_of(np.full(3000, np.nan))) == "no live component"
    spiky = noise.copy()
    spiky[1000] += 60.0
    assert "times its median" in str(veto(record_of(spiky)))
    assert "kurtosis" in str(veto(record_of(spiky), VetoConfig(max_energy_ratio=1e9)))


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match="found 1 s: take longer windows"):
        liveliness(np.zeros(100, dtype=np.float32), 100.0, VetoConfig())
    with pytest.raises(ValueError, match="lower bands_hz"):
        liveliness(np.zeros(100, dtype=np.float32), 4.0, VetoConfig())
    with pytest.raises(ValueError, match="bands_hz must list one"):
        VetoConfig(bands_hz=((5.0, 2.0),))
    with pytest.raises(ValueError, match="max_energy_ratio above 1"):
        VetoConfig(max_energy_ratio=0.5)
    with pytest.raises(ValueError, match="min_observed must lie above 0"):
        VetoConfig(min_observed=0.0)
    with pytest.raises(ValueError, match="duration_s must be positive"):
        NoiseBankConfig(duration_s=0.0)
    with pytest.raises(ValueError, match="max_per_station must be at least 1"):
        NoiseBankConfig(max_per_station=0)


def test_the_command_makes_a_corpus_that_can_be_mixed_in(archive, tmp_path):
    picks = picks_at(310.0, 700.0)
    picks["time"] = [str(UTCDateTime(time)) for time in picks["time"]]
    picks.to_csv(tmp_path / "picks.csv", index=False)
    out = tmp_path / "bank"
    arguments = ["data", "noise-bank", str(archive.path), "--picks", str(tmp_path / "picks.csv")]
    ran = CliRunner().invoke(app, [*arguments, "--out", str(out), "--per-station", "3"])
    assert ran.exit_code == 0, ran.output
    assert "6 windows of noise" in ran.output
    corpus = Corpus(out)
    assert len(corpus) == 6 and all(r.labelled_phases == {"P", "S"} for r in corpus)
    batch = WaveformBatch(
        waveform=torch.zeros(4, 3, 1000).index_fill_(2, torch.tensor([500]), 1.0),
        sampling_rate_hz=torch.full((4,), RATE_HZ),
        component_names=("Z", "N", "E"),
        unit=("counts",) * 4,
    )
    random = WindowRandom(window_keys(torch.arange(4), 0))
    mixed = RealNoise(probability=1.0, snr_db=(0.0, 0.0))(batch, random, WindowSource(corpus))
    assert bool((mixed.waveform != batch.waveform).any(dim=(1, 2)).all())


def test_quakeml_brings_its_picks(tmp_path):
    pick = obspy.core.event.Pick(
        time=START + 310.0,
        phase_hint="P",
        waveform_id=obspy.core.event.WaveformStreamID(network_code="XX", station_code="AAA"),
    )
    origin = obspy.core.event.Origin(time=START + 300.0, latitude=46.0, longitude=8.0, depth=5e3)
    event = obspy.core.event.Event(picks=[pick], origins=[origin])
    obspy.core.event.Catalog([event]).write(str(tmp_path / "c.xml"), format="QUAKEML")
    known = read_known(catalog=tmp_path / "c.xml")
    assert known.picks is not None and len(known.picks) == 1
    assert known.events is not None and len(known.events) == 1
    assert known.stations is None and known.channels is None


@pytest.mark.skipif(
    not (DATA / "pfo_weak").is_dir(), reason="needs the real noise of pfo_weak in SEISFM_DATA"
)
def test_real_noise_has_unlisted_events(tmp_path):
    """Of the first 90 s of 60 of the 1,205 files, between a fifth and four fifths are quiet."""
    folder = tmp_path / "pfo"
    folder.mkdir()
    files = sorted((DATA / "pfo_weak").glob("*.mseed"))[::20][:60]
    for file in files:
        (folder / file.name).symlink_to(file.resolve())
    archive = Archive.open(folder)
    times = [start + 100.5 for start, _ in archive.spans("AZ.PFO.")]
    picks = pd.DataFrame(
        {"event_id": [f"{t}" for t in times], "station_id": "AZ.PFO.", "phase": "P", "time": times}
    )
    skipped = []
    config = NoiseBankConfig(duration_s=90.0, clearance_s=(10.0, 120.0))
    records = list(cut_noise(archive, Known(picks=picks), skipped, config))
    unvetoed = list(cut_noise(archive, Known(picks=picks), [], dataclasses.replace(config, veto=None)))
    assert len(unvetoed) == len(files)
    assert 12 <= len(records) <= 48
    assert len(records) + len(skipped) == len(files)
