import dataclasses
import math

import numpy as np
import pytest
import torch
from seisfm.eval.references.attenuation import Attenuation, fit_scale
from seisfm.eval.references.local_magnitude import (
    LocalMagnitude,
    LocalMagnitudeConfig,
    single_station_distance,
)
from seisfm.eval.references.sp_distance import SpDistance
from seisfm.eval.references.wood_anderson import WoodAndersonConfig

RATE_HZ, P_S, S_S = 100.0, 10.0, 18.0
RAW = LocalMagnitudeConfig(wood_anderson=WoodAndersonConfig(highpass_hz=0.0))


def earthquake(wood_anderson_mm, noise_m_s=1e-12, frequency_hz=4.0, seed=0):
    """Horizontal velocity whose Wood–Anderson trace has a known amplitude after S; a weaker P before it."""
    time_s = np.arange(4000) / RATE_HZ
    omega = 2 * math.pi * frequency_hz
    s, natural = 1j * omega, 2 * math.pi / 0.8
    magnified = abs(2080.0 * s * s / (s * s + 1.4 * natural * s + natural**2))
    wave = wood_anderson_mm / 1000 / magnified * omega * np.sin(omega * time_s)
    size = np.where(time_s >= S_S, 1.0, np.where(time_s >= P_S, 0.2, 0.0))
    noise = noise_m_s * np.random.default_rng(seed).normal(size=(3, 4000))
    return noise + np.stack([0.3 * size * wave, size * wave, size * wave])


def labels(count=1, distance_km=100.0, depth_km=0.0, magnitude=3.0):
    return {
        "p_s": [P_S] * count,
        "s_s": [S_S] * count,
        "distance_km": [distance_km] * count,
        "depth_km": [depth_km] * count,
        "magnitude": [magnitude] * count,
    }


@pytest.mark.parametrize(("amplitude_mm", "distance_km", "magnitude"), [(1.0, 100.0, 3.0), (10.0, 17.0, 3.0)])
def test_richters_definitions(windows_of, amplitude_mm, distance_km, magnitude):
    batch = windows_of([earthquake(amplitude_mm)], **labels(distance_km=distance_km))
    answer = LocalMagnitude(RAW).predict(batch)
    # A wave that begins at once swings the pendulum a little further than one that lasts.
    assert answer["magnitude"][0] == pytest.approx(magnitude, abs=0.06)
    assert answer["reason"][0] == "" and answer["magnitude_std"][0] == 0.3


def test_ten_times_the_motion_is_one_magnitude(windows_of):
    batch = windows_of([earthquake(size) for size in (0.1, 1.0, 10.0)], **labels(3))
    magnitude = LocalMagnitude().predict(batch)["magnitude"]
    assert np.diff(magnitude) == pytest.approx([1.0, 1.0], abs=1e-3)


def test_depth_counts_and_is_assumed_where_unknown(windows_of):
    batch = windows_of([earthquake(1.0)] * 3, **labels(3))
    batch.labels["depth_km"][:] = torch.tensor([0.0, 100.0, math.nan])
    config = dataclasses.replace(RAW, assumed_depth_km=100.0)
    magnitude = LocalMagnitude(config).predict(batch)["magnitude"]
    assert magnitude[2] == magnitude[1] > magnitude[0] + 0.15


def test_one_station_alone_takes_distance_from_s_minus_p(windows_of):
    batch = windows_of([earthquake(1.0)], **labels(distance_km=math.nan, depth_km=math.nan))
    reference = LocalMagnitude(RAW, distance=single_station_distance(SpDistance()))
    # S − P of 8 s is some 65 km.
    expected = RAW.attenuation.correction(math.hypot(65.0, 8.0))
    assert reference.predict(batch)["magnitude"][0] == pytest.approx(expected, abs=0.12)


def gap(waveform):
    waveform[1, 1500:1510] = np.nan


def vertical_only(waveform):
    waveform[1:] = np.nan


def clipped(waveform):
    level = 0.9 * np.abs(waveform).max()
    np.clip(waveform, -level, level, out=waveform)


