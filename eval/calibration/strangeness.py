"""A model's sense of the strange: fitted on ordinary windows, tried on disturbed ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from ...heads.task_model import SeismicTaskModel
from ..detection_metrics import roc_auc
from ..out_of_distribution import OutOfDistribution, feature_sizes, window_features
from ..scored_windows import ScoredWindows
from ..strange_windows import STRANGE, strange_windows
from .run import held_out_windows

ALARM = 0.01
"""A window is called strange where no more than this share of ordinary ones is as strange."""


MOST_TRIED = 150
"""About so many windows are disturbed, in each of the ways."""


def fit_strangeness(
    model: SeismicTaskModel,
    windows: ScoredWindows,
    fits: Callable[[np.ndarray], np.ndarray],
    seed: int,
) -> tuple[OutOfDistribution, pd.DataFrame]:
    """The score, and what it says of strange windows made from those that it was not fitted to.

    fits: of events, whether their windows make the score; the others give its scale.
    """
    features = np.concatenate([window_features(model, batch) for batch in windows.batches])
    mine = fits(windows.event)
    ordinary = OutOfDistribution.fit(features[mine], features[~mine], feature_sizes(model, features))
    tried = ~mine & (np.cumsum(~mine) % max(1, int((~mine).sum()) // MOST_TRIED) == 0)
    return ordinary, _trial(model, ordinary, held_out_windows(windows, tried), features[~mine], seed)


def _trial(
    model: SeismicTaskModel, score: OutOfDistribution, windows: ScoredWindows, features: np.ndarray, seed: int
) -> pd.DataFrame:
    usual = score.score(features)
    scores: dict[str, list[np.ndarray]] = {name: [] for name in STRANGE}
    for number, batch in enumerate(windows.batches):
        for name, strange in strange_windows(batch, seed + number).items():
            scores[name].append(score.score(window_features(model, strange)))
    own = score.score(np.concatenate([window_features(model, batch) for batch in windows.batches]))
    kinds = {"noise alone": own[windows.is_noise], "with an event": own[~windows.is_noise]}
    kinds |= {name: np.concatenate(parts) for name, parts in scores.items()}
    return pd.DataFrame([_row(name, found, usual, score) for name, found in kinds.items() if len(found)])


def _row(name: str, found: np.ndarray, usual: np.ndarray, score: OutOfDistribution) -> dict[str, object]:
    share = score.share_as_strange(found)
    return {
        "windows": name,
        "n": len(found),
        "median score": float(np.median(found)),
        "auc": roc_auc(found, usual),
        "called strange": float((share <= ALARM).mean()),
    }
