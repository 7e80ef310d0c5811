"""Real earthquakes that everybody has: small recordings that come with ObsPy itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import obspy
import pandas as pd

_UH_FOLDER = Path("signal") / "tests" / "data"
_UH_FILES = (
    "BW.UH1._.SHZ.D.2010.147.cut.slist.gz",
    "BW.UH2._.SHZ.D.2010.147.cut.slist.gz",
    "BW.UH3._.SHZ.D.2010.147.cut.slist.gz",
    "BW.UH3._.SHN.D.2010.147.cut.slist.gz",
    "BW.UH3._.SHE.D.2010.147.cut.slist.gz",
    "BW.UH4._.EHZ.D.2010.147.cut.slist.gz",
)

# io/nlloc/tests/data/nlloc_custom.hyp in ObsPy gives the stations in Gauss–Krüger zone 4 (EPSG:31468), all at
# a nominal 400 m. Transformed to WGS 84 they agree to 20 m with the distances and azimuths from the epicentre
# in io/cnv/tests/data/obspyck_20141020150701.xml.
_UH_STATIONS = (
    ("UH1", 48.08151, 11.63604),
    ("UH2", 48.05787, 11.68201),
    ("UH3", 48.03080, 11.63876),
    ("UH4", 48.03229, 11.53557),
)

# Ground truth of the same source region half an hour later: the analyst's picks and location.
_UH_REFERENCE = Path("io") / "cnv" / "tests" / "data" / "obspyck_20141020150701.xml"


def uh_archive() -> obspy.Stream:
    """Four minutes of four stations around Unterhaching near Munich, with induced earthquakes.

    The traces of ObsPy's trigger tutorial, 2010-05-27 16:24:03 to 16:27:54 UTC: UH1 and UH2 vertical only at
    50 Hz, UH3 with three components at 50 Hz, UH4 vertical only at 100 Hz. Events at 16:24:33 and 16:27:30.

    Raises FileNotFoundError where this installation of ObsPy came without its test data.
    """
    stream = obspy.Stream()
    for name in _UH_FILES:
        stream += obspy.read(str(_obspy_file(_UH_FOLDER / name)))
    for trace in stream:
        # miniSEED has no integers of 64 bits, which the text files are read as.
        trace.data = trace.data.astype(np.int32)
    return stream


def uh_stations() -> pd.DataFrame:
    """Where the stations of `uh_archive` stand, in the columns of `read_stations`.

    Latitude and longitude in degrees (WGS 84), elevation in metres: a nominal 400 m for all of them.
    """
    rows = [
        {
            "network": "BW",
            "station": code,
            "location": "",
            "latitude_deg": latitude,
            "longitude_deg": longitude,
        }
        for code, latitude, longitude in _UH_STATIONS
    ]
    stations = pd.DataFrame(rows).assign(elevation_m=400.0)
    return stations.assign(id="BW." + stations["station"] + ".")


def uh_reference_event() -> obspy.core.event.Event:
    """A located earthquake of the same place, 2010-05-27 16:56:24 UTC, with an analyst's eight P and S picks.

    It lies half an hour after `uh_archive` ends, and serves as a known answer for association and location.
    """
    return obspy.read_events(str(_obspy_file(_UH_REFERENCE)))[0]


def _obspy_file(relative: Path) -> Path:
    file = Path(obspy.__file__).parent / relative
    if not file.is_file():
        raise FileNotFoundError(
            f"ObsPy's example {relative} is not at {file}: this installation came without its test data; "
            "install obspy from its wheel"
        )
    return file
