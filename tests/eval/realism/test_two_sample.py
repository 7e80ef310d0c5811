import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from seisfm.eval.realism.two_sample import (
    TwoSampleConfig,
    auc,
    auc_interval,
    event_folds,
    match,
    normal_scores,
    separate,
)

CONFIG = TwoSampleConfig(num_resamples=300, num_permutations=2)


def table_of(seed, count, shift=0.0, spread=1.0, per_event=2, num_features=8):
    """Features of which the first is shifted and the second wider."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(count, num_features))
    values[:, 0] += shift
    values[:, 1] *= spread
    table = pd.DataFrame(values, columns=[f"feature_{i}" for i in range(num_features)])
    table["record_id"] = [f"{seed}/r{i}" for i in range(count)]
    table["event_id"] = [f"{seed}/e{i // per_event}" for i in range(count)]
    table["separation_s"] = np.exp(rng.uniform(np.log(0.5), np.log(10.0), count))
    table["p_snr_db"] = rng.uniform(0.0, 40.0, count)
    return table


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.5])
def test_auc_of_two_normals_is_phi_of_the_shift_over_root_2(shift):
    rng = np.random.default_rng(1)
    score = np.concatenate([rng.normal(size=4000), rng.normal(shift, 1.0, 4000)])
    assert auc(score, np.arange(8000) >= 4000) == pytest.approx(norm.cdf(shift / np.sqrt(2.0)), abs=0.015)


def test_auc_counts_ties_half_and_turns_with_the_sign():
    is_synthetic = np.array([False, False, True, True])
    assert auc(np.array([1.0, 1.0, 1.0, 1.0]), is_synthetic) == 0.5
    score = np.array([0.0, 2.0, 1.0, 3.0])
    assert auc(score, is_synthetic) == 0.75
    assert auc(-score, is_synthetic) == 0.25


def test_intervals_cover_the_truth_in_19_of_20_sets_of_events():
    inside = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        event = np.repeat(np.arange(80), 3)
        score = rng.normal(size=80)[event] + 0.5 * rng.normal(size=240)
        is_synthetic = event >= 40
        low, high = auc_interval(score, is_synthetic, event.astype(str), CONFIG)
        inside += low <= 0.5 <= high
    assert inside >= 54


def test_alike_records_are_not_told_apart():
    found = separate(table_of(1, 80), table_of(2, 320), CONFIG)
    assert found.low < 0.5 < found.high
    assert found.num_real == 80 and found.num_synthetic == 320 and len(found.score) == 400


def test_a_shift_is_found_and_named():
    found = separate(table_of(1, 80), table_of(2, 320, shift=2.0), CONFIG)
    assert found.auc > 0.85 and found.low > 0.75
    first = found.features.iloc[0]
    assert first.feature == "feature_0" and first.importance > 0.2
    assert first.auc_alone == pytest.approx(norm.cdf(2.0 / np.sqrt(2.0)), abs=0.06)
    assert first.synthetic_median - first.real_median == pytest.approx(2.0, abs=0.5)


def test_more_spread_about_the_same_middle_is_found_by_the_squares():
    found = separate(table_of(1, 150), table_of(2, 600, spread=4.0), CONFIG)
    assert found.low > 0.6
    first = found.features.iloc[0]
    assert first.feature == "feature_1" and abs(first.auc_alone - 0.5) < 0.1


def test_the_same_seed_gives_the_same_answer():
    one, other = (separate(table_of(1, 40), table_of(2, 80, shift=0.5), CONFIG) for _ in range(2))
    assert (one.auc, one.low, one.high) == (other.auc, other.low, other.high)
    pd.testing.assert_frame_equal(one.features, other.features)


def test_a_missing_feature_is_neither_kind():
    real, made = table_of(1, 40), table_of(2, 160)
    real["never"] = made["never"] = np.nan
    found = separate(real, made, CONFIG)
    row = found.features.set_index("feature").loc["never"]
    assert np.isnan(row.auc_alone) and row.importance == 0.0


def test_an_event_lies_in_one_fold_and_folds_are_even():
    event = [f"e{i // 3}" for i in range(90)] + [f"s{i}" for i in range(50)]
    is_synthetic = np.arange(140) >= 90
    fold = event_folds(event, is_synthetic, CONFIG)
    assert all(len(set(fold[np.array(event) == one])) == 1 for one in set(event))
    assert np.bincount(fold[:90]).tolist() == [18] * 5 and np.bincount(fold[90:]).tolist() == [10] * 5


def test_matched_records_are_used_once_and_have_the_conditions_of_the_real():
    real, pool = table_of(1, 50), table_of(2, 4000)
    rows = match(real, pool, CONFIG)
    assert len(set(rows.tolist())) == len(rows) == 200
    chosen = pool.iloc[rows].reset_index()
    for part in range(4):
        away = chosen.p_snr_db[50 * part : 50 * (part + 1)].sort_values().to_numpy()
        assert np.abs(away - np.sort(real.p_snr_db)).max() < 5.0
    assert np.log2(chosen.separation_s).mean() == pytest.approx(np.log2(real.separation_s).mean(), abs=0.1)


def test_ranks_become_normal_deviates_whatever_the_scale():
    values = np.array([[1.0, 1e6], [2.0, -5.0], [np.nan, 0.0], [1e9, 1.0]])
    scores = normal_scores(values)
    assert scores[2, 0] == 0.0
    assert (np.argsort(scores[[0, 1, 3], 0]) == [0, 1, 2]).all() and abs(scores).max() < 2.0


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"20 real records need 80 synthetic ones .* found 30"):
        match(table_of(1, 20), table_of(2, 30), CONFIG)
    with pytest.raises(ValueError, match="as many real events, found 3"):
        separate(table_of(1, 6), table_of(2, 40), CONFIG)
    with pytest.raises(ValueError, match="num_folds 2 or more"):
        TwoSampleConfig(num_folds=1)
