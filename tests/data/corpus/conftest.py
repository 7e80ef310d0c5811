"""Records of every kind for the tests of corpora."""

from collections.abc import Callable

import numpy as np
import pytest
from seisfm.data.records import Arrival, Record

EVERYTHING = {
    "trace_channel": "HH",
    "trace_component_azimuth_deg": [0.0, 0.0, 90.0],
    "trace_component_dip_deg": [-90.0, 0.0, 0.0],
    "trace_response_state": "raw",
    "trace_sensitivity": [6.3e8, 6.3e8, 6.4e8],
    "trace_sensitivity_unit": "m/s",
    "trace_response": {
        "input_unit": "m/s",
        "zeros": [[0.0, 0.0], [0.0, 0.0]],
        "poles": [[-0.037, 0.037], [-0.037, -0.037]],
        "normalization_factor": 0.1 + 0.2,
    },
    "trace_snr_db": {"P": 12.5, "S": -3.25},
    "trace_offset_counts": {"Z": 2.0e9, "N": 0.0},
    "station_latitude_deg": 64.1,
    "station_longitude_deg": -21.2,
    "station_elevation_m": 300.0,
    "station_epoch_start": "2018-01-01T00:00:00Z",
    "station_epoch_end": "2599-12-31T23:59:59Z",
    "station_instrument": "broadband",
    "source_origin_time": "2018-12-30T03:00:01.123456789Z",
    "source_latitude_deg": 64.0,
    "source_longitude_deg": -21.3,
    "source_depth_km": 4.7,
    "source_magnitude": 1.1,
    "source_magnitude_type": "ML",
    "source_magnitudes": [
        {"value": 1.1, "type": "ML", "author": "IMO", "uncertainty": 0.1},
        {"value": 1.3, "type": "Mw"},
    ],
    "source_mechanisms": [{"strike_deg": 10.0, "dip_deg": 80.0, "rake_deg": -170.0}],
    "source_type": "earthquake",
    "source_type_original": "le",
    "source_author": "IMO",
    "path_ep_distance_km": 12.5,
    "path_hyp_distance_km": 13.4,
    "path_back_azimuth_deg": 203.0,
    "dataset": "Hengill",
    "licence": "CC-BY-4.0",
    "citation": "Somebody (2020)",
    "split": "train",
}

ODD = {
    "source_magnitude": 3,
    "source_depth_km": float("nan"),
    "source_type": 7,
    "trace_sensitivity": [1, 2.0],
    "source_magnitudes": [{"value": 1.0, "scale": "unheard of"}],
    "trace_response": {"input_unit": None},
    "trace_snr_db": {},
    "split": None,
    "note": 'comma, "quote" and\nline — ñ',
    "code": "007",
    "clipped": False,
    "deep": {"a": [1, 2.5, None, {"b": [float("inf"), -0.0]}]},
    "large": 2**70,
    "waveform": "a name that is a column",
}

ARRIVALS = (
    Arrival(
        phase="P",
        time_s=0.1 + 0.2,
        polarity="negative",
        evaluation="automatic",
        onset="emergent",
        uncertainty_s=0.05,
        probability=0.7,
        author="model 1/abc",
    ),
    Arrival(phase="Sg", time_s=-3.5, event=1),
)


def make_record(number: int = 0, components: str = "ZNE", num_samples: int = 50, **changes: object) -> Record:
    waveform = np.random.default_rng(number).normal(size=(len(components), num_samples)).astype(np.float32)
    values: dict = {
        "record_id": f"record {number}",
        "waveform": waveform,
        "component_names": tuple(components),
        "sampling_rate_hz": 100.0,
        "start_time": 1_545_965_999.123_456_7 + number,
        "station_id": f"NA.{number % 3:03d}.00",
        "event_id": f"event {number // 2}",
        "unit": "counts",
        "arrivals": ARRIVALS[:1],
        "labelled_phases": frozenset({"P"}),
    }
    return Record(**(values | changes))


def all_kinds() -> list[Record]:
    """Floats, counts, gaps, missing components, other rates and lengths, all metadata and none."""
    gap = np.round(np.random.default_rng(1).normal(size=(3, 60)) * 1000).astype(np.float32) + 0
    gap[1], gap[0, 10:20] = np.nan, np.nan
    return [
        make_record(0, metadata=EVERYTHING, arrivals=ARRIVALS, labelled_phases=frozenset({"P", "S", "Sg"})),
        make_record(1, components="Z12", sampling_rate_hz=250.0, unit="m/s**2", metadata=ODD),
        make_record(2, waveform=gap, metadata={"source_magnitude": 2.5}),
        make_record(3, components="H", num_samples=77, station_id="", event_id="", arrivals=()),
        make_record(4, start_time=float("nan"), labelled_phases=frozenset()),
        make_record(5, start_time=0.123_456_789_012_345),
        make_record(6, waveform=np.arange(-90, 90, dtype=np.float32).reshape(3, 60), unit="unknown"),
    ]


@pytest.fixture(scope="session")
def record_of_number() -> Callable[..., Record]:
    return make_record


@pytest.fixture
def kinds() -> list[Record]:
    return all_kinds()


@pytest.fixture(scope="session")
def assert_same_record() -> Callable[[Record, Record], None]:
    def check(one: Record, other: Record) -> None:
        for name in (slot for slot in Record.__slots__ if slot != "waveform"):
            np.testing.assert_equal(getattr(one, name), getattr(other, name), err_msg=name)
        types = [{key: type(value) for key, value in r.metadata.items()} for r in (one, other)]
        assert types[0] == types[1]
        assert one.waveform.shape == other.waveform.shape
        assert one.waveform.tobytes() == other.waveform.tobytes()

    return check
