"""How strange a window is to a model: how far its features lie from those of ordinary windows.

A network answers whatever it is shown. The Mahalanobis distance of its own features to those of windows like
the ones that it knows (Lee et al. 2018, NeurIPS) tells when an answer should not be trusted, whatever the
answer says of itself. A network that was taught to overlook glitches has no features that tell of them: a
plain description of the recording stands beside its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ..data.batch import WaveformBatch
from ..foundation.features import SeismicFeatures
from ..heads.model_folder import ADAPTER_WEIGHTS, WEIGHTS, ModelError, ModelFolder
from ..heads.task_model import SeismicTaskModel
from .model_picker import evaluation_mode
from .window_description import describe_recording

FILE = "ood.safetensors"

LEAST_WINDOWS = 20

LEAST_STD = 0.01
"""Joins the spread of each feature: of one that is the same in all ordinary windows, rounding is nothing."""


@dataclass(frozen=True, kw_only=True)
class OutOfDistribution:
    """What ordinary windows look like to a model.

    mean: `(feature,)`. factor: `(feature, feature)`, which makes ordinary features uncorrelated with variance
    1. ordinary: sorted scores `(window,)` of ordinary windows that mean and factor do not know.
    """

    mean: np.ndarray
    factor: np.ndarray
    ordinary: np.ndarray

    @classmethod
    def fit(
        cls, features: np.ndarray, held_out: np.ndarray, sizes: Sequence[int] | None = None
    ) -> OutOfDistribution:
        """From features `(window, feature)` of ordinary windows, and of other ordinary ones for the scale.

        sizes: of blocks of features that count the same, however many they are; one block without them.

        Raises ValueError for fewer than `LEAST_WINDOWS` of either.
        """
        if min(len(features), len(held_out)) < LEAST_WINDOWS:
            raise ValueError(
                f"a score of strangeness needs {LEAST_WINDOWS} windows to fit and as many to compare with, "
                f"found {len(features)} and {len(held_out)}"
            )
        num_features = features.shape[1]
        ends = np.cumsum(sizes or [num_features])
        if ends[-1] != num_features:
            raise ValueError(f"sizes must add up to the {num_features} features, found {sizes}")
        mean, scale = features.mean(axis=0), features.std(axis=0) + LEAST_STD
        factor = np.zeros((num_features, num_features))
        for block in np.split(np.arange(num_features), ends[:-1]):
            covariance = shrunk_covariance(((features - mean) / scale)[:, block])
            share = num_features / (len(ends) * len(block))
            whitened = np.linalg.inv(np.linalg.cholesky(covariance)) / scale[block]
            factor[np.ix_(block, block)] = np.sqrt(share) * whitened
        plain = cls(mean=mean, factor=factor, ordinary=np.zeros(0))
        return cls(mean=mean, factor=factor, ordinary=np.sort(plain.score(held_out)))

    def score(self, features: np.ndarray) -> np.ndarray:
        """Strangeness of windows `(window,)`: the Mahalanobis distance over √features, about 1 for most."""
        away = (features - self.mean) @ self.factor.T
        return np.sqrt(np.mean(np.square(away), axis=1))

    def share_as_strange(self, score: np.ndarray) -> np.ndarray:
        """The share of ordinary windows that are as strange or stranger `(window,)`, 0 to 1.

        (1 + number of those) / (1 + number of ordinary windows), never 0: of a window like the others it
        falls anywhere in 0 to 1 with equal chance (Vovk et al. 2005, conformal p-values).
        """
        below = np.searchsorted(self.ordinary, score, side="left")
        return (1.0 + len(self.ordinary) - below) / (1.0 + len(self.ordinary))

    def save(self, folder: str | Path, weights_sha256: str) -> Path:
        """Write `ood.safetensors` beside the model whose weights have this fingerprint."""
        path = Path(folder) / FILE
        partial = path.with_suffix(".partial")
        tensors = {name: np.ascontiguousarray(getattr(self, name), dtype=np.float32) for name in _NAMES}
        partial.write_bytes(save(tensors, metadata={"weights_sha256": weights_sha256}))
        partial.replace(path)
        return path

    @classmethod
    def load(cls, folder: str | Path) -> OutOfDistribution:
        """What lies beside a model, in a folder or on the hub.

        Raises FileNotFoundError where the model has none, ModelError for another model's or a broken one.
        """
        model = ModelFolder.find(folder)
        path = model.path / FILE
        if not path.is_file():
            raise FileNotFoundError(f"{model.source} has no {FILE}: make one with `seisfm calibrate`")
        try:
            with safe_open(path, framework="numpy") as file:
                told = (file.metadata() or {}).get("weights_sha256")
                arrays = {name: file.get_tensor(name).astype(np.float64) for name in _NAMES}
        except (SafetensorError, OSError) as error:
            raise ModelError(f"{path} cannot be read ({error}): run `seisfm calibrate` again") from error
        if told != weights_of(model):
            raise ModelError(f"{path} belongs to other weights than {model.source}: calibrate it again")
        return cls(**arrays)


_NAMES = ("mean", "factor", "ordinary")


def weights_of(folder: ModelFolder) -> str:
    """The fingerprint of a model's weights, or of an adapter's."""
    with (folder.path / (ADAPTER_WEIGHTS if folder.is_adapter else WEIGHTS)).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def window_features(model: SeismicTaskModel, batch: WaveformBatch) -> np.ndarray:
    """What a model knows of each window `(window, feature)`, and what the recording looks like.

    Mean and spread of its tokens over time, and `describe_recording` of what it is fed: `feature_sizes` tells
    how many each are. Neither knows the gain, so that an amplifier makes no window strange.
    """
    blind = batch.replace(labels={}, event_id=None).to(next(model.parameters()).device)
    with evaluation_mode(model):
        features: SeismicFeatures = model.encoder(blind)
        recording = describe_recording(model.contract.prepare(blind), model.contract.model_rate_hz)
    tokens, observed = features["tokens"].double(), features["token_observed"][..., None].double()
    count = observed.sum(dim=1).clamp(min=1.0)
    mean = (tokens * observed).sum(dim=1) / count
    spread = ((tokens - mean[:, None]).square() * observed).sum(dim=1) / count
    return torch.cat([mean, spread.sqrt(), recording], dim=1).cpu().numpy()


def feature_sizes(model: SeismicTaskModel, features: np.ndarray) -> tuple[int, int]:
    """How many of the columns of `window_features` are the network's, and how many the recording's."""
    own = 2 * model.encoder.feature_spec.dim
    return own, features.shape[1] - own


def shrunk_covariance(centred: np.ndarray) -> np.ndarray:
    """The covariance of `(window, feature)`, drawn to a multiple of the identity (Ledoit & Wolf 2004).

    The optimal share of the identity for the mean square error: with few windows for many features the plain
    covariance would call every new window strange.
    """
    num_windows, num_features = centred.shape
    sample = centred.T @ centred / num_windows
    size = np.trace(sample) / num_features
    distance = np.square(sample - size * np.eye(num_features)).sum()
    noise = (np.square(centred).sum(axis=1) ** 2).sum() / num_windows - np.square(sample).sum()
    share = min(max(noise / num_windows / distance, 0.0), 1.0) if distance > 0 else 1.0
    return share * size * np.eye(num_features) + (1.0 - share) * sample
