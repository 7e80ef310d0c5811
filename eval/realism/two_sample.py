"""A classifier that tries to tell synthetic from real records: at an AUC of 0.5 it cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, ndtri
from scipy.stats import rankdata

from .features import CONDITIONS, feature_names

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class TwoSampleConfig:
    """How real and synthetic records are matched and told apart.

    per_real: synthetic records for each real one, those nearest in S − P and SNR.
    match_scale: an octave of S − P counts as much as so many dB of SNR.
    num_folds: of the cross-validation, by event.
    penalty: of squared weights, for features of unit variance, relative to the mean loss.
    num_permutations: of each feature, for its importance. num_resamples: of events, for the intervals.
    """

    per_real: int = 4
    match_scale: float = 6.0
    num_folds: int = 5
    penalty: float = 0.02
    num_permutations: int = 5
    num_resamples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.per_real, self.num_permutations, self.num_resamples) < 1 or self.num_folds < 2:
            raise ValueError(
                "per_real, num_permutations and num_resamples must be 1 or more and num_folds 2 or more, "
                f"found {self.per_real}, {self.num_permutations}, {self.num_resamples}, {self.num_folds}"
            )


@dataclass(frozen=True, kw_only=True)
class Separation:
    """How well synthetic records were told from real ones.

    auc: probability that a synthetic record scores above a real one. low, high: 95 % interval over events.
    features: a row for each feature, what it alone tells (`auc_alone`, above 0.5 where synthetic records have
        more of it), what the classifier loses without it (`importance`), and the quartiles on both sides.
    score: of each record, real ones first. num_real, num_synthetic: records compared.
    """

    auc: float
    low: float
    high: float
    features: pd.DataFrame
    score: FloatArray
    num_real: int
    num_synthetic: int


def match(real: pd.DataFrame, synthetic: pd.DataFrame, config: TwoSampleConfig) -> NDArray[np.int64]:
    """Rows of the synthetic table that were taken at conditions like the real ones', each used once.

    Distance and SNR are the user's choice and would be told apart at once. Raises ValueError where there are
    fewer synthetic records than asked for.
    """
    wanted = config.per_real * len(real)
    if len(synthetic) < wanted:
        raise ValueError(
            f"{len(real)} real records need {wanted} synthetic ones ({config.per_real} each), found "
            f"{len(synthetic)}: make more or lower per_real"
        )
    place, target = _conditions(synthetic, config), _conditions(real, config)
    away = np.abs(target[:, None] - place[None]).sum(axis=2)
    taken: list[int] = []
    for _ in range(config.per_real):
        # Those hardest to match choose first.
        for row in np.argsort(-away.min(axis=1), kind="stable"):
            chosen = int(away[row].argmin())
            taken.append(chosen)
            away[:, chosen] = np.inf
    return np.array(taken, dtype=np.int64)


def _conditions(table: pd.DataFrame, config: TwoSampleConfig) -> FloatArray:
    separation, snr = CONDITIONS
    return np.stack([config.match_scale * np.log2(table[separation]), table[snr]], axis=1)


def separate(real: pd.DataFrame, synthetic: pd.DataFrame, config: TwoSampleConfig) -> Separation:
    """Cross-validated logistic regression on the features and their squares, with the AUC by event.

    The squares find what is as large on the average but more, or less, varied. Raises ValueError where a side
    has fewer events than folds.
    """
    both = pd.concat([real, synthetic], ignore_index=True)
    is_synthetic = np.arange(len(both)) >= len(real)
    fold = event_folds(both["event_id"].tolist(), is_synthetic, config)
    names = feature_names(both)
    values = normal_scores(both[names].to_numpy(dtype=np.float64))
    score = np.zeros(len(both))
    lost = np.zeros(len(names))
    rng = np.random.default_rng(config.seed)
    for one in range(config.num_folds):
        inside = fold == one
        weights = fit_logistic(_expand(values[~inside]), is_synthetic[~inside], config.penalty)
        score[inside] = _score(values[inside], weights)
        lost += _losses(values[inside], is_synthetic[inside], weights, config.num_permutations, rng)
    events = both["event_id"].to_numpy()
    low, high = auc_interval(score, is_synthetic, events, config)
    table = _feature_rows(both, is_synthetic, names)
    table["importance"] = lost / config.num_folds
    return Separation(
        auc=auc(score, is_synthetic),
        low=low,
        high=high,
        features=table.sort_values("importance", ascending=False, ignore_index=True),
        score=score,
        num_real=len(real),
        num_synthetic=len(synthetic),
    )


def auc(score: FloatArray, is_synthetic: NDArray[np.bool_]) -> float:
    """The probability that a synthetic record scores higher than a real one, ties half (Mann & Whitney)."""
    above = int(is_synthetic.sum())
    below = len(score) - above
    ranks = rankdata(score)[is_synthetic].sum()
    return float((ranks - above * (above + 1) / 2) / (above * below))


def auc_interval(
    score: FloatArray, is_synthetic: NDArray[np.bool_], event_id: np.ndarray, config: TwoSampleConfig
) -> tuple[float, float]:
    """95 % of AUCs when events of both sides are drawn anew with replacement."""
    sides = []
    for side in (~is_synthetic, is_synthetic):
        _, event = np.unique(event_id[side].astype(str), return_inverse=True)
        sides.append((score[side], event))
    (real, real_event), (made, made_event) = sides
    wins = (made[None] > real[:, None]) + 0.5 * (made[None] == real[:, None])
    num_real, num_made = real_event.max() + 1, made_event.max() + 1
    won = np.zeros((num_real, num_made))
    np.add.at(won, (real_event[:, None], made_event[None]), wins)
    pairs = np.bincount(real_event)[:, None] * np.bincount(made_event)[None]
    rng = np.random.default_rng(config.seed)
    draws = [
        rng.multinomial(count, np.full(count, 1.0 / count), size=config.num_resamples).astype(float)
        for count in (num_real, num_made)
    ]
    resampled = ((draws[0] @ won) * draws[1]).sum(axis=1) / ((draws[0] @ pairs) * draws[1]).sum(axis=1)
    low, high = np.percentile(resampled, [2.5, 97.5])
    return float(low), float(high)


def event_folds(
    event_id: Sequence[str], is_synthetic: NDArray[np.bool_], config: TwoSampleConfig
) -> NDArray[np.int64]:
    """The fold of each record: an event's records share it, and each side is spread evenly."""
    rng = np.random.default_rng(config.seed)
    keys = np.asarray(event_id, dtype=np.str_)
    fold = np.zeros(len(keys), dtype=np.int64)
    for side, name in ((~is_synthetic, "real"), (is_synthetic, "synthetic")):
        _, event = np.unique(keys[side], return_inverse=True)
        count = int(event.max(initial=-1)) + 1
        if count < config.num_folds:
            raise ValueError(
                f"{config.num_folds} folds by event need as many {name} events, found {count}: "
                "give more records or lower num_folds"
            )
        fold[side] = rng.permutation(np.arange(count) % config.num_folds)[event]
    return fold


