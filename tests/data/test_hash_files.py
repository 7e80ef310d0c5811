"""HASH's fixed columns, from files written here column by column."""

import math
from dataclasses import replace

import pytest
from seisfm.data.formats.hash_files import (
    corrected,
    read_amplitudes,
    read_fpfit,
    read_gradient_model,
    read_hash_phases,
    read_mechanisms,
    read_reversals,
    read_station_corrections,
    read_station_places,
)


def columns(width: int, **fields: str) -> str:
    """A line with each text at the column of its name, such as c14."""
    line = [" "] * width
    for name, text in fields.items():
        start = int(name[1:])
        line[start : start + len(text)] = text
    return "".join(line)


FPFIT = "\n".join(
    [
        columns(
            140, c0="94 320", c8=" 11129", c14="34 1447", c21="118 3695", c29=" 180025", c83="5", c87="7"
        )[:122]
        + "         3159267",
        columns(98, c0="IR2 EPD0", c58=" 256120", c75=" 49", c79=" 10", c83="  1", c95="VHZ"),
        columns(98, c0="SWM IPU0", c58="1400103", c75="  3", c95="VHZ"),
        columns(80, c60="3159267"),
    ]
)

HASH = "\n".join(
    [
        columns(165, c0="1994 12111 415.50", c17="34 14.55", c25="118 37.06", c34="18.13", c89="0.07")[:94]
        + columns(71, c1="0.10", c45="2.30", c64="3143312"),
        "IR2  CI  VHZ I D",
        "ABL  CI  EHZ E +",
        "PAS  CI  EHZ E -",
        "XXX  CI  EHZ I  ",
        columns(80, c60="3143312"),
    ]
)


@pytest.fixture
def write(tmp_path):
    def written(text):
        path = tmp_path / "file"
        path.write_text(text)
        return path

    return written


def test_fpfit_columns(write):
    (event,) = read_fpfit(write(FPFIT))
    assert event.event_id == "3159267"
    assert event.origin_time.isoformat() == "1994-03-20T00:01:11.290000+00:00"
    assert (event.latitude_deg, event.longitude_deg) == pytest.approx((34 + 14.47 / 60, -118 - 36.95 / 60))
    assert (event.depth_km, event.magnitude) == (18.0, 2.5)
    assert (event.horizontal_error_km, event.depth_error_km) == (0.05, 0.07)
    first, second = event.readings
    assert (first.station, first.channel, first.polarity, first.impulsive) == ("IR2", "VHZ", -1, False)
    assert (first.distance_km, first.takeoff_deg, first.azimuth_deg) == (25.6, 120.0, 49.0)
    assert (first.azimuth_error_deg, first.takeoff_error_deg) == (10.0, 1.0)
    assert second.polarity == 1 and second.impulsive and math.isnan(second.azimuth_error_deg)


def test_hash_columns(write):
    (event,) = read_hash_phases(write(HASH))
    assert (event.event_id, event.depth_km, event.magnitude) == ("3143312", 18.13, 2.3)
    assert (event.horizontal_error_km, event.depth_error_km) == (0.07, 0.10)
    assert [reading.polarity for reading in event.readings] == [-1, 1, -1, 0]
    assert event.readings[0].network == "CI" and event.readings[0].impulsive


def test_a_file_cut_short_is_refused(write):
    with pytest.raises(ValueError, match="is it complete"):
        read_hash_phases(write(HASH.rsplit("\n", 1)[0]))


def test_other_columns_are_refused(write):
    with pytest.raises(ValueError, match="expected fixed columns, found 'IR2 EP'"):
        read_fpfit(write(FPFIT.replace(FPFIT.splitlines()[1], "IR2 EP")))
    with pytest.raises(ValueError, match="16 columns"):
        read_hash_phases(write(HASH.replace("IR2  CI  VHZ I D", "IR2  CI")))


def test_reversed_stations_are_turned_round_in_their_time(write):
    (event,) = read_hash_phases(write(HASH))
    reversals = read_reversals(write("IR2  19920101 0\nABL  19920101 19921231\n"))
    assert [r.polarity for r in corrected(event, reversals).readings] == [1, 1, -1, 0]
    early = replace(event, origin_time=event.origin_time.replace(year=1992))
    assert [r.polarity for r in corrected(early, reversals).readings] == [1, -1, -1, 0]


AMPLITUDES = """7     3
GRH  EHZ CI   36.53   28.30      1.0      2.0     10.0    100.0
NHL  ELZ CI    6.16   45.41      1.0      2.0    -10.0    100.0
SYL  ELZ CI   51.13   50.76      1.0     90.0     10.0    100.0
8     0
"""


def test_amplitude_ratios_above_noise(write):
    corrections = {("NHL", "ELZ"): 0.3}
    readings = read_amplitudes(write(AMPLITUDES), corrections, 3.0)
    assert [r.station for r in readings["7"]] == ["GRH", "NHL"] and readings["8"] == []
    assert [r.log10_sp_ratio for r in readings["7"]] == pytest.approx([1.0, 0.7])


def test_missing_amplitude_lines_are_refused(write):
    with pytest.raises(ValueError, match="announces 4 lines of 9 fields"):
        read_amplitudes(write(AMPLITUDES.replace("7     3", "7     4").replace("8     0\n", "")), {}, 3.0)


def test_station_tables(write):
    assert read_station_corrections(write("BRCY  EHZ XX -0.0550\n")) == {("BRCY", "EHZ"): -0.055}
    line = columns(92, c0="ABL  EHZ MOUNT ABEL", c42="34.84845", c51="-119.22497", c63="1975", c90="CI")
    assert read_station_places(write(line + "\n")) == {"ABL": (34.84845, -119.22497, 1975.0)}
    with pytest.raises(ValueError, match="expected a station's place"):
        read_station_places(write("ABL  EHZ MOUNT ABEL\n"))


ANSWER = (
    "3145744 1994  1 25 10  5 22.020 L 2.400 X  34.2 -118.6  18.5 X  -9.000   0.030   0.090  -9.000"
    "    -18   -9   -9  155  62  140   29 37  33 12 C  54 64 *\n"
)


def test_published_mechanisms(write):
    (answer,) = read_mechanisms(write(ANSWER))
    assert answer.mechanism_deg == (155.0, 62.0, 140.0) and answer.plane_errors_deg == (29.0, 37.0)
    assert (answer.num_polarities, answer.polarity_misfit, answer.quality) == (33, 0.12, "C")
    assert (answer.probability, answer.station_ratio) == (0.54, 0.64)
    with pytest.raises(ValueError, match="expected one of HASH's answers"):
        read_mechanisms(write("3145744 1994\n"))


def test_a_gradient_becomes_thin_layers(write):
    model = read_gradient_model(write("0.0 4.0\n10.0 6.0\n40.0 6.0\n"), layer_km=0.5)
    assert model.velocity_km_s([0.1, 5.1, 20.0], "P") == pytest.approx([4.05, 5.05, 6.0])
    with pytest.raises(ValueError, match="depths must increase"):
        read_gradient_model(write("0.0 4.0\n0.0 6.0\n"))
    with pytest.raises(ValueError, match="lines of depth"):
        read_gradient_model(write("0.0 4.0 1.0\n"))
