import io

import numpy as np
import obspy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seisfm.data.continuous.component_names import instrument_of_channel, name_components, split_channel
from seisfm.data.continuous.streams import stream_to_records


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        ("HHZ", ("HH", "Z")),
        ("bh1", ("BH", "1")),
        ("Z", ("", "Z")),
        ("3", ("", "3")),
        ("UD", ("", "Z")),
        ("N-S", ("", "N")),
        ("EW", ("", "E")),
        ("UD1", ("1", "Z")),
        ("ns2", ("2", "N")),
        ("HNX", ("HN", "X")),
    ],
)
def test_instrument_and_component_of_a_code(channel, expected):
    assert split_channel(channel) == expected


@pytest.mark.parametrize(
    ("channel", "instrument"),
    [
        ("HHZ", "broadband"),
        ("BH1", "broadband"),
        ("EHZ", "short_period"),
        ("SLN", "short_period"),
        ("HNE", "strong_motion"),
        ("GPZ", "geophone"),
        ("BDH", "hydrophone"),
        ("BDF", None),
        ("UD", None),
        ("LCQ", None),
    ],
)
def test_instrument_kind_by_its_code(channel, instrument):
    assert instrument_of_channel(channel) == instrument


@pytest.mark.parametrize(
    ("axes", "names"),
    [
        ({"BHZ": None, "BH1": None}, {"BHZ": "Z", "BH1": "1"}),
        ({"BHZ": None, "BHX": None}, {"BHZ": "Z"}),
        ({"BHX": (91.0, 0.0), "BHY": (1.0, 0.0), "BHZ": (0.0, -90.0)}, {"BHZ": "Z", "BHX": "2", "BHY": "1"}),
        ({"A": (180.0, 2.0), "B": (85.0, 0.0), "C": (0.0, 88.0)}, {"A": "1", "B": "2", "C": "3"}),
        ({"BHU": None, "BHN": None}, {"BHU": "U", "BHN": "N"}),
        ({"BHU": None, "BHV": None, "BHW": None}, {}),
        ({"BHX": (float("nan"), 0.0)}, {}),
    ],
)
def test_axes_are_named_by_letter_or_else_by_where_they_point(axes, names):
    assert name_components(axes) == names


@given(st.floats(0.0, 360.0))
def test_inclined_axes_always_get_the_three_slots(azimuth_deg):
    dip_deg = -35.26
    axes = {
        letter: ((azimuth_deg + turn) % 360.0, dip_deg)
        for letter, turn in zip("UVW", (0, 120, 240), strict=True)
    }
    assert sorted(name_components(axes).values()) == ["1", "2", "3"]


KIKNET = """Origin Time       2011/03/11 14:46:00
Lat.              38.103
Long.             142.860
Depth. (km)       24
Mag.              9.0
Station Code      {station}
Station Lat.      39.1338
Station Long.     141.5740
Station Height(m) 20
Record Time       2011/03/11 14:46:25
Sampling Freq(Hz) 100Hz
Duration Time(s)  1
Dir.              {direction}
Scale Factor      7845(gal)/8223790
Max. Acc. (gal)   10.0
Last Correction   2011/03/11 14:46:25
Memo.
{samples}
"""


def knet_stream(directions):
    """What ObsPy makes of NIED's own ASCII format."""
    stream = obspy.Stream()
    for number, direction in enumerate(directions):
        rows = np.random.default_rng(number).integers(-999, 999, 100).reshape(-1, 10)
        samples = "\n".join(" ".join(f"{value:8d}" for value in row) for row in rows)
        text = KIKNET.format(station="IWTH01", direction=direction, samples=samples)
        stream += obspy.read(io.BytesIO(text.encode()), format="KNET")
    return stream


def test_a_file_of_k_net_is_one_record_of_three_components():
    (record,), skipped = stream_to_records(knet_stream(["N-S", "E-W", "U-D"]))
    assert skipped == []
    assert record.component_names == ("Z", "N", "E")
    assert record.metadata["trace_component_codes"] == ["UD", "NS", "EW"]


def test_borehole_and_surface_of_kik_net_are_two_instruments():
    records, skipped = stream_to_records(knet_stream([1, 2, 3, 4, 5, 6]))
    assert skipped == []
    assert {record.metadata["trace_channel"]: record.component_names for record in records} == {
        "1": ("Z", "N", "E"),
        "2": ("Z", "N", "E"),
    }
