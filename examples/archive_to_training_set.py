"""Does an archive with a catalog of its own become a training set whose labels are all right?

    python examples/archive_to_training_set.py --out runs/archive_to_training_set
    python examples/archive_to_training_set.py --out runs/week --days 7 --rate-hz 20 --events 500

Makes a synthetic network's archive, of which everything is known, and a catalog as analysts leave it: one
station was never picked, at others some events or some S are missing. Converts both to a corpus, reads it
back, and compares every label, every claim that a phase is absent and every window of noise with the truth.
Writes the numbers to summary.json, and ends with status 1 where anything is wrong.
"""

import argparse
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import obspy
from obspy.geodetics import gps2dist_azimuth
from seisfm.data.corpus.convert import convert_to_corpus
from seisfm.data.corpus.corpus import Corpus
from seisfm.data.earth.velocity import VelocityModel
from seisfm.data.records import Record, Skipped
from seisfm.data.region.noise import NoiseConfig
from seisfm.data.region.records import RegionConfig
from seisfm.data.region.source import RegionFiles, iterate_region
from seisfm.data.synthesis import SynthesisConfig, synthesize_archive
from seisfm.data.synthesis.archive import SyntheticArchive
from seisfm.data.synthesis.labelled_windows import EPOCH_2020_S

UNPICKED_EVENT_SHARE, MISSING_S_SHARE = 0.15, 0.1
SAME_S = 1e-4
"""QuakeML and records keep microseconds; a sample is a hundred times longer than this."""
COUNTED = (
    "event records",
    "records with several events",
    "records in which no phase counts as fully listed",
    "noise records",
    "picks of the catalog",
    "labels",
    "labels at a true time",
    "claims that a phase is fully listed",
)
FAULTS = (
    "wrong polarities",
    "labels of another event under number 0",
    "numbers that join two events",
    "wrong claims",
    "noise records with a true arrival",
    "picks of the catalog that no record has as its own event's",
)
WEAK_S = 0.3
"""By how much a travel time of the model may miss, where an event is too weak to have a true pick."""


Key = tuple[str, str, str]


@dataclass
class Truth:
    """UTC seconds of every P and S by (event, station, phase), of weak events as the velocity model has it.

    polarity: first motions of P. picked: those that the catalog tells. weak: those that do not stand out of
    the noise.
    """

    times: dict[Key, float] = field(default_factory=dict)
    polarity: dict[Key, str | None] = field(default_factory=dict)
    picked: set[Key] = field(default_factory=set)
    weak: set[Key] = field(default_factory=set)

    def at(self, station_id: str, phase: str, when: float) -> list[Key]:
        """What the catalog tells there at a time."""
        places = [key for key in self.picked if key[1:] == (station_id, phase)]
        return [key for key in places if abs(self.times[key] - when) < SAME_S]


def true_times(archive: SyntheticArchive) -> Truth:
    truth = Truth()
    model = VelocityModel.from_csv(archive.velocity_model)
    for event in archive.events:
        for site in archive.sites:
            place = (event.source.latitude_deg, event.source.longitude_deg)
            distance_km = gps2dist_azimuth(*place, site.latitude_deg, site.longitude_deg)[0] / 1e3
            known = {a.phase: a for a in event.arrivals.get(site.station_id, ())}
            for phase in "PS":
                key = (f"smi:local/{event.event_id}", site.station_id, phase)
                if phase in known:
                    truth.times[key] = EPOCH_2020_S + known[phase].time_s
                    truth.polarity[key] = known[phase].polarity
                else:
                    travel_s = model.travel_time_s(distance_km, event.source.depth_km, phase)
                    truth.times[key] = event.origin_time + float(travel_s)
                    truth.weak.add(key)
    return truth


def write_analysts_catalog(archive: SyntheticArchive, truth: Truth, path: Path, seed: int) -> None:
    """The catalog without the picks of one station, of some events at others, and without some S."""
    generator = np.random.default_rng(seed)
    never = archive.sites[-1].station_id
    catalog = obspy.read_events(str(archive.catalog))
    for event in catalog:
        gone = {never} | {s.station_id for s in archive.sites if generator.random() < UNPICKED_EVENT_SHARE}
        kept = []
        for pick in event.picks:
            code = pick.waveform_id
            station_id = f"{code.network_code}.{code.station_code}.{code.location_code or ''}"
            no_s = pick.phase_hint == "S" and generator.random() < MISSING_S_SHARE
            if station_id not in gone and not no_s:
                kept.append(pick)
                truth.picked.add((event.resource_id.id, station_id, pick.phase_hint))
        event.picks = kept
        ids = {pick.resource_id.id for pick in kept}
        origin = event.preferred_origin()
        origin.arrivals = [arrival for arrival in origin.arrivals if arrival.pick_id.id in ids]
    catalog.write(str(path), format="QUAKEML")


