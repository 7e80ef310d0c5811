"""Windows made of formulas, for known answers."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from seisfm.data.batch import WaveformBatch

RATE_HZ = 100.0


def make_windows(waveforms, p_s=None, s_s=None, unit="m/s", names=("Z", "N", "E"), **labels) -> WaveformBatch:
    """A batch of `(component, sample)` arrays with P, S and other labels, one number a window."""
    count = len(waveforms)
    missing = [float("nan")] * count
    known = {
        "p_arrival_s": torch.tensor(p_s or missing)[:, None],
        "s_arrival_s": torch.tensor(s_s or missing)[:, None],
        **{name: torch.tensor(values) for name, values in labels.items()},
    }
    return WaveformBatch(
        waveform=torch.from_numpy(np.stack(waveforms).astype(np.float32)),
        sampling_rate_hz=torch.full((count,), RATE_HZ),
        component_names=names,
        unit=(unit,) * count,
        station_id=tuple(f"XX.S{i}." for i in range(count)),
        labels=known,
    )


@pytest.fixture(scope="session")
def windows_of() -> Callable[..., WaveformBatch]:
    return make_windows
