"""The score of strangeness: shares are what they say, what differs stands out, files belong to weights."""

import numpy as np
import pytest
import torch
from seisfm.eval.detection_metrics import roc_auc
from seisfm.eval.out_of_distribution import (
    FILE,
    OutOfDistribution,
    shrunk_covariance,
    weights_of,
    window_features,
)
from seisfm.eval.strange_windows import STRANGE, strange_windows
from seisfm.eval.window_description import describe_recording
from seisfm.foundation.contract import InputContract
from seisfm.heads.model_folder import ModelError, ModelFolder


def features(num, seed, shift=0.0, num_features=40):
    rng = np.random.default_rng(seed)
    mixed = np.random.default_rng(99).normal(size=(num_features, num_features))
    return rng.normal(size=(num, num_features)) @ mixed + shift


@pytest.fixture(scope="module")
def score() -> OutOfDistribution:
    return OutOfDistribution.fit(features(100, 0), features(400, 1))


def test_shares_of_ordinary_windows_are_what_they_say(score) -> None:
    share = score.share_as_strange(score.score(features(2000, 2)))
    for level in (0.05, 0.25, 0.5, 0.9):
        assert (share <= level).mean() == pytest.approx(level, abs=0.06)
    assert share.min() > 0


def test_what_differs_is_stranger_the_more_so_the_more_it_does(score) -> None:
    near, far = (score.score(features(200, 3, shift)) for shift in (3.0, 30.0))
    assert roc_auc(near, score.ordinary) > 0.6
    assert roc_auc(far, near) > 0.99
    assert (score.share_as_strange(far) == 1 / 401).all()


def test_covariance_is_shrunk_much_with_few_windows_and_hardly_with_many() -> None:
    truth = np.diag([4.0, 1.0, 1.0, 1.0])
    rng = np.random.default_rng(0)
    few, many = (rng.normal(size=(num, 4)) * np.sqrt(np.diag(truth)) for num in (6, 20000))
    np.testing.assert_allclose(shrunk_covariance(many), truth, atol=0.1)
    plain = few.T @ few / len(few)
    assert np.linalg.cond(shrunk_covariance(few)) < np.linalg.cond(plain)
    assert np.trace(shrunk_covariance(few)) == pytest.approx(np.trace(plain))


def test_blocks_of_features_count_the_same_however_many_they_are() -> None:
    many, few = (np.random.default_rng(seed).normal(size=(300, size)) for seed, size in ((0, 60), (1, 3)))
    both = np.concatenate([many, few], axis=1)
    score = OutOfDistribution.fit(both[:200], both[200:], (60, 3))
    moved = both.copy()
    moved[:, 60:] += 3.0
    assert roc_auc(score.score(moved), score.score(both)) > 0.99
    with pytest.raises(ValueError, match="sizes must add up to the 63 features"):
        OutOfDistribution.fit(both[:200], both[200:], (60, 4))


def test_a_description_tells_what_is_wrong_with_a_recording(batch_of) -> None:
    batch, contract = batch_of(num_windows=40, duration_s=30.0), InputContract()

    def described(one):
        return describe_recording(contract.prepare(one), contract.model_rate_hz).numpy()

    others = batch_of(num_windows=40, duration_s=30.0, seed=1)
    score = OutOfDistribution.fit(described(batch), described(others))
    strange = strange_windows(batch_of(num_windows=20, duration_s=30.0, seed=2), 0)
    for name in ("spike", "step", "clipped at a tenth", "one dead component", "one component missing"):
        assert roc_auc(score.score(described(strange[name])), score.ordinary) > 0.95, name
    assert 0.3 < roc_auc(score.score(described(strange["no change"])), score.ordinary) < 0.7


def test_too_few_windows_are_refused() -> None:
    with pytest.raises(ValueError, match="needs 20 windows to fit"):
        OutOfDistribution.fit(features(100, 0), features(5, 1))


def test_saved_beside_its_weights_and_refused_beside_others(score, tmp_path, new_model) -> None:
    model = new_model()
    model.save_pretrained(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"has no ood\.safetensors"):
        OutOfDistribution.load(tmp_path)
    score.save(tmp_path, weights_of(ModelFolder.find(tmp_path)))
    some = features(10, 4)
    np.testing.assert_allclose(OutOfDistribution.load(tmp_path).score(some), score.score(some), rtol=1e-4)
    score.save(tmp_path, "0" * 64)
    with pytest.raises(ModelError, match="belongs to other weights"):
        OutOfDistribution.load(tmp_path)
    (tmp_path / FILE).write_bytes(b"nothing")
    with pytest.raises(ModelError, match="cannot be read"):
        OutOfDistribution.load(tmp_path)


def test_features_of_windows_know_no_gain_and_no_company(new_model, batch_of) -> None:
    model, batch = new_model(), batch_of(num_windows=3)
    all_of_them = window_features(model, batch)
    louder = batch.replace(waveform=1000.0 * batch.waveform)
    np.testing.assert_allclose(window_features(model, louder), all_of_them, atol=1e-4)
    np.testing.assert_allclose(
        window_features(model, batch.select(torch.tensor([1]))), all_of_them[1:2], atol=1e-4
    )


def test_strange_windows_are_finite_where_observed_and_always_the_same(new_model, batch_of) -> None:
    batch, model = batch_of(num_windows=3, duration_s=30.0), new_model()
    waveform = batch.waveform.clone()
    waveform[0, 1, 100:200] = torch.nan
    batch = batch.replace(waveform=waveform)
    first, second = strange_windows(batch, 7), strange_windows(batch, 7)
    assert first.keys() == STRANGE.keys()
    for name, strange in first.items():
        assert torch.equal(strange.waveform.nan_to_num(), second[name].waveform.nan_to_num()), name
        assert np.isfinite(window_features(model, strange)).all(), name
        if strange.num_samples == batch.num_samples and name != "wrong rate in the header":
            assert bool((strange.observed <= batch.observed).all()), name
    assert float(first["spike"].waveform.nan_to_num().abs().max()) > 5
    assert first["recorded at 20 Hz"].num_samples == 600
