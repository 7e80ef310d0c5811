"""What a change to a model did to each head: errors of two models on the same windows, pair by pair."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .bootstrap import bootstrap_interval, sums_by_event
from .classification_metrics import most_probable
from .regression_metrics import circular_difference_deg
from .source_predictors import CLASSES, QUANTITIES
from .source_protocol import SourceAnswers
from .source_windows import SourceWindows

ERROR_COLUMNS = ("label", "window", "event", "error")

DIFFERENCE_COLUMNS = (
    *("predictor", "label", "difference", "low", "high"),
    *("seed_low", "seed_high", "seeds", "n"),
)


def no_errors() -> pd.DataFrame:
    """The table of `window_errors` of a model that tells no label."""
    return pd.DataFrame(columns=list(ERROR_COLUMNS))


def window_errors(answers: SourceAnswers, windows: SourceWindows) -> pd.DataFrame:
    """One line a label and window with a truth and an answer: `label`, `window`, `event`, `error`.

    error: the size of the difference in the label's unit, the shorter way round for a direction; of a class 0
    where it is right and 1 where it is wrong.
    """
    parts = [no_errors()]
    for label, quantity in QUANTITIES.items():
        if label in answers.plain:
            told, truth = answers.plain[label], windows.truth(label)
            off = circular_difference_deg(told, truth) if quantity.circular else told - truth
            parts.append(_lines(label, np.abs(off), windows))
    for label in CLASSES:
        if f"{label}_probability" in answers.plain:
            told, _ = most_probable(answers.plain[f"{label}_probability"])
            truth = windows.truth(label)
            wrong = np.where((told >= 0) & (truth >= 0), (told != truth).astype(float), np.nan)
            parts.append(_lines(label, wrong, windows))
    return pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)


def _lines(label: str, error: np.ndarray, windows: SourceWindows) -> pd.DataFrame:
    known = np.flatnonzero(np.isfinite(error))
    return pd.DataFrame(
        {"label": label, "window": known, "event": windows.event[known], "error": error[known]}
    )


def paired_differences(
    errors: pd.DataFrame, reference: str, *, seed: int = 42, num_resamples: int = 1000
) -> pd.DataFrame:
    """Mean error of each arm minus that of `reference`, on the windows and seeds that both have.

    errors: as of `window_errors`, with `predictor` and `seed`. Returns `predictor`, `label`, `difference`
    (below 0 is better than the reference) with the ends of its 95 % interval over events, `low` and `high`,
    `seeds`, the least and largest mean of one seed, `seed_low` and `seed_high`, and `n`, windows of all
    seeds. Pairs take out how hard a window is: an interval is narrower than those of the two scores. What
    other first weights would do is not in it; the means of the seeds tell of that, as far as so few can.
    """
    keys = ["label", "window", "event", "seed"]
    own = errors[errors.predictor == reference].rename(columns={"error": "reference_error"})
    lines = []
    others = errors[errors.predictor != reference]
    for (name, label), part in others.groupby(["predictor", "label"], sort=False):
        pairs = part.merge(own[[*keys, "reference_error"]], on=keys)
        if pairs.empty:
            continue
        difference = (pairs.error - pairs.reference_error).to_numpy(dtype=float)
        low, high = _interval(difference, pairs.event.tolist(), seed, num_resamples)
        by_seed = pairs.assign(difference=difference).groupby("seed").difference.mean()
        lines.append(
            {"predictor": name, "label": label, "difference": difference.mean(), "low": low, "high": high}
            | {"seed_low": by_seed.min(), "seed_high": by_seed.max(), "seeds": len(by_seed), "n": len(pairs)}
        )
    return pd.DataFrame(lines, columns=list(DIFFERENCE_COLUMNS))


def _interval(values: np.ndarray, event: Sequence[str], seed: int, num_resamples: int) -> tuple[float, float]:
    sums = sums_by_event(np.column_stack([values, np.ones(len(values))]), event)
    low, high = bootstrap_interval(sums, lambda s: s[..., 0] / s[..., 1].clip(min=1), seed, num_resamples)
    return float(low), float(high)