def buried(waveform):
    waveform += 1e-3 * np.random.default_rng(1).normal(size=waveform.shape)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(gap, "a gap"), (vertical_only, "N, E is missing"), (clipped, "clipped"), (buried, "swing is less")],
)
def test_a_degraded_window_has_a_reason_and_no_magnitude(windows_of, spoil, reason):
    good, bad = earthquake(1.0), earthquake(1.0)
    spoil(bad)
    answer = LocalMagnitude(RAW).predict(windows_of([good, bad], **labels(2)))
    assert np.isfinite(answer["magnitude"][0])
    assert np.isnan(answer["magnitude"][1]) and np.isnan(answer["magnitude_std"][1])
    assert reason in answer["reason"][1]


def test_what_is_unknown_is_told(windows_of):
    waveforms = [earthquake(1.0)] * 3
    batch = windows_of(waveforms, **labels(3))
    batch.labels["s_arrival_s"][0] = math.nan
    batch.labels["distance_km"][1] = math.nan
    batch.labels["s_arrival_s"][2] = 38.0
    answer = LocalMagnitude(RAW).predict(batch)
    assert np.isnan(answer["magnitude"]).all()
    assert [str(reason)[:13] for reason in answer["reason"]] == ["no S pick", "no distance", "6.0 to 43.0 s"]
    counts = windows_of(waveforms, unit="counts", **labels(3))
    assert set(LocalMagnitude(RAW).predict(counts)["reason"]) == {
        "samples in counts: the response is not known"
    }


def test_counts_of_a_station_get_a_constant_from_other_events(windows_of):
    gain, sizes = 3e8, np.array([0.1, 0.5, 1.0, 4.0, 20.0])
    truth = 3.0 + np.log10(sizes)
    batch = windows_of([gain * earthquake(size) for size in sizes], unit="counts", **labels(5))
    batch = batch.replace(
        station_id=("CX.PB01.",) * 5, labels={**batch.labels, "magnitude": torch.from_numpy(truth)}
    )
    config = dataclasses.replace(RAW, from_counts=True)
    unfitted = LocalMagnitude(config).predict(batch)
    assert np.isnan(unfitted["magnitude"]).all() and "fitted constant" in unfitted["reason"][0]
    train, test = (batch.select(torch.tensor(rows)) for rows in ([0, 2, 4], [1, 3]))
    fitted = LocalMagnitude(config).fit([train], slopes=False)
    assert fitted.predict(test)["magnitude"] == pytest.approx(truth[[1, 3]], abs=1e-3)


def test_a_fit_finds_the_attenuation_that_made_the_amplitudes():
    rng = np.random.default_rng(5)
    true = Attenuation(geometric=1.4, anelastic_per_km=0.003, reference=2.7)
    away_km, magnitude = rng.uniform(5, 200, 400), rng.uniform(0, 5, 400)
    amplitude = magnitude - true.correction(away_km) + 0.2 * rng.normal(size=400)
    station = np.full(400, "A", dtype=object)
    fitted = fit_scale(amplitude, away_km, station, magnitude, Attenuation(), slopes=True, per_station=False)
    assert fitted.sigma == pytest.approx(0.2, abs=0.02)
    assert fitted.attenuation.correction(away_km) == pytest.approx(true.correction(away_km), abs=0.08)
    by_station = fit_scale(amplitude, away_km, station, magnitude, true, slopes=False, per_station=True)
    assert by_station.attenuation.reference == 0.0
    assert by_station.station_constants["A"] == pytest.approx(2.7, abs=0.03)


def test_too_few_amplitudes_for_a_fit_are_told(windows_of):
    batch = windows_of([earthquake(1.0)] * 3, **labels(3))
    with pytest.raises(ValueError, match="needs 4 amplitudes or more, found 3"):
        LocalMagnitude(RAW).fit([batch], per_station=False)


@pytest.mark.parametrize("settings", [{"noise_s": 1.0}, {"sigma": 0.0}])
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValueError, match="noise_s must be"):
        LocalMagnitudeConfig(**settings)
    with pytest.raises(ValueError, match="reference_km"):
        Attenuation(reference_km=0.0)