def normal_scores(values: FloatArray) -> FloatArray:
    """Each column by rank as normal deviates, so that no outlier weighs more; what is missing becomes 0."""
    scores = np.zeros_like(values)
    for column in range(values.shape[1]):
        known = np.isfinite(values[:, column])
        if known.any():
            rank = rankdata(values[known, column])
            scores[known, column] = ndtri((rank - 0.5) / known.sum())
    return scores


def fit_logistic(inputs: FloatArray, is_synthetic: NDArray[np.bool_], penalty: float) -> FloatArray:
    """Weights, the last one constant, of a ridge logistic regression in which both classes count alike."""
    target = is_synthetic.astype(float)
    importance = np.where(is_synthetic, 0.5 / target.sum(), 0.5 / (1.0 - target).sum())

    def loss(weights: FloatArray) -> tuple[float, FloatArray]:
        logit = inputs @ weights[:-1] + weights[-1]
        value = importance @ (np.logaddexp(0.0, logit) - target * logit)
        slope = importance * (expit(logit) - target)
        gradient = np.append(inputs.T @ slope + 2.0 * penalty * weights[:-1], slope.sum())
        return float(value + penalty * weights[:-1] @ weights[:-1]), gradient

    return minimize(loss, np.zeros(inputs.shape[1] + 1), jac=True, method="L-BFGS-B").x


def _expand(values: FloatArray) -> FloatArray:
    return np.concatenate([values, (np.square(values) - 1.0) / np.sqrt(2.0)], axis=1)


def _score(values: FloatArray, weights: FloatArray) -> FloatArray:
    return _expand(values) @ weights[:-1] + weights[-1]


def _losses(
    values: FloatArray,
    is_synthetic: NDArray[np.bool_],
    weights: FloatArray,
    num_permutations: int,
    rng: np.random.Generator,
) -> FloatArray:
    """How much of the AUC goes when one column is shuffled (Breiman, 2001), `(feature,)`."""
    whole = auc(_score(values, weights), is_synthetic)
    lost = np.zeros(values.shape[1])
    for column in range(values.shape[1]):
        for _ in range(num_permutations):
            shuffled = values.copy()
            shuffled[:, column] = rng.permutation(shuffled[:, column])
            lost[column] += whole - auc(_score(shuffled, weights), is_synthetic)
    return lost / num_permutations


def _feature_rows(both: pd.DataFrame, is_synthetic: NDArray[np.bool_], names: list[str]) -> pd.DataFrame:
    """What each feature tells by itself, with its quartiles in both kinds."""
    rows = []
    for name in names:
        values = both[name].to_numpy(dtype=np.float64)
        known = np.isfinite(values)
        row: dict[str, float | str] = {"feature": name, "auc_alone": np.nan}
        if known[is_synthetic].any() and known[~is_synthetic].any():
            row["auc_alone"] = auc(values[known], is_synthetic[known])
            for kind, side in (("real", ~is_synthetic), ("synthetic", is_synthetic)):
                quartiles = np.percentile(values[side & known], [25, 50, 75])
                row |= {f"{kind}_{n}": q for n, q in zip(("q25", "median", "q75"), quartiles, strict=True)}
        rows.append(row)
    return pd.DataFrame(rows)
