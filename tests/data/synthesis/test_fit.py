"""Ranges fitted to records whose ranges are known, and to a few real ones."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
from seisfm.configs.loader import build_config, load_config, save_config
from seisfm.data.formats.phasenet_npz import read_phasenet_npz
from seisfm.data.synthesis import SynthesisConfig, synthesize_records
from seisfm.data.synthesis.fit import FEATURES, fit_config
from seisfm.data.synthesis.record_features import measure

TRUE = {
    "stations_per_event": [1, 1],
    "snr": [10.0, 60.0],
    "geometry": {"distance_km": [8.0, 30.0]},
    "site": {"kappa_s": [0.03, 0.05]},
    "noise": {"high_above_mid": [-0.15, 0.05]},
}
DATA = Path(os.environ.get("SEISFM_DATA", Path(__file__).parents[4] / "shared" / "data"))


@pytest.fixture(scope="module")
def region():
    return synthesize_records(build_config(SynthesisConfig, TRUE), seed=77, num_events=60)


@pytest.fixture(scope="module")
def fitted(region):
    return fit_config(region, SynthesisConfig(), seed=0, num_synthetic=200)


def test_known_ranges_are_found(fitted):
    """Each fitted range holds the middle of the true one and is at most 0.75 of its former width."""
    config, base = fitted.config, SynthesisConfig()
    for found, true, old in (
        (config.geometry.distance_km, (8.0, 30.0), base.geometry.distance_km),
        (config.snr, (10.0, 60.0), base.snr),
        (config.site.kappa_s, (0.03, 0.05), base.site.kappa_s),
    ):
        low, high = np.log(found)
        assert low <= np.log(true).mean() <= high
        assert high - low <= 0.75 * np.diff(np.log(old))[0]
        assert found[0] >= old[0] and found[1] <= old[1] * (1 + 1e-9)
    low, high = config.noise.high_above_mid
    assert low <= -0.05 <= high < 0.3
    assert {"snr", "site.kappa_s"} <= set(fitted.changed)


def test_what_the_records_do_not_tell_stays(fitted):
    base = SynthesisConfig()
    assert fitted.config.scattering.rise_s == base.scattering.rise_s
    assert fitted.config.media == base.media and fitted.config.sources == base.sources


def test_fitted_records_look_more_like_the_region(fitted):
    """The sum of the medians' distances, in scatters of the base's records, falls by a quarter or more.

    Of so few records, medians are uncertain themselves.
    """
    real, before, after = (np.nanmedian(part, axis=0) for part in (fitted.real, fitted.before, fitted.after))
    scatter = np.nanstd(fitted.before, axis=0)
    far, near = np.abs(before - real) / scatter, np.abs(after - real) / scatter
    assert near.sum() < 0.75 * far.sum()
    assert [row["feature"] for row in fitted.rows()] == list(FEATURES)
    assert len(fitted.lines()) == len(FEATURES) + len(fitted.changed)


def test_a_fitted_configuration_is_a_file_like_any_other(fitted, tmp_path):
    save_config(fitted.config, tmp_path / "region.yaml")
    assert load_config(SynthesisConfig, tmp_path / "region.yaml") == fitted.config


def test_records_that_cannot_be_measured_are_told(region):
    """A record without S, a vertical alone, and one that begins at P are skipped with their reasons."""
    whole = next(record for record in region if measure([record])[0].shape[0])
    without_s = dataclasses.replace(whole, arrivals=tuple(a for a in whole.arrivals if a.phase[0] != "S"))
    vertical = dataclasses.replace(whole, waveform=whole.waveform[:1], component_names=("Z",))
    first = round(whole.arrival_s("P") * 100) - 50
    moved = tuple(dataclasses.replace(a, time_s=a.time_s - first / 100) for a in whole.arrivals)
    late = dataclasses.replace(whole, waveform=whole.waveform[:, first:].copy(), arrivals=moved)
    gappy = whole.waveform.copy()
    gappy[:, first : first + 10] = np.nan
    torn = dataclasses.replace(whole, waveform=gappy)
    features, skipped = measure([without_s, vertical, late, torn, whole])
    assert features.shape == (1, len(FEATURES)) and np.isfinite(features).all()
    reasons = [item.reason for item in skipped]
    for reason, expected in zip(
        reasons, ("no P and S", "three components", "before P", "a gap"), strict=True
    ):
        assert expected in reason


def test_too_few_records(region):
    with pytest.raises(ValueError, match=r"fitting needs 8 records or more.*found \d of 5"):
        fit_config(region[:5], SynthesisConfig())


@pytest.mark.slow
def test_northern_california_draws_the_ranges_to_itself():
    """Of 60 real records near by: stations within 15 km or so, and medians that come closer on the whole."""
    folder = DATA / "ncedc_phasenet"
    if not folder.is_dir():
        pytest.skip(f"no real records at {folder}: set SEISFM_DATA")
    records, _ = read_phasenet_npz(folder)
    fitted = fit_config([records[i] for i in range(0, len(records), 2)], SynthesisConfig(), 0)
    assert fitted.config.geometry.distance_km[1] < 40.0
    real, before, after = (np.nanmedian(part, axis=0) for part in (fitted.real, fitted.before, fitted.after))
    scatter = np.nanstd(fitted.before, axis=0)
    assert (np.abs(after - real) / scatter).sum() < 0.8 * (np.abs(before - real) / scatter).sum()
