import numpy as np
import pytest
from seisfm.data.event_types import EVENT_TYPES
from seisfm.eval.references.logistic import fit_logistic
from seisfm.eval.references.ratio_discriminant import RatioDiscriminant, RatioDiscriminantConfig

RATE_HZ, P_S, S_S = 100.0, 10.0, 15.0
QUAKE, BLAST = EVENT_TYPES.index("earthquake"), EVENT_TYPES.index("quarry_blast")


def event(p_size, s_size, seed=0, noise=0.01):
    """White wave trains of P and S of known sizes: their ratio is the same in every band."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(4000) / RATE_HZ
    size = np.where(time_s >= S_S, s_size, np.where(time_s >= P_S, p_size, 0.0))
    return (size + noise) * rng.normal(size=(3, 4000))


def test_ratios_are_those_of_the_amplitudes(windows_of):
    batch = windows_of([event(2.0, 0.5), event(0.5, 2.0)], p_s=[P_S] * 2, s_s=[S_S] * 2)
    features, reasons = RatioDiscriminant().features(batch)
    assert (reasons == "").all()
    expected = np.log10([4.0, 0.25])
    # A band of 2 Hz holds a dozen independent amplitudes in 3 s of each component.
    assert features[:, 1:4] == pytest.approx(np.repeat(expected[:, None], 3, axis=1), abs=0.25)
    assert features[:, 4] == pytest.approx(np.log10([5.0, 5.0]))


def labelled(windows_of, seed, count=24):
    kinds = [QUAKE, BLAST] * (count // 2)
    sizes = [(0.5, 2.0) if kind == QUAKE else (1.5, 1.0) for kind in kinds]
    waveforms = [event(*size, seed=seed + i) for i, size in enumerate(sizes)]
    return windows_of(waveforms, p_s=[P_S] * count, s_s=[S_S] * count, event_type=kinds)


@pytest.fixture(scope="module")
def fitted(windows_of):
    return RatioDiscriminant().fit([labelled(windows_of, 0, count=12)])


def test_it_learns_to_tell_blasts(windows_of, fitted):
    test = labelled(windows_of, 1000, count=12)
    probability = fitted.predict(test)["event_type_probability"]
    assert (probability.argmax(axis=1) == test.labels["event_type"].numpy()).all()
    assert probability.sum(axis=1) == pytest.approx(np.ones(12))


def test_an_untrained_discriminant_says_so(windows_of):
    with pytest.raises(ValueError, match="call fit"):
        RatioDiscriminant().predict(labelled(windows_of, 0, count=2))


def test_no_answer_has_a_reason(windows_of, fitted):
    gap, vertical = event(1.0, 1.0), event(1.0, 1.0)
    gap[:, 1600] = np.nan
    vertical[1:] = np.nan
    clipped = event(1.0, 1.0)
    clipped = np.clip(clipped, -1.5, 1.5)
    waveforms = [gap, vertical, event(0.01, 0.01, noise=1.0), event(1.0, 1.0), clipped]
    batch = windows_of(waveforms, p_s=[P_S] * 5, s_s=[S_S, S_S, S_S, P_S + 0.3, S_S])
    answer = fitted.predict(batch)
    assert np.isnan(answer["event_type_probability"]).all()
    expected = ("a gap", "N, E is missing", "stand out of noise", "too soon", "clipped")
    assert all(text in reason for text, reason in zip(expected, answer["reason"], strict=True))


def test_logistic_regression_finds_the_boundary_and_its_doubt():
    rng = np.random.default_rng(3)
    features = rng.normal(size=(4000, 2))
    truth = (rng.random(4000) < 1 / (1 + np.exp(-2.0 * features[:, 0]))).astype(int)
    model = fit_logistic(features, truth, 2, penalty=0.0)
    slope = (model.weight[:, 1] - model.weight[:, 0]) / model.scale
    assert slope == pytest.approx([2.0, 0.0], abs=0.15)


def test_an_unknown_feature_counts_as_the_mean():
    rng = np.random.default_rng(4)
    features = rng.normal(size=(200, 2))
    model = fit_logistic(features, (features[:, 0] > 0).astype(int), 2)
    gappy, mean = np.array([[np.nan, 0.3]]), np.array([[features[:, 0].mean(), 0.3]])
    assert model.probability(gappy) == pytest.approx(model.probability(mean))


def test_what_cannot_be_fitted_is_told():
    with pytest.raises(ValueError, match="needs an item, found \\[5, 0\\]"):
        fit_logistic(np.zeros((5, 1)), np.zeros(5, dtype=int), 2)
    with pytest.raises(ValueError, match=r"features \[1\] are NaN"):
        fit_logistic(np.array([[0.0, np.nan], [1.0, np.nan]]), np.array([0, 1]), 2)


@pytest.mark.parametrize(
    "settings", [{"classes": ("earthquake", "quake")}, {"bands_hz": ((2.0, 1.0),)}, {"min_bands": 9}]
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValueError, match="must"):
        RatioDiscriminantConfig(**settings)
