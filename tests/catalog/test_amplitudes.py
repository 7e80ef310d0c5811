"""P and S amplitudes of made displacement pulses come out as they were put in."""

import numpy as np
import pytest
from seisfm.catalog.amplitudes import AmplitudesConfig, measured
from seisfm.data.records import Record

RATE_HZ = 100.0
P_S, S_S = 20.0, 23.0


def pulse(onset_s, time_s):
    """A one-sided pulse of displacement, 0.2 s long and 1 high."""
    since_s = time_s - onset_s
    return np.where((since_s > 0) & (since_s < 0.2), np.sin(np.pi * since_s / 0.2) ** 2, 0.0)


def ground(p=(0.0, 0.0, 1.0), s=(3.0, 0.0, 0.0), noise=1e-4, derivatives=1, channel="HH", s_s=S_S):
    """A record of north, east and up motion in the unit of displacement, differentiated."""
    rng = np.random.default_rng(0)
    time_s = np.arange(3500) / RATE_HZ
    motion = np.outer(p, pulse(P_S, time_s)) + np.outer(s, pulse(s_s, time_s))
    motion += noise * rng.standard_normal(motion.shape)
    for _ in range(derivatives):
        motion = np.gradient(motion, 1.0 / RATE_HZ, axis=1)
    return Record(
        record_id="r",
        waveform=motion.astype(np.float32),
        component_names=("N", "E", "Z"),
        sampling_rate_hz=RATE_HZ,
        metadata={"trace_channel": channel},
    )


def of(record, p_s=P_S, s_s=S_S, **settings):
    return measured(record, p_s, s_s, AmplitudesConfig(**settings))


def replaced(record, **changes):
    values = {name: getattr(record, name) for name in record.__dataclass_fields__}
    return Record(**values | changes)


@pytest.mark.parametrize("ratio", [0.5, 1.0, 5.0, 20.0])
def test_the_ratio_is_that_of_the_vectors(ratio):
    found = of(ground(p=(0.6, 0.0, 0.8), s=(0.48 * ratio, 0.64 * ratio, 0.6 * ratio)))
    assert found.log10_s_to_p == pytest.approx(np.log10(ratio), abs=0.02)
    assert min(found.snr_db) > 30.0 and found.stand_out(30.0)
    assert found.snr_db[1] - found.snr_db[0] == pytest.approx(20.0 * np.log10(ratio), abs=0.4)


def test_gain_and_the_direction_of_horizontals_do_not_matter():
    record = ground(p=(0.3, 0.1, 1.0), s=(2.0, -1.0, 0.5))
    louder = replaced(record, waveform=1e6 * record.waveform)
    turned = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]], dtype=np.float32)
    rotated = replaced(record, waveform=turned @ record.waveform)
    for other in (louder, rotated):
        assert of(other).log10_s_to_p == pytest.approx(of(record).log10_s_to_p, abs=1e-4)


def test_an_accelerometer_says_the_same():
    acceleration = ground(derivatives=2, channel="HN")
    assert of(acceleration).log10_s_to_p == pytest.approx(of(ground()).log10_s_to_p, abs=0.02)


def test_a_late_s_does_not_reach_into_the_window_of_p():
    near = ground(s=(50.0, 0.0, 0.0), s_s=P_S + 0.6)
    assert of(near, s_s=P_S + 0.6).log10_s_to_p == pytest.approx(np.log10(50.0), abs=0.05)


def test_what_is_weak_does_not_stand_out():
    assert not of(ground(p=(0.0, 0.0, 2e-3), noise=1e-2)).stand_out(3.0)
    quiet = of(ground(s=(2e-3, 0.0, 0.0), noise=1e-2))
    assert quiet.snr_db[0] > 10.0 and not quiet.stand_out(3.0)


def with_gap(record):
    waveform = record.waveform.copy()
    waveform[1, 2100] = np.nan
    return replaced(record, waveform=waveform)


def cut_off(record):
    limit = 0.2 * np.abs(record.waveform).max()
    return replaced(record, waveform=record.waveform.clip(-limit, limit))


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        (with_gap, {}, "with a gap"),
        (cut_off, {}, "clipped"),
        (lambda r: replaced(r, waveform=r.waveform[:2], component_names=("N", "E")), {}, "three components"),
        (lambda r: replaced(r, waveform=r.waveform[:, :2200]), {}, "with a gap"),
        (lambda r: replaced(r, waveform=0.0 * r.waveform), {}, "still before P"),
        (lambda r: r, {"p_s": 4.0, "s_s": 6.0}, "with a gap"),
        (lambda r: r, {"s_s": P_S + 0.05}, "S within 0.1 s of P"),
        (lambda r: r, {"band_hz": (1.0, 50.0)}, "too slowly for 50 Hz"),
    ],
)
def test_what_cannot_be_measured_says_why(change, settings, message):
    found = of(change(ground()), **settings)
    assert isinstance(found, str) and message in found


def test_attenuation_lowers_the_ratio_by_what_q_says():
    config = AmplitudesConfig(qs=100.0, qp_over_qs=2.0, band_hz=(1.0, 9.0))
    travel_s = np.array([0.0, 4.0]), np.array([0.0, 7.0])
    expected = np.pi * 3.0 * (7.0 / 100.0 - 4.0 / 200.0) / np.log(10.0)
    np.testing.assert_allclose(config.log10_attenuation(*travel_s), [0.0, expected])
    assert not AmplitudesConfig().log10_attenuation(*travel_s).any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"band_hz": (5.0, 5.0)}, "lowest < highest"),
        ({"window_s": 0.0}, "window_s must be positive"),
        ({"min_snr": -1.0}, "min_snr must be positive"),
        ({"bad_log10": 0.0}, "bad_log10 must be positive"),
        ({"qs": 0.0}, "qs must be positive"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        AmplitudesConfig(**settings)
