"""A picker without training: onsets by the ratio of energies, inside of the real contract."""

from dataclasses import dataclass

import numpy as np
import obspy
import pandas as pd
import pytest
import torch
from seisfm.catalog.pick_table import PickTable
from seisfm.catalog.picker import Picker, PickerConfig
from seisfm.catalog.projection import LocalProjection
from seisfm.data.earth.velocity import VelocityModel
from seisfm.data.mechanism.double_couple import couple_tensors, fault_vectors
from seisfm.data.mechanism.radiation import p_radiation, ray_products, rays_of
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


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def motion():
    return ground_motion


@dataclass(frozen=True)
class MadeNetwork:
    """Exact picks of three events at a network's stations, with the first motions of one mechanism."""

    stations: pd.DataFrame
    model: VelocityModel
    picks: PickTable


def exact_picks(stations, places_km, model, hypocentre, mechanism_deg, num_polarities) -> list[dict]:
    """P and S picks of a source (east, north, depth in km, seconds); the first stations tell polarities."""
    x, y, depth_km, after_s = hypocentre
    offset = places_km - (x, y)
    distance_km, azimuth_deg = np.hypot(*offset.T), np.rad2deg(np.arctan2(*offset.T))
    rays = {phase: model.rays(distance_km, depth_km, phase, stations["elevation_m"]) for phase in "PS"}
    directions = (torch.from_numpy(angle) for angle in (azimuth_deg, rays["P"].takeoff_deg))
    tensor = couple_tensors(*fault_vectors(torch.tensor(mechanism_deg).double()))[None]
    up = (p_radiation(ray_products(rays_of(*directions)), tensor)[:, 0] > 0).tolist()
    rows = []
    for phase in "PS":
        for number, station_id in enumerate(stations["id"]):
            told = phase == "P" and number < num_polarities
            rows.append(
                {
                    "station_id": station_id,
                    "phase": phase,
                    "time": START.timestamp + after_s + float(rays[phase].time_s[number]),
                    "probability": 0.9,
                    "polarity": ("positive" if up[number] else "negative") if told else "",
                    "polarity_probability": 0.95 if told else np.nan,
                    "model": "exact",
                }
            )
    return rows


@pytest.fixture(scope="session")
def network() -> MadeNetwork:
    """30 stations within 25 km, some in the mountains, and three events of strike 210, dip 60, rake -80."""
    rng = np.random.default_rng(3)
    places_km = rng.uniform(-25.0, 25.0, (30, 2))
    latitude, longitude = LocalProjection(latitude_deg=45.0, longitude_deg=7.0).to_degrees(*places_km.T)
    codes = [f"M{number:02d}" for number in range(len(places_km))]
    stations = pd.DataFrame(
        {
            "id": [f"XX.{code}." for code in codes],
            "network": "XX",
            "station": codes,
            "latitude_deg": latitude,
            "longitude_deg": longitude,
            "elevation_m": rng.uniform(0.0, 2500.0, len(codes)),
        }
    )
    model = VelocityModel((0.0, 3.0, 12.0), (4.8, 6.0, 6.6), (2.8, 3.46, 3.8))
    sources = (((2.0, -3.0, 9.0, 20.0), 30), ((-4.0, 1.0, 6.0, 80.0), 5), ((5.0, 5.0, 11.0, 140.0), 0))
    rows = [
        row
        for hypocentre, told in sources
        for row in exact_picks(stations, places_km, model, hypocentre, (210.0, 60.0, -80.0), told)
    ]
    return MadeNetwork(stations, model, PickTable.from_rows(rows))
