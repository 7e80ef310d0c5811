import dataclasses

import numpy as np
import pytest
from seisfm.eval.realism.excerpts import Excerpt, ExcerptConfig, cut_excerpts
from seisfm.eval.realism.features import feature_names, feature_table, features_of, rectilinearity

RATE_HZ = 100.0


def excerpts_of(record_of, count=40, **shape):
    return cut_excerpts([record_of(i, **shape) for i in range(count)], ExcerptConfig())[0]


def excerpt_of(waveform, p_sample=600, s_sample=800):
    return Excerpt(
        record_id="r",
        event_id="e",
        waveform=np.asarray(waveform, dtype=float),
        sampling_rate_hz=RATE_HZ,
        p_sample=p_sample,
        s_sample=s_sample,
    )


def test_every_feature_is_a_number_that_gain_does_not_change(record_of):
    (excerpt,) = excerpts_of(record_of, 1, separation_s=2.5)
    features = features_of(excerpt)
    louder = features_of(dataclasses.replace(excerpt, waveform=excerpt.waveform * 10.0))
    for name, value in features.items():
        if isinstance(value, float):
            assert np.isfinite(value), name
            assert louder[name] == pytest.approx(value, abs=1e-6), name


def test_the_ratio_of_s_to_p_is_recovered_within_a_decibel(record_of):
    weak, strong = (
        feature_table(excerpts_of(record_of, s_to_p=ratio))["s_to_p_vertical_db"].median()
        for ratio in (20.0, 80.0)
    )
    assert strong - weak == pytest.approx(20.0 * np.log10(4.0), abs=1.0)


def test_the_decay_of_the_coda_is_recovered_within_two_decibels(record_of):
    table = feature_table(excerpts_of(record_of, decay_s=2.0, noise=1e-4))
    # An envelope e^(-t/τ) falls by 8.7 dB in each τ.
    fall = table["s_envelope_4s_db"] - table["s_envelope_2s_db"]
    assert fall.mean() == pytest.approx(-20.0 * np.log10(np.e), abs=2.0)


def test_snr_is_that_of_the_vertical(record_of):
    quiet, loud = (
        feature_table(excerpts_of(record_of, noise=noise))["p_snr_db"].median() for noise in (0.001, 0.01)
    )
    assert quiet - loud == pytest.approx(20.0, abs=1.0)


def test_a_straight_motion_has_rectilinearity_1_and_a_ball_nearly_0():
    rng = np.random.default_rng(0)
    line = np.outer([1.0, 2.0, -1.0], rng.normal(size=500))
    assert rectilinearity(line) == pytest.approx(1.0)
    assert rectilinearity(rng.normal(size=(3, 20000))) < 0.05


@pytest.mark.parametrize("frequency_hz", [2.0, 5.0, 10.0])
def test_the_first_swing_lasts_half_a_period(frequency_hz):
    time_s = np.arange(1900) / RATE_HZ - 6.0
    wave = np.where(time_s >= 0, np.sin(2 * np.pi * frequency_hz * time_s), 0.0)
    noise = 1e-6 * np.random.default_rng(0).normal(size=(3, 1900))
    features = features_of(excerpt_of(noise + wave))
    assert features["p_first_swing_s"] == pytest.approx(0.5 / frequency_hz, rel=0.25)


def test_a_pure_tone_lies_in_its_band():
    time_s = np.arange(1900) / RATE_HZ
    noise = 1e-3 * np.random.default_rng(0).normal(size=(3, 1900))
    features = features_of(excerpt_of(noise + np.sin(2 * np.pi * 6.0 * time_s)))
    assert features["s_4_8_hz_db"] > -0.1 and features["s_16_32_hz_db"] < -30.0
    assert features["s_centre_octave"] == pytest.approx(np.log2(6.0), abs=0.1)


def test_conditions_and_names_are_no_features(record_of):
    names = feature_names(feature_table(excerpts_of(record_of, 2)))
    assert len(names) > 50
    assert not {"record_id", "event_id", "separation_s", "p_snr_db"} & set(names)


def test_p_coda_is_unknown_after_s(record_of):
    (excerpt,) = excerpts_of(record_of, 1, separation_s=0.8)
    features = features_of(excerpt)
    assert np.isfinite(features["p_envelope_0.5s_db"]) and np.isnan(features["p_envelope_1s_db"])


def test_noise_that_the_digitizer_lost_gives_numbers_too():
    waveform = np.zeros((3, 1900))
    waveform[:, 600:] = np.random.default_rng(0).normal(size=(3, 1300))
    features = features_of(excerpt_of(waveform))
    assert features["noise_log_kurtosis"] == pytest.approx(np.log(3.0))
    assert features["p_log_kurtosis"] == pytest.approx(np.log(3.0), abs=0.2)
    assert features["p_snr_db"] > 100.0
