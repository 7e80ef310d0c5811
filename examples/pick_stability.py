"""How far do picks move when the recording begins elsewhere, is shifted, or has another rate?

    python examples/pick_stability.py --model runs/picker waveforms/*.mseed

Prints a table: for each change of the stream, the picks in common, the largest difference in time, the share
beyond 20 ms, and the picks that are there only before or only after. Without files it takes the recordings
that come with ObsPy.
"""

import argparse
from collections.abc import Callable

import numpy as np
import obspy
import pandas as pd
from seisfm import Picker
from seisfm.catalog.picker import PickerConfig
from seisfm.data.continuous.archive import read_waveforms
from seisfm.data.continuous.examples import uh_archive

SAME_S = 0.5
"""Picks of one phase at one station closer than this are the same pick."""


def shifted_in_time(stream: obspy.Stream, num_samples: int) -> obspy.Stream:
    """The same samples, said to be recorded later."""
    moved = stream.copy()
    for trace in moved:
        trace.stats.starttime += num_samples * trace.stats.delta
    return moved


def begun_later(stream: obspy.Stream, seconds: float) -> obspy.Stream:
    """The stream without its first seconds."""
    return stream.copy().trim(min(trace.stats.starttime for trace in stream) + seconds)


def resampled(stream: obspy.Stream, factor: float) -> obspy.Stream:
    """The stream at another rate, by ObsPy's band-limited (Lanczos) interpolation."""
    changed = stream.copy().detrend("demean")
    for trace in changed:
        trace.interpolate(trace.stats.sampling_rate * factor, method="lanczos", a=20)
    return changed


def compare(
    before: pd.DataFrame, after: pd.DataFrame, expected_s: Callable[[str], float]
) -> dict[str, float]:
    """Match picks one to one by station and phase; `expected_s` is how far a station's should have moved."""
    moves, used = [], set()
    for pick in before.itertuples():
        same = after[(after.station_id == pick.station_id) & (after.phase == pick.phase)]
        offset_s = (same.time - pick.time).dt.total_seconds() - expected_s(pick.station_id)
        offset_s = offset_s[(offset_s.abs() < SAME_S) & ~offset_s.index.isin(used)]
        if len(offset_s):
            nearest = offset_s.abs().idxmin()
            used.add(nearest)
            moves.append(offset_s[nearest])
    size_ms = 1000 * np.abs(np.array(moves)) if moves else np.array([np.nan])
    return {
        "picks": len(before),
        "in common": len(moves),
        "largest move (ms)": round(float(size_ms.max()), 2),
        "beyond 20 ms (%)": round(float(100 * np.mean(size_ms > 20)), 2),
        "lost": len(before) - len(moves),
        "new": len(after) - len(moves),
    }


def table_of(picker: Picker, stream: obspy.Stream) -> pd.DataFrame:
    """One row for each change of the stream."""
    delta = {".".join(trace.id.split(".")[:3]): trace.stats.delta for trace in stream}
    reference = picker.classify(stream).picks.frame
    rows = []
    for num_samples in (1, 7, 100):
        found = picker.classify(shifted_in_time(stream, num_samples)).picks.frame
        moved = compare(reference, found, lambda station, k=num_samples: k * delta[station])
        rows.append({"change": f"recorded {num_samples} samples later"} | moved)
    for seconds in (0.02, 0.1, 0.37, 1.0, 1.93):
        # Picks that the shorter stream cannot hold are not counted as lost.
        start = min(trace.stats.starttime for trace in stream) + seconds
        kept = reference[reference.time > pd.Timestamp(start.datetime, tz="UTC")]
        found = picker.classify(begun_later(stream, seconds)).picks.frame
        rows.append({"change": f"begins {seconds} s later"} | compare(kept, found, lambda _: 0.0))
    for factor in (0.8, 2.0):
        found = picker.classify(resampled(stream, factor)).picks.frame
        rows.append({"change": f"sampling rate × {factor}"} | compare(reference, found, lambda _: 0.0))
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*")
    parser.add_argument("--model", required=True)
    parser.add_argument("--no-refine", action="store_true", help="take the peaks as they are")
    parser.add_argument("--refine-shifts", type=int, default=PickerConfig().refine_shifts)
    arguments = parser.parse_args()
    picker = Picker.from_pretrained(
        arguments.model, refine=not arguments.no_refine, refine_shifts=arguments.refine_shifts
    )
    stream = read_waveforms(arguments.files)[0] if arguments.files else obspy.read() + uh_archive()
    print(table_of(picker, stream).to_string(index=False))


if __name__ == "__main__":
    main()
