"""A picker without training: onsets by the ratio of energies, inside of the real contract."""

import numpy as np
import obspy
import pytest
import torch
from seisfm.catalog.picker import Picker, PickerConfig
from seisfm.foundation.backbones.seismic import SeismicConfig, SeismicModel
from seisfm.foundation.contract import InputContract, WindowRange
from torch import nn
from torch.nn import functional as F

CONTRACT = InputContract(window_s=WindowRange(min=10.0, max=60.0, preferred=20.0))
START = obspy.UTCDateTime(2018, 12, 30, 3)


class OnsetModel(nn.Module):
    """Answers like a task model, by formula: P where the vertical's energy rises, S for the horizontals.

    Windows are prepared by the contract, scaled by what they contain and cut at their edges, as for any
    model.
    """

    def __init__(self, contract: InputContract = CONTRACT) -> None:
        super().__init__()
        config = SeismicConfig.of_size("tiny", contract)
        self.encoder = SeismicModel(config)

    def forward(self, batch):
        prepared = self.encoder.contract.prepare(batch)
        energy = prepared.waveform.square() * prepared.observed
        seen = prepared.observed.float()
        p = self.onset(energy[:, :1], seen[:, :1])
        s = self.onset(energy[:, 1:3], seen[:, 1:3]) * (1 - p)
        curves = F.interpolate(torch.stack([p, s], 1), batch.num_samples, mode="linear", align_corners=True)
        noise = 1 - curves.sum(dim=1, keepdim=True)
        detection = F.max_pool1d(curves.amax(dim=1)[:, None], 101, 1, 50)[:, 0]
        return {
            "picking": {"probability": torch.cat([curves, noise], dim=1)},
            "detection": {"probability": detection},
        }

    def onset(self, energy, seen):
        """A peak where the next 0.2 s have much more energy than the last 2 s, half of them observed."""
        short, long = 20, 200
        energy, seen = energy.sum(dim=1), seen.amax(dim=1)
        sums = [F.pad(F.pad(x, (long, short)).double().cumsum(-1), (1, 0)) for x in (energy, seen)]
        here = torch.arange(energy.shape[-1]) + long
        ahead, ahead_seen = (x[:, here + short] - x[:, here] for x in sums)
        behind, behind_seen = (x[:, here] - x[:, here - long] for x in sums)
        ratio = torch.log(
            (ahead / ahead_seen.clamp(min=1) + 1e-3) / (behind / behind_seen.clamp(min=1) + 1e-3)
        )
        known = (behind_seen >= long / 2) & (ahead_seen >= short)
        return torch.where(known, 1 - torch.exp(-(ratio - 1.5).clamp(min=0) / 2), 0.0).float()


@pytest.fixture(scope="session")
def onset_model() -> OnsetModel:
    return OnsetModel()


@pytest.fixture
def picker(onset_model) -> Picker:
    # The formula knows no tokens: windows that spread over one would only cost time.
    return Picker(onset_model, PickerConfig(batch_size=4, refine_shifts=2), name="onset")


def ground_motion(
    duration_s=120.0,
    rate_hz=100.0,
    arrivals=((30.0, 33.0), (75.5, 81.25)),
    seed=0,
    codes=("HHZ", "HHN", "HHE"),
    station="ST01",
    start=START,
) -> obspy.Stream:
    """Noise with events: 5 Hz waves, from P on the vertical, from S larger on the horizontals."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    stream = obspy.Stream()
    for code in codes:
        data = rng.normal(0, 5.0, len(time_s))
        for p_s, s_s in arrivals:
            onset_s, size = (p_s, 400.0) if code[-1] in "Z3" else (s_s, 900.0)
            after = np.clip(time_s - onset_s, 0, None)
            data += size * np.exp(-after / 2.0) * np.sin(2 * np.pi * 5.0 * after)
        header = {
            "network": "XX",
            "station": station,
            "channel": code,
            "sampling_rate": rate_hz,
            "starttime": start,
        }
        stream += obspy.Stream([obspy.Trace(np.round(data).astype(np.int32), header)])
    return stream


@pytest.fixture
def motion():
    return ground_motion
