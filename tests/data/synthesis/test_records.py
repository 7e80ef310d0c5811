"""Synthetic records: labels that are true, seeds that hold, traces that look like the real ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal
from seisfm.configs.loader import build_config
from seisfm.data.synthesis import SynthesisConfig, synthesize_event, synthesize_records
from seisfm.data.synthesis.labelled_windows import EPOCH_2020_S

RATE_HZ = 100.0


@pytest.fixture(scope="module")
def records():
    """Of stations at which nothing is wrong."""
    faults = ("reversed_share", "swapped_share", "dead_share", "gap_share")
    settings = {"recorder": {"faults": dict.fromkeys(faults, 0.0)}}
    return synthesize_records(build_config(SynthesisConfig, settings), seed=11, num_events=60)


def _same(left, right) -> bool:
    return (
        left.record_id == right.record_id
        and left.arrivals == right.arrivals
        and bool(np.array_equal(left.waveform, right.waveform))
    )


def test_an_event_depends_on_seed_and_index_alone():
    config = SynthesisConfig()
    few, many = synthesize_records(config, 5, 2), synthesize_records(config, 5, 5)
    assert all(_same(a, b) for a, b in zip(few, many[: len(few)], strict=True))
    alone = synthesize_event(config, 5, 4)
    assert all(_same(a, b) for a, b in zip(alone, many[-len(alone) :], strict=True))
    other = synthesize_event(config, 6, 4)
    assert not any(_same(a, b) for a, b in zip(alone, other, strict=False))


@pytest.mark.slow
def test_several_processes_make_the_same_records():
    alone = synthesize_records(SynthesisConfig(), 5, 4)
    together = synthesize_records(SynthesisConfig(), 5, 4, workers=2)
    assert len(alone) == len(together)
    assert all(_same(left, right) for left, right in zip(alone, together, strict=True))


def test_progress_counts_events():
    """They are made, and told, so many at a time."""
    done: list[int] = []
    synthesize_records(SynthesisConfig(), 0, 20, progress=done.append)
    assert done == [16, 20]


def test_records_are_complete(records):
    """Lengths, phases in order, labels inside, metadata there, a share of noise and of vertical records."""
    assert len({record.record_id for record in records}) == len(records)
    for record in records:
        assert 60 <= record.duration_s <= 90 and np.isfinite(record.waveform).all()
        assert record.labelled_phases == {"P", "S"}
        assert all(0 <= arrival.time_s < record.duration_s for arrival in record.arrivals)
        if record.arrivals:
            assert not record.arrival_s("S") <= record.arrival_s("P")
            assert {"source_magnitude", "source_depth_km", "path_back_azimuth_deg"} <= set(record.metadata)
            assert record.metadata["trace_p_snr_db"] >= 0.0
        else:
            assert record.metadata["source_type"] == "noise"
    share = [not record.arrivals for record in records]
    assert 0 < np.mean(share) < 0.2
    assert 0.05 < np.mean([record.component_names == ("Z",) for record in records]) < 0.3
    assert {record.unit for record in records} == {"counts", "m/s", "m/s**2"}


def test_distribution_suits_local_earthquakes(records):
    """S − P mostly below 5 s with a tail to 15 s; amplitude ratios from below 2 to above 100."""
    separation_s = np.array([r.arrival_s("S") - r.arrival_s("P") for r in records if r.arrivals])
    assert 1.0 < np.nanmedian(separation_s) < 4.5 and np.nanmin(separation_s) < 0.5
    assert np.nanmax(separation_s) > 12
    snr_db = np.array([r.metadata["trace_p_snr_db"] for r in records if r.arrivals])
    assert np.percentile(snr_db, 10) < 12 and np.percentile(snr_db, 90) > 35


def test_looks_like_local_records(records):
    """S/P amplitude ratios with a median of 2 to 6, and a coda that decays like Northern California's."""
    highpass = signal.butter(2, 1.0, "highpass", fs=RATE_HZ, output="sos")
    ratios, decay = [], []
    for record in records:
        p_s, s_s = record.arrival_s("P"), record.arrival_s("S")
        snr_db = record.metadata["trace_p_snr_db"]
        if len(record.component_names) < 3 or not (
            snr_db > 12 and s_s - p_s < 8 and s_s + 9 < record.duration_s
        ):
            continue
        norm = np.linalg.norm(signal.sosfiltfilt(highpass, record.waveform, axis=1), axis=0)
        p, s, span = round(p_s * RATE_HZ), round(s_s * RATE_HZ), round(min(0.8 * (s_s - p_s), 2) * RATE_HZ)
        ratios.append(norm[s : s + 2 * span].max() / norm[p : p + span].max())
        decay.append(np.sqrt(np.mean(norm[s + 500 : s + 700] ** 2) / np.mean(norm[s : s + 200] ** 2)))
    assert len(ratios) > 40
    assert 2.0 < np.median(ratios) < 6.0
    assert 0.05 < np.median(decay) < 0.4  # 0.15 over 154 real records


def only(kind: str, **settings) -> SynthesisConfig:
    """A world in which one kind of source happens."""
    kinds = ("earthquake", "quarry_blast", "explosion", "collapse", "surface_event", "noise")
    types = {name: float(name == kind) for name in kinds}
    return build_config(SynthesisConfig, {"sources": {"types": types}, **settings})


def test_explosions_push_and_collapses_pull():
    recorder = {"faults": {"reversed_share": 0.0}}
    for source_type, sign in (("explosion", "positive"), ("collapse", "negative")):
        config = only(source_type, second_event_share=0.0, recorder=recorder)
        for record in synthesize_records(config, 3, 3):
            assert {a.polarity for a in record.arrivals if a.phase == "P"} == {sign}
            assert record.metadata["source_type"] == source_type
            assert record.metadata["source_depth_km"] <= 0.3 and "source_strike_deg" not in record.metadata


def test_settings_shape_the_records():
    config = build_config(
        SynthesisConfig,
        {
            "sampling_rate_hz": 50.0,
            "stations_per_event": [2, 2],
            "sources": {"types": {"noise": 0.0}},
            "recorder": {"vertical_share": 1.0, "faults": {"dead_share": 0.0}},
        },
    )
    made = synthesize_records(config, 0, 3)
    assert len(made) == 6 and {r.sampling_rate_hz for r in made} == {50.0}
    assert all(r.component_names == ("Z",) and r.start_time >= EPOCH_2020_S for r in made)
    only_noise = synthesize_records(only("noise"), 0, 2)
    assert len(only_noise) == 2
    assert all(not r.arrivals and np.isnan(r.metadata["trace_p_snr_db"]) for r in only_noise)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"snr": (0.0, 3.0)}, "snr must be a range"),
        ({"second_event_share": 1.5}, "second_event_share must be between 0 and 1"),
        ({"sampling_rate_hz": 1.0}, "sampling_rate_hz and also_hz must be 10 or more"),
        ({"stations_per_event": (0, 2)}, "stations_per_event must be a range"),
        ({"duration_s": (20.0, 30.0)}, "duration_s must leave 10 s"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        SynthesisConfig(**settings)
