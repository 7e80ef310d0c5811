import numpy as np
import pytest
from seisfm.eval.references.polarization import PolarizationBackAzimuth, PolarizationConfig, polarization
from seisfm.eval.regression_metrics import circular_difference_deg

RATE_HZ, P_S = 100.0, 10.0


def p_wave(back_azimuth_deg, incidence_deg=30.0, sign=1.0, snr=1e4, seed=0, s_share=0.0):
    """P from below: up and away from the source where `sign` is positive, down and towards it where not."""
    time_s = np.arange(3000) / RATE_HZ
    after_s = np.maximum(time_s - P_S, 0.0)
    pulse = sign * np.sin(2 * np.pi * 4.0 * after_s) * np.exp(-after_s / 0.8) * (time_s >= P_S)
    azimuth, incidence = np.radians(back_azimuth_deg + 180.0), np.radians(incidence_deg)
    axis = np.array(
        [np.cos(incidence), np.sin(incidence) * np.cos(azimuth), np.sin(incidence) * np.sin(azimuth)]
    )
    noise = np.random.default_rng(seed).normal(size=(3, 3000)) / snr
    across = s_share * np.random.default_rng(seed + 1).normal(size=(3, 3000)) * (time_s >= P_S)
    return axis[:, None] * pulse + noise + across


@pytest.mark.parametrize("back_azimuth_deg", [0.0, 45.0, 137.0, 225.0, 300.0, 359.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_direction_is_exact_whatever_the_first_motion(windows_of, back_azimuth_deg, sign):
    batch = windows_of([p_wave(back_azimuth_deg, sign=sign)], p_s=[P_S])
    answer = PolarizationBackAzimuth().predict(batch)
    off = circular_difference_deg(answer["back_azimuth_deg"], back_azimuth_deg)
    assert abs(off[0]) < 0.2 and answer["reason"][0] == ""
    assert answer["p_incidence_deg"][0] == pytest.approx(30.0, abs=0.2)
    assert answer["rectilinearity"][0] > 0.999 and answer["back_azimuth_std_deg"][0] < 1.0


def test_turning_the_horizontals_turns_the_answer(windows_of):
    waveform = p_wave(70.0, snr=10.0)
    turn = np.radians(33.0)
    north, east = waveform[1:]
    turned = np.stack(
        [waveform[0], np.cos(turn) * north - np.sin(turn) * east, np.sin(turn) * north + np.cos(turn) * east]
    )
    answer = PolarizationBackAzimuth().predict(windows_of([waveform, turned], p_s=[P_S, P_S]))
    first, second = answer["back_azimuth_deg"]
    assert circular_difference_deg(second, first) == pytest.approx(33.0, abs=1e-3)


def test_errors_grow_with_noise_as_the_uncertainty_says(windows_of):
    reference = PolarizationBackAzimuth()
    truth = np.linspace(0.0, 350.0, 30)
    errors, sigmas = [], []
    for snr in (100.0, 10.0):
        waveforms = [p_wave(deg, snr=snr, seed=i) for i, deg in enumerate(truth)]
        answer = reference.predict(windows_of(waveforms, p_s=[P_S] * 30))
        errors.append(np.sqrt(np.mean(circular_difference_deg(answer["back_azimuth_deg"], truth) ** 2)))
        sigmas.append(np.median(answer["back_azimuth_std_deg"]))
    assert errors[1] > 3 * errors[0] and sigmas[1] > 3 * sigmas[0]
    # All motion across the axis counts as error, though it averages out: the interval is wide, never narrow.
    assert all(sigma > error for sigma, error in zip(sigmas, errors, strict=True))


def missing(waveform):
    waveform[2] = np.nan


def gap(waveform):
    waveform[:, 1020:1025] = np.nan


def clipped(waveform):
    level = 0.3 * np.abs(waveform).max()
    np.clip(waveform, -level, level, out=waveform)


@pytest.mark.parametrize(
    ("waveform", "spoil", "reason"),
    [
        (p_wave(40.0), missing, "component E is missing"),
        (p_wave(40.0), gap, "a gap"),
        (p_wave(40.0, snr=1e3), clipped, "clipped"),
        (p_wave(40.0, snr=0.5), None, "power"),
        (p_wave(40.0, s_share=5.0), None, "not along a line"),
        (p_wave(40.0, incidence_deg=1.0), None, "incidence of 1°"),
        (p_wave(40.0, incidence_deg=89.0), None, "incidence of 89°"),
    ],
)
def test_no_answer_has_a_reason(windows_of, waveform, spoil, reason):
    waveform = waveform.copy()
    if spoil is not None:
        spoil(waveform)
    answer = PolarizationBackAzimuth().predict(windows_of([waveform], p_s=[P_S]))
    assert np.isnan(answer["back_azimuth_deg"][0]) and np.isnan(answer["back_azimuth_std_deg"][0])
    assert reason in answer["reason"][0]


def test_a_window_without_p_has_no_answer(windows_of):
    answer = PolarizationBackAzimuth().predict(windows_of([p_wave(40.0)]))
    assert answer["reason"][0] == "no P pick"


def test_isotropic_motion_has_rectilinearity_near_zero():
    motion = np.random.default_rng(2).normal(size=(3, 20000))
    assert polarization(motion).rectilinearity < 0.05


@pytest.mark.parametrize("settings", [{"length_s": 0.01}, {"incidence_deg": (50.0, 20.0)}, {"settle_s": 0.1}])
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValueError, match="must"):
        PolarizationConfig(**settings)
