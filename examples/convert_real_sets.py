"""Do real data sets of several kinds become corpora of one schema, and what do they hold?

    SEISFM_DATA=../shared/data python examples/convert_real_sets.py --out runs/real_corpora

Reads PhaseNet npz folders, a SeisBench set in chunks, weakly labelled miniSEED, event folders with StationXML
and continuous data, writes a corpus of each, reads every record of it back, compares it with what was given,
and prints a table. A set that is not there is told and left out.
"""

import argparse
import dataclasses
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import obspy
import pandas as pd
from seisfm.data.continuous.archive import Archive
from seisfm.data.continuous.inventory import ChannelBook
from seisfm.data.continuous.streams import stream_to_records
from seisfm.data.corpus.convert import convert_to_corpus
from seisfm.data.corpus.corpus import Corpus
from seisfm.data.corpus.shards import CorpusConfig
from seisfm.data.formats.catalogs.columns import pick_table
from seisfm.data.formats.phasenet_npz import read_phasenet_npz
from seisfm.data.formats.seisbench_format import SeisBenchDataset
from seisfm.data.formats.tables import read_events, read_stations
from seisfm.data.records import Arrival, Record, Skipped
from seisfm.data.region.records import RegionConfig, about_station, make_region_records
from seisfm.data.sources import SourceConfig, load_records

Found = tuple[Sequence[Record], list[Skipped]]

PFO_P_S, PFO_P_ERROR_S, PFO_NOISE_S = 100.5, 0.6, 90.0
"""Where P lies in the files of PFO, by how much it strays, and how long nothing comes before it."""


def npz(folder: Path) -> Found:
    return read_phasenet_npz(folder)


def chile(folder: Path) -> Found:
    """One event a record by its time; nobody picked anything, so nothing counts as labelled."""
    records = SeisBenchDataset(folder / "chunkeddummydataset", labelled_phases=(), event_words="ipoc")
    return records, records.unknown_event_types()


def pfo(folder: Path) -> Found:
    """Of each file the noise before P, and what follows with a weak P and an unknown S."""
    records: list[Record] = []
    skipped: list[Skipped] = []
    for file in sorted(folder.glob("*.mseed")):
        found, reasons = stream_to_records(obspy.read(str(file)), max_gap_s=np.inf)
        skipped.extend(reasons)
        for whole in found:
            records.extend(pfo_parts(whole))
    return records, skipped


def pfo_parts(whole: Record) -> list[Record]:
    cut = round(PFO_NOISE_S * whole.sampling_rate_hz)
    noise = dataclasses.replace(
        whole,
        record_id=f"noise/{whole.record_id}",
        event_id=f"pfo/{whole.start_time:.0f}",
        waveform=whole.waveform[:, :cut].copy(),
        labelled_phases=frozenset("PS"),
        metadata=whole.metadata | {"source_type": "noise"},
    )
    p = Arrival(phase="P", time_s=PFO_P_S - PFO_NOISE_S, evaluation="automatic", uncertainty_s=PFO_P_ERROR_S)
    event = dataclasses.replace(
        whole,
        event_id=f"pfo/{whole.start_time:.0f}",
        waveform=whole.waveform[:, cut:].copy(),
        start_time=whole.start_time + cut / whole.sampling_rate_hz,
        arrivals=(p,),
        labelled_phases=frozenset("P"),
    )
    return [noise, event]


def ground_motion(folder: Path) -> Found:
    """Event folders with StationXML: no labels, but all that is known of event, path and instrument."""
    index = pd.read_csv(folder / "index.csv")
    events = index.drop_duplicates("event").rename(
        columns={"event": "event_id", "origin": "time", "ev_lat": "latitude_deg", "ev_lon": "longitude_deg"}
        | {"depth": "depth_km", "mag": "magnitude"}
    )
    codes = index["trace"].str.split(".")
    stations = pd.DataFrame({"network": codes.str[0], "station": codes.str[1], "location": codes.str[2]})
    stations = stations.assign(
        id=stations["network"] + "." + stations["station"] + "." + stations["location"],
        latitude_deg=index["sta_lat"],
        longitude_deg=index["sta_lon"],
        elevation_m=np.nan,
    ).drop_duplicates("id")
    return unpicked_events(folder, events, stations, ChannelBook.read(folder))


