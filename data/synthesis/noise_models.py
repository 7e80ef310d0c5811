"""Peterson's low and high noise models: between them lies what the stations of the world record in quiet."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from obspy.signal.spectral_estimation import get_nhnm, get_nlnm
from torch import Tensor

_LOWEST_HZ = 1e-5


def noise_models_db(frequency_hz: Tensor) -> tuple[Tensor, Tensor]:
    """Peterson's (1993, USGS Open-File Report 93-322) models of low and high noise at some frequencies.

    Acceleration in dB of (m/s²)²/Hz, shaped like `frequency_hz`, float32. They end at 10 Hz; beyond, their
    last value is held.
    """
    log_period, models_db = _tables(frequency_hz.device)
    wanted = -frequency_hz.float().clamp(min=_LOWEST_HZ).log10()
    wanted = wanted.clamp(log_period[0], log_period[-1])
    right = torch.searchsorted(log_period, wanted).clamp_(min=1)
    share = (wanted - log_period[right - 1]) / (log_period[right] - log_period[right - 1])
    low_db, high_db = torch.lerp(models_db[:, right - 1], models_db[:, right], share)
    return low_db, high_db


@lru_cache(maxsize=4)
def _tables(device: torch.device) -> tuple[Tensor, Tensor]:
    """Logarithms of periods, ascending, and the low and the high model at them `(model, period)`."""
    (periods_s, low_db), (high_periods_s, high_db) = get_nlnm(), get_nhnm()
    # The corners of both: a model is a straight line between its own.
    log_period = np.unique(np.log10(np.concatenate([periods_s, high_periods_s])))
    models_db = [
        np.interp(log_period, np.log10(given_s[::-1]), level_db[::-1])
        for given_s, level_db in ((periods_s, low_db), (high_periods_s, high_db))
    ]
    tables = (np.asarray(values, dtype=np.float32) for values in (log_period, models_db))
    periods, models = (torch.from_numpy(table).to(device) for table in tables)
    return periods, models
