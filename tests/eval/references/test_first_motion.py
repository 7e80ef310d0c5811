import numpy as np
import pytest
from seisfm.data.records import POLARITIES
from seisfm.eval.references.first_motion import FirstMotion, FirstMotionConfig

RATE_HZ, P_S = 100.0, 10.0


def onset(sign, snr=50.0, seed=0):
    time_s = np.arange(3000) / RATE_HZ
    after_s = np.maximum(time_s - P_S, 0.0)
    pulse = sign * np.sin(2 * np.pi * 4.0 * after_s) * np.exp(-after_s)
    noise = np.random.default_rng(seed).normal(size=(3, 3000)) / snr
    return noise + pulse * np.array([1.0, 0.3, 0.3])[:, None]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_sign_of_the_first_swing(windows_of, sign):
    answer = FirstMotion().predict(windows_of([onset(sign, seed=i) for i in range(5)], p_s=[P_S] * 5))
    called = answer["polarity_probability"].argmax(axis=1)
    assert (called == POLARITIES.index("positive" if sign > 0 else "negative")).all()
    assert answer["polarity_probability"].sum(axis=1) == pytest.approx(np.ones(5))


def test_a_late_pick_never_gives_the_first_swing(windows_of):
    batch = windows_of([onset(1.0, seed=i) for i in range(5)], p_s=[P_S + 0.18] * 5)
    probability = FirstMotion().predict(batch)["polarity_probability"]
    assert (np.nan_to_num(probability)[:, POLARITIES.index("positive")] < 0.5).all()


def test_no_answer_has_a_reason(windows_of):
    one_component = onset(1.0)
    one_component[0] = np.nan
    gap = onset(1.0)
    gap[0, 950] = np.nan
    flat = np.clip(onset(1.0), -0.3, 0.3)
    waveforms = [onset(1.0, snr=0.5), one_component, gap, flat, onset(1.0)]
    answer = FirstMotion().predict(windows_of(waveforms, p_s=[P_S] * 4 + [float("nan")]))
    assert np.isnan(answer["polarity_probability"]).all()
    expected = ("no swing above", "component Z is missing", "a gap", "clipped", "no P pick")
    assert all(text in reason for text, reason in zip(expected, answer["reason"], strict=True))


def test_a_vertical_alone_is_enough(windows_of):
    waveform = onset(-1.0)
    waveform[1:] = np.nan
    answer = FirstMotion().predict(windows_of([waveform], p_s=[P_S]))
    assert answer["polarity_probability"][0].argmax() == POLARITIES.index("negative")


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="positive"):
        FirstMotionConfig(search_s=0.0)