def california(folder: Path) -> Found:
    stations = read_stations(folder / "station.csv")
    events = read_events(folder / "datetime.csv")
    return unpicked_events(folder / "waveforms", events, stations, ChannelBook.read(folder / "stations"))


def unpicked_events(
    folder: Path, events: pd.DataFrame, stations: pd.DataFrame, channels: ChannelBook
) -> Found:
    archive = Archive.open(folder)
    config = RegionConfig(window_before_s=60.0, window_after_s=300.0, include_unpicked=True, reach_km=300.0)
    records, skipped = make_region_records(
        archive, stations, pick_table([], folder), events, channels, config
    )
    # Samples of the low-cost network CSN are in g, which no file says.
    return [
        dataclasses.replace(record, unit="unknown") if record.station_id.startswith("CJ.") else record
        for record in records
    ], [*archive.skipped, *skipped]


def iceland(folder: Path) -> Found:
    stations = read_stations(folder / "stations.csv")
    records, skipped = load_records(SourceConfig(kind="archive", path=str(folder)))
    return [
        dataclasses.replace(
            record, metadata=record.metadata | about_station(stations, record.station_id, skipped)
        )
        for record in records
    ], skipped


SETS: dict[str, tuple[Callable[[Path], Found], str | None]] = {
    "ncedc_phasenet": (npz, "MIT"),
    "ncedc_denoiser": (npz, "MIT"),
    "pfo_weak": (pfo, None),
    "chile_seisbench": (chile, "GPL-3.0"),
    "events_groundmotion": (ground_motion, "public domain"),
    "california_mw": (california, "LGPL-3.0"),
    "iceland_continuous": (iceland, "GPL-3.0"),
}


def same(one: Record, other: Record) -> bool:
    fields = [
        field.name
        for field in dataclasses.fields(Record)
        if field.name not in ("waveform", "metadata", "start_time")
    ]
    return (
        all(getattr(one, name) == getattr(other, name) for name in fields)
        and np.array_equal(one.waveform, other.waveform, equal_nan=True)
        and np.array_equal(one.start_time, other.start_time, equal_nan=True)
        and {**other.metadata, **one.metadata} == other.metadata
    )


def row(name: str, given: Iterable[Record], corpus: Corpus, skipped: list[Skipped]) -> dict[str, object]:
    """What is in a corpus, by its own records."""
    records = list(corpus)
    listed = Counter(arrival.phase for record in records for arrival in record.arrivals)
    size = sum(file.stat().st_size for file in corpus.path.rglob("*") if file.is_file())
    return {
        "set": name,
        "records": len(records),
        "events": len({record.event_id for record in records} - {""}),
        "stations": len({record.station_id for record in records}),
        "rates, Hz": " ".join(
            f"{rate:g}" for rate in sorted({record.sampling_rate_hz for record in records})
        ),
        "units": " ".join(sorted({record.unit for record in records})),
        "P": listed["P"],
        "S": listed["S"],
        "P labelled": sum("P" in record.labelled_phases for record in records),
        "S labelled": sum("S" in record.labelled_phases for record in records),
        "magnitude": sum("source_magnitude" in record.metadata for record in records),
        "response": sum("trace_response" in record.metadata for record in records),
        "MB": round(size / 1e6, 1),
        "skipped": len(skipped),
        "differ": sum(not same(one, other) for one, other in zip(given, records, strict=True)),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SEISFM_DATA", "../shared/data")))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", choices=sorted(SETS), nargs="*", default=sorted(SETS))
    given = parser.parse_args()
    rows = []
    for name in given.only:
        if not (given.data / name).is_dir():
            print(f"{name}: not in {given.data}, left out", file=sys.stderr)
            continue
        read, licence = SETS[name]
        records, skipped = read(given.data / name)
        config = CorpusConfig(dataset=name, licence=licence)
        corpus = convert_to_corpus(records, given.out / name, config, skipped=skipped)
        rows.append(row(name, records, corpus, skipped))
    if not rows:
        raise SystemExit(f"none of the sets is in {given.data}: give their folder with --data")
    table = pd.DataFrame(rows)
    table.to_csv(given.out / "table.csv", index=False)
    print("| " + " | ".join(table.columns) + " |\n|" + "---|" * len(table.columns))
    for cells in table.itertuples(index=False):
        print("| " + " | ".join(map(str, cells)) + " |")
    return int(table["differ"].sum() > 0)


if __name__ == "__main__":
    raise SystemExit(main())