def check(records: Iterable[Record], truth: Truth) -> dict[str, int]:
    """How many labels, claims and windows of noise are right."""
    counts: Counter[str] = Counter(dict.fromkeys((*COUNTED, *FAULTS), 0))
    at_station: dict[str, list[tuple[float, Key]]] = defaultdict(list)
    for key, when in truth.times.items():
        at_station[key[1]].append((when, key))
    listed: set[Key] = set()
    for record in records:
        inside = {
            key: when
            for when, key in at_station[record.station_id]
            if 0 <= when - record.start_time < record.duration_s
        }
        is_noise = record.metadata.get("source_type") == "noise"
        counts["noise records" if is_noise else "event records"] += 1
        counts["noise records with a true arrival"] += is_noise and bool(inside)
        if not is_noise:
            listed |= check_labels(record, truth, counts)
            counts["records in which no phase counts as fully listed"] += not record.labelled_phases
            counts["records with several events"] += len({key[0] for key in inside}) > 1
        check_claims(record, inside, truth, counts)
    counts["picks of the catalog that no record has as its own event's"] = len(truth.picked - listed)
    counts["picks of the catalog"] = len(truth.picked)
    return dict(counts)


def check_labels(record: Record, truth: Truth, counts: Counter[str]) -> set[Key]:
    """Each arrival against the truth; returns those of the record's own event."""
    own, events = set(), defaultdict(set)
    for arrival in record.arrivals:
        when = record.start_time + arrival.time_s
        found = truth.at(record.station_id, arrival.phase, when)
        counts["labels"] += 1
        counts["labels at a true time"] += bool(found)
        counts["wrong polarities"] += bool(found) and arrival.polarity not in {
            truth.polarity[key] for key in found
        }
        events[arrival.event].update(key[0] for key in found)
        if arrival.event == 0 and found:
            is_own = record.event_id in {key[0] for key in found}
            counts["labels of another event under number 0"] += not is_own
            own |= {key for key in found if key[0] == record.event_id}
    counts["numbers that join two events"] += sum(len(names) > 1 for names in events.values())
    return own


def check_claims(record: Record, inside: dict[Key, float], truth: Truth, counts: Counter[str]) -> None:
    """A phase that counts as labelled must be listed wherever it truly is."""
    times = {phase: [a.time_s for a in record.arrivals if a.phase == phase] for phase in "PS"}
    for phase in record.labelled_phases:
        counts["claims that a phase is fully listed"] += 1
        unlisted = [
            key
            for key, when in inside.items()
            if key[2] == phase
            and not any(
                abs(time_s - (when - record.start_time)) < (WEAK_S if key in truth.weak else SAME_S)
                for time_s in times[phase]
            )
        ]
        counts["wrong claims"] += bool(unlisted)


def convert(archive: SyntheticArchive, catalog: Path, out: Path, seed: int) -> tuple[Corpus, int]:
    files = RegionFiles(
        stations=str(archive.inventory),
        picks=str(catalog),
        records=RegionConfig(include_unpicked=True),
        noise=NoiseConfig(num_per_station=20, duration_s=30.0, clearance_s=20.0),
    )
    skipped: list[Skipped] = []
    corpus = convert_to_corpus(iterate_region(archive.sds, files, seed, skipped), out, skipped=skipped)
    return corpus, len(skipped)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--days", type=float, default=0.5 / 24)
    parser.add_argument("--rate-hz", type=float, default=100.0)
    parser.add_argument("--stations", type=int, default=4)
    parser.add_argument("--events", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    started = time.process_time()
    config = SynthesisConfig(sampling_rate_hz=given.rate_hz)
    archive = synthesize_archive(
        config, given.seed, given.days * 86400.0, given.stations, given.events, given.out / "archive"
    )
    truth = true_times(archive)
    catalog = given.out / "analysts_catalog.xml"
    write_analysts_catalog(archive, truth, catalog, given.seed)
    made_s = time.process_time() - started
    corpus, num_skipped = convert(archive, catalog, given.out / "corpus", given.seed)
    converted_s = time.process_time() - started - made_s
    summary = check(corpus, truth) | {"skipped": num_skipped}
    summary |= {"archive_cpu_s": round(made_s, 1), "conversion_cpu_s": round(converted_s, 1)}
    (given.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    for name, number in summary.items():
        print(f"{number:>8}  {name}")
    wrong = [name for name in FAULTS if summary[name]]
    return int(bool(wrong) or summary["labels"] != summary["labels at a true time"])


if __name__ == "__main__":
    raise SystemExit(main())
