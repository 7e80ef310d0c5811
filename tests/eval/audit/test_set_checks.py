"""Records against each other and against other sets; many processes; sets that do not fit into memory."""

import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from seisfm.data.records import Record
from seisfm.eval.audit.config import AuditConfig
from seisfm.eval.audit.finding import findings_table
from seisfm.eval.audit.run import AuditResult, audit


class Lazy(Sequence[Record]):
    """A set whose records exist only while they are looked at."""

    def __init__(self, record: Record, number: int, unreadable: tuple[int, ...] = ()):
        self.record, self.number, self.unreadable = record, number, unreadable

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, index: int) -> Record:
        if index >= self.number:
            raise IndexError(index)
        if index in self.unreadable:
            raise OSError("the disk has a hole here")
        noise = np.random.default_rng(index).normal(0, 1e-7, self.record.waveform.shape).astype(np.float32)
        start_time = self.record.start_time + 1000.0 * index
        name = f"{self.record.record_id}/{index}"
        waveform = self.record.waveform + noise
        return replace(self.record, record_id=name, waveform=waveform, start_time=start_time, metadata={})


def found(result: AuditResult) -> set[tuple[str, str]]:
    return {(finding.record_id, finding.check) for finding in result.findings}


def other(record: Record, name: str, **changes: object) -> Record:
    """Another record of the same event at another place and with other noise."""
    waveform = record.waveform[:, ::-1].copy()
    return replace(
        record,
        **{"record_id": name, "station_id": "XX.FAR.00", "waveform": waveform, "arrivals": ()} | changes,
    )


IGNORED = AuditConfig(ignore=("unlabelled_onset", "amplitude"))


def test_two_stations_of_an_event_are_no_duplicates(new_record: Callable) -> None:
    assert not audit([new_record(), other(new_record(), "far")], IGNORED).findings


def test_a_copy_under_another_name_is_found_and_the_first_stays(new_record: Callable) -> None:
    copy = new_record("copy", component_names=("E", "N", "Z"), waveform=new_record().waveform[::-1].copy())
    result = found(audit([new_record(), copy], AuditConfig(ignore=("polarity", "label_without_onset"))))
    assert result >= {("copy", "duplicate_waveform"), ("copy", "overlapping_record")}
    assert all(name == "copy" for name, _ in result)


def test_a_name_that_occurs_twice(new_record: Callable) -> None:
    again = other(new_record(), "good")
    assert found(audit([new_record(), again], IGNORED)) == {("good", "duplicate_id")}


@pytest.mark.parametrize(
    ("changes", "overlaps"),
    [
        ({"start_time": 1.6e9}, True),
        ({"start_time": 1.6e9 + 60.0}, False),
        ({"start_time": 1.6e9, "station_id": "XX.STA.10"}, False),
        ({"start_time": float("nan")}, False),
    ],
)
def test_overlap_is_of_the_same_channels(changes: dict, overlaps: bool, new_record: Callable) -> None:
    far = other(new_record(), "again", station_id="XX.STA.00")
    result = found(audit([new_record(), replace(far, **changes)], IGNORED))
    assert (("again", "overlapping_record") in result) is overlaps


@pytest.mark.parametrize(("shift_s", "same"), [(1.0, True), (20.0, False)])
def test_an_event_under_another_id(shift_s: float, same: bool, new_record: Callable) -> None:
    second = 40 + round(shift_s)
    metadata = new_record().metadata | {"source_origin_time": f"2020-09-13T12:26:{second:02d}Z"}
    if shift_s > 10:
        metadata["source_origin_time"] = "2020-09-13T12:27:00Z"
    again = other(new_record(), "again", event_id="other/event", metadata=metadata)
    result = found(audit([new_record(), again], IGNORED))
    assert (("again", "duplicate_event") in result) is same
    assert not any(name == "good" for name, _ in result)


def test_nothing_of_another_set_may_occur(new_record: Callable) -> None:
    records = [new_record(), other(new_record(), "clean", event_id="own", start_time=1.0, metadata={})]
    training = [new_record("trained")]
    result = found(audit(records, IGNORED, against=[training]))
    shared = {("good", name) for name in ("shared_waveform", "shared_time", "shared_event")}
    assert shared <= result and not any(
        name == "clean" and check.startswith("shared") for name, check in result
    )


def test_a_gain_error_in_counts_is_an_outlier_of_its_set(new_record: Callable) -> None:
    generator = np.random.default_rng(3)
    records = []
    for number in range(60):
        magnitude, way_km = generator.uniform(1, 4), generator.uniform(10, 200)
        gain = 10 ** (magnitude - 1.5 * np.log10(way_km) + generator.normal(0, 0.2)) * 1e9
        gain *= 1e3 if number == 17 else 1.0
        about = {"source_magnitude": magnitude, "path_ep_distance_km": way_km, "source_depth_km": 10.0}
        record = new_record(f"r{number}", seed=number, unit="counts", metadata=about, event_id=f"e{number}")
        waveform = (record.waveform * gain).astype(np.float32)
        records.append(replace(record, waveform=waveform, start_time=record.start_time + 100.0 * number))
    checks = {entry for entry in found(audit(records)) if entry[1] == "amplitude_outlier"}
    assert checks == {("r17", "amplitude_outlier")}
    few = found(audit(records[:25]))
    assert not any(check == "amplitude_outlier" for _, check in few)


def test_what_cannot_be_read_is_told_and_the_rest_is_checked(new_record: Callable) -> None:
    result = audit(Lazy(new_record(), 4, unreadable=(2,)))
    assert ("#2", "unreadable") in found(result)
    assert len(result.rows) == 3 and result.num_records == 4
    message = next(f.message for f in result.findings if f.check == "unreadable")
    assert "the disk has a hole here" in message


def test_nothing_to_check_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one record to check"):
        audit([])


def test_memory_does_not_grow_with_the_waveforms(new_record: Callable) -> None:
    audit(Lazy(new_record(), 2))
    peaks = []
    for number in (10, 80):
        tracemalloc.start()
        audit(Lazy(new_record(), number))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    one_waveform = new_record().waveform.nbytes
    assert peaks[1] - peaks[0] < 5 * one_waveform, "70 more records may cost rows, not waveforms"


@pytest.mark.slow
def test_several_workers_find_the_same(new_record: Callable) -> None:
    records = [new_record(f"r{n}", seed=n, start_time=1.6e9 + 100.0 * n) for n in range(5)]
    done: list[int] = []
    alone, together = audit(records), audit(records, workers=2, progress=done.append)
    assert findings_table(alone.findings).equals(findings_table(together.findings))
    assert alone.rows.equals(together.rows)
    assert done == [1, 2, 3, 4, 5]
