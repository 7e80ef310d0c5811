import math
import os
from pathlib import Path

import numpy as np
import obspy
import pytest
from obspy.core.inventory import Channel, Inventory, Network, Station
from obspy.core.inventory.response import (
    CoefficientsTypeResponseStage,
    InstrumentSensitivity,
    PolesZerosResponseStage,
    Response,
)
from seisfm.data.instruments.response import response_factor
from seisfm.data.instruments.response_metadata import inventory_orientations, response_metadata

REAL_DATA = Path(os.environ.get("SEISFM_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
TIME = obspy.UTCDateTime(2020, 6, 1)
CORNER = 2 * math.pi * 1.0
POLES = [complex(-0.7 * CORNER, 0.714 * CORNER), complex(-0.7 * CORNER, -0.714 * CORNER)]


def response(unit="M/S", value=1e9, frequency_hz=10.0, poles=POLES, kind="LAPLACE (RADIANS/SECOND)"):
    common = {"stage_gain": 1e3, "stage_gain_frequency": frequency_hz}
    digital = CoefficientsTypeResponseStage(
        2, 1e6, frequency_hz, "V", "COUNTS", "DIGITAL", numerator=[], denominator=[]
    )
    analog = PolesZerosResponseStage(
        1, **common, input_units=unit, output_units="V", pz_transfer_function_type=kind,
        normalization_frequency=frequency_hz, zeros=[0j, 0j], poles=poles,
    )  # fmt: skip
    sensitivity = InstrumentSensitivity(value, frequency_hz, unit, "COUNTS")
    return Response(instrument_sensitivity=sensitivity, response_stages=[analog, digital])


def channel(code, azimuth=0.0, dip=-90.0, start="2010-01-01", end=None, **options):
    return Channel(
        code, "", 40.0, -120.0, 100.0, 0.0, azimuth=azimuth, dip=dip, sample_rate=100.0,
        start_date=obspy.UTCDateTime(start), end_date=end and obspy.UTCDateTime(end),
        response=options["response"] if "response" in options else response(),
    )  # fmt: skip


def inventory(*channels):
    station = Station("STA", 40.0, -120.0, 100.0, channels=list(channels))
    return Inventory(networks=[Network("XX", stations=[station])], source="test")


def about(*channels, codes=("EHZ",), time=TIME):
    return response_metadata(inventory(*channels), [f"XX.STA..{code}" for code in codes], time)


def test_everything_of_a_plain_station():
    horizontals = channel("EHN", 0.0, 0.0), channel("EHE", 90.0, 0.0, start="2012-01-01", end="2599-12-31")
    found = about(channel("EHZ"), *horizontals, codes=("EHZ", "EHN", "EHE"))
    poles_zeros = found.pop("trace_response")
    assert found == {
        "trace_sensitivity": [1e9, 1e9, 1e9],
        "trace_sensitivity_unit": "m/s",
        "trace_component_azimuth_deg": [0.0, 0.0, 90.0],
        "trace_component_dip_deg": [-90.0, 0.0, 0.0],
        "station_epoch_start": "2012-01-01T00:00:00.000000Z",
        "station_instrument": "short_period",
    }
    assert abs(response_factor(poles_zeros, [10.0])[0]) == pytest.approx(1.0)


def test_of_two_epochs_that_of_the_time_counts():
    old = channel("EHZ", dip=90.0, start="2000-01-01", end="2015-01-01")
    new = channel("EHZ", start="2015-01-01", response=response(value=5.0))
    assert about(old, new)["trace_sensitivity"] == [5.0]
    before = about(old, new, time=obspy.UTCDateTime(2010, 1, 1))
    assert before["trace_component_dip_deg"] == [90.0]
    assert before["station_epoch_end"] == "2015-01-01T00:00:00.000000Z"


def test_hertz_are_radians_per_second_in_the_end():
    hertz = response(poles=[pole / (2 * math.pi) for pole in POLES], kind="LAPLACE (HERTZ)")
    found = about(channel("EHZ", response=hertz))["trace_response"]
    np.testing.assert_allclose(found["poles"], [[pole.real, pole.imag] for pole in POLES])


def test_nanometres_are_metres_in_the_end():
    found = about(channel("EHZ", response=response("NM/S", 3.0)))
    assert found["trace_sensitivity"] == [3e9] and found["trace_sensitivity_unit"] == "m/s"


def test_acceleration_and_a_negative_sensitivity_are_kept():
    found = about(channel("HNZ", response=response("M/S**2", -4e6)), codes=("HNZ",))
    assert found["trace_sensitivity"] == [-4e6] and found["trace_sensitivity_unit"] == "m/s**2"
    assert found["trace_response"]["input_unit"] == "m/s**2"


def no_stages(**options):
    given = response(**options)
    given.response_stages = []
    return given


@pytest.mark.parametrize(
    ("given", "absent", "note"),
    [
        (None, "trace_sensitivity", "tells no sensitivity"),
        (response("PA"), "trace_sensitivity", "'PA' is no velocity or acceleration"),
        (no_stages(), "trace_response", "no stage of analog poles and zeros"),
        (response(kind="DIGITAL (Z-TRANSFORM)"), "trace_response", "no stage of analog poles and zeros"),
        (response(frequency_hz=0.0), "trace_response", "frequency of its sensitivity is not told"),
    ],
)
def test_what_is_not_known_is_absent_and_told(given, absent, note):
    found = about(channel("EHZ", response=given))
    assert absent not in found
    assert any(note in told for told in found["trace_response_notes"])


def test_a_component_that_the_inventory_lacks_is_nan_in_the_lists_and_told():
    found = about(channel("EHZ"), codes=("EHZ", "EHN"))
    np.testing.assert_equal(found["trace_sensitivity"], [1e9, math.nan])
    np.testing.assert_equal(found["trace_component_dip_deg"], [-90.0, math.nan])
    assert "XX.STA..EHN: not in the inventory at 2020" in found["trace_response_notes"][0]


def test_components_that_differ_in_response_or_unit_share_none():
    faster = response(poles=[5 * pole for pole in POLES])
    found = about(channel("EHZ"), channel("EHN", response=faster), codes=("EHZ", "EHN"))
    assert "trace_response" not in found and "trace_sensitivity" in found
    assert "responses differ by more than 2%" in found["trace_response_notes"][0]
    mixed = about(channel("EHZ"), channel("EHN", response=response("M/S**2")), codes=("EHZ", "EHN"))
    assert "trace_sensitivity" not in mixed
    assert mixed["trace_response_notes"] == ["the components differ in unit: ['m/s', 'm/s**2']"]


def test_orientations_of_a_whole_inventory():
    found = inventory_orientations(
        inventory(channel("EHZ", end="2015-01-01"), channel("EHX", 33.0, 0.0), channel("EHY", None, 0.0)),
        TIME,
    )
    assert found == {"XX.STA..EHX": (33.0, 0.0)}


def test_a_seed_id_has_four_parts():
    with pytest.raises(ValueError, match=r"NET\.STA\.LOC\.CHA, found 'EHZ'"):
        response_metadata(inventory(), ["EHZ"], TIME)


@pytest.mark.parametrize(
    ("file", "codes", "expected"),
    [
        # Its east component points west, and nothing but the azimuth tells.
        (
            "asdf/nc71126864/raw/CE.79435.xml",
            ("CE.79435.10.HNZ", "CE.79435.10.HNE"),
            ([0.0, 270.0], [-90.0, 0.0]),
        ),
        # Components 1, 2, 3 are up and two horizontals, with negative sensitivities.
        (
            "fdsn/nc73300395/BK.VALB.xml",
            ("BK.VALB.40.HN1", "BK.VALB.40.HN2", "BK.VALB.40.HN3"),
            ([0.0, 336.0, 246.0], [-90.0, 0.0, 0.0]),
        ),
    ],
)
def test_real_stations_that_point_elsewhere(file, codes, expected):
    path = REAL_DATA / "events_groundmotion" / file
    if not path.is_file():
        pytest.skip(f"no real data at {REAL_DATA}: set SEISFM_DATA")
    found = response_metadata(obspy.read_inventory(str(path)), codes, obspy.UTCDateTime(2022, 1, 1))
    assert (found["trace_component_azimuth_deg"], found["trace_component_dip_deg"]) == expected
    assert found["station_instrument"] == "strong_motion" and "trace_response" in found
