"""Synthetic records: labels that are true, seeds that hold, traces that look like the real ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import fft, signal
from seisfm.configs.loader import build_config
from seisfm.data.synthesis import SynthesisConfig, synthesize_event, synthesize_records
from seisfm.data.synthesis.generate import EPOCH_2020_S
from seisfm.data.synthesis.network import random_medium, random_site, random_source
from seisfm.data.synthesis.scattering import random_scattering
from seisfm.data.synthesis.seismogram import event_seismogram, pulse_spectrum

RATE_HZ = 100.0


@pytest.fixture(scope="module")
def records():
    return synthesize_records(SynthesisConfig(), seed=11, num_events=60)


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


def test_several_processes_make_the_same_records():
    alone = synthesize_records(SynthesisConfig(), 5, 4)
    together = synthesize_records(SynthesisConfig(), 5, 4, workers=2)
    assert len(alone) == len(together)
    assert all(_same(left, right) for left, right in zip(alone, together, strict=True))


def test_progress_counts_events():
    done: list[int] = []
    synthesize_records(SynthesisConfig(), 0, 3, progress=done.append)
    assert done == [1, 2, 3]


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
    assert {record.unit for record in records} == {"counts", "m/s"}


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


def _quiet_scene(seed: int):
    """A source, a site and a medium without scattering close to the onset."""
    generator = np.random.default_rng(seed)
    medium = random_medium(generator)
    source = random_source(
        generator, source_type="earthquake", magnitude=float(generator.uniform(0, 3)),
        depth_km=float(generator.uniform(3, 15)), latitude_deg=40.0, longitude_deg=15.0,
    )  # fmt: skip
    site = random_site(
        generator, station_id="SY.A.", source_latitude_deg=40.0, source_longitude_deg=15.0,
        distance_km=float(generator.uniform(2, 60)), sampling_rate_hz=RATE_HZ,
    )  # fmt: skip
    scattering = replace(random_scattering(generator), p_coda=0.0, s_coda=0.0, conversion=0.0)
    return source, site, medium, scattering, generator


def test_polarity_is_that_of_the_first_motion():
    """Without noise the vertical moves as labelled right after the label and is still before it."""
    right, still = [], []
    for seed in range(100):
        *scene, generator = _quiet_scene(seed)
        motion, arrivals = event_seismogram(
            *scene, generator, origin_s=5.0, num_samples=4000, rate_hz=RATE_HZ
        )
        label = next(arrival for arrival in arrivals if arrival.phase == "P")
        sample = int(np.ceil(label.time_s * RATE_HZ))
        beginning = motion[0, sample - 1 : sample + 3]
        # The first swing, not the ripple of a time between two samples.
        first_motion = beginning[np.abs(beginning) > 0.3 * np.abs(beginning).max()][0]
        right.append((first_motion > 0) == (label.polarity == "positive"))
        still.append(np.sum(motion[0, : sample - 2] ** 2) / np.sum(motion[0, : sample + 30] ** 2))
    assert np.mean(right) >= 0.99
    assert np.median(still) < 1e-3


def test_pulse_has_the_spectrum_of_its_source_and_path():
    source, site, medium, _, _ = _quiet_scene(1)
    site = replace(site, resonance=(5.0, 0.0, 0.2))
    small, large = (
        np.abs(pulse_spectrum(replace(source, magnitude=m), site, medium, "S", 5.0, 8192, RATE_HZ))
        for m in (0.0, 2.0)
    )
    frequency_hz = fft.rfftfreq(8192, 1 / RATE_HZ)
    low, high = np.searchsorted(frequency_hz, [0.3, 40.0])
    assert large[low] / small[low] == pytest.approx(1000.0, rel=0.05)
    assert large[high] / small[high] < 500


def test_explosions_push_and_collapses_pull():
    for source_type, sign in (("quarry blast", "positive"), ("collapse", "negative")):
        shares = tuple(float(name == source_type) for name in ("earthquake", "quarry blast", "collapse"))
        config = SynthesisConfig(type_share=shares, noise_share=0.0, second_event_share=0.0)
        for record in synthesize_records(config, 3, 3):
            assert {a.polarity for a in record.arrivals if a.phase == "P"} == {sign}
            assert record.metadata["source_type"] == source_type
            assert record.metadata["source_depth_km"] <= 0.3 and "source_strike_deg" not in record.metadata


def test_settings_shape_the_records():
    config = build_config(
        SynthesisConfig,
        {"sampling_rate_hz": 50.0, "stations_per_event": [2, 2], "noise_share": 0.0, "vertical_share": 1.0},
    )
    made = synthesize_records(config, 0, 3)
    assert len(made) == 6 and {r.sampling_rate_hz for r in made} == {50.0}
    assert all(r.component_names == ("Z",) and r.start_time >= EPOCH_2020_S for r in made)
    only_noise = synthesize_records(SynthesisConfig(noise_share=1.0), 0, 2)
    assert all(not r.arrivals and np.isnan(r.metadata["trace_p_snr_db"]) for r in only_noise)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"snr": (0.0, 3.0)}, "snr must be a positive range"),
        ({"noise_share": 1.5}, "noise_share must be between 0 and 1"),
        ({"type_share": (0.5, 0.2, 0.1)}, "type_share must sum to 1"),
        ({"duration_s": (20.0, 30.0)}, "duration_s must leave 10 s"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        SynthesisConfig(**settings)


def test_unknown_source_type():
    with pytest.raises(ValueError, match="source_type must be one of"):
        random_source(
            np.random.default_rng(0), source_type="meteorite", magnitude=1.0, depth_km=1.0,
            latitude_deg=0.0, longitude_deg=0.0,
        )  # fmt: skip
