"""A model's curves of a record as ObsPy traces, and as detections."""

from __future__ import annotations

import numpy as np
import obspy
import pandas as pd

from ..data.records import Record
from .pick_table import as_times

CURVES = ("P", "S", "D")
"""Rows of an annotation: probability of P, of S, and of an event being there (detection)."""

DETECTION_COLUMNS = ("station_id", "instrument", "start_time", "end_time", "probability")


def curves_as_traces(record: Record, curves: np.ndarray) -> obspy.Stream:
    """Traces seisfm_P, seisfm_S and seisfm_D of curves `(curve, sample)`, without samples that are NaN."""
    network, station, location = record.station_id.split(".")
    header = {
        "network": network,
        "station": station,
        "location": location,
        "sampling_rate": record.sampling_rate_hz,
        "starttime": obspy.UTCDateTime(record.start_time),
        "seisfm": {"instrument": record.metadata.get("trace_channel", "")},
    }
    stream = obspy.Stream()
    for name, curve in zip(CURVES, curves, strict=True):
        data = np.ma.masked_invalid(curve)
        if data.count():
            stream += obspy.Stream([obspy.Trace(data, header | {"channel": f"seisfm_{name}"})]).split()
    return stream


def find_detections(record: Record, curve: np.ndarray, threshold: float) -> pd.DataFrame:
    """Runs of samples of a detection curve at or above its threshold."""
    above = np.concatenate([[False], curve >= threshold, [False]])
    edges = np.flatnonzero(np.diff(above))
    if not len(edges):
        return no_detections()
    first, end = edges[::2], edges[1::2]
    peaks = [float(curve[a:b].max()) for a, b in zip(first, end, strict=True)]
    return pd.DataFrame(
        {
            "station_id": record.station_id,
            "instrument": record.metadata.get("trace_channel", ""),
            "start_time": as_times(pd.Series(record.start_time + first / record.sampling_rate_hz)),
            "end_time": as_times(pd.Series(record.start_time + end / record.sampling_rate_hz)),
            "probability": peaks,
        }
    )


def no_detections() -> pd.DataFrame:
    """A table of detections without rows."""
    times = as_times(pd.Series([], dtype=float))
    return pd.DataFrame(
        {
            "station_id": pd.Series([], dtype="str"),
            "instrument": pd.Series([], dtype="str"),
            "start_time": times,
            "end_time": times,
            "probability": pd.Series([], dtype=float),
        }
    )[list(DETECTION_COLUMNS)]
