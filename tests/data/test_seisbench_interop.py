"""SeisBench itself and our reading and writing of its format: both must find the same in a file."""

import contextlib
import io
import logging
import os

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from seisfm.data.batch import WaveformBatch
from seisfm.data.formats.seisbench_format import SeisBenchDataset, write_seisbench
from seisfm.data.records import Arrival, Record
from seisfm.data.synthesis import SynthesisConfig, synthesize_records
from seisfm.heads.targets import detection_targets, phase_targets

pytestmark = pytest.mark.filterwarnings(
    # SeisBench 0.12 changes its tables in a way that pandas 3.1 announces to drop.
    "ignore:The inplace keyword in DataFrame:DeprecationWarning",
)

WINDOW_SAMPLES = 3001
SIGMA_SAMPLES = 10


@pytest.fixture(scope="module")
def seisbench(tmp_path_factory):
    """SeisBench with a cache folder of its own: importing it writes a file there, by default in the home."""
    before = os.environ.get("SEISBENCH_CACHE_ROOT")
    os.environ["SEISBENCH_CACHE_ROOT"] = str(tmp_path_factory.mktemp("seisbench"))
    try:
        package = pytest.importorskip(
            "seisbench", reason="needs the optional extra: pip install seisfm[seisbench]"
        )
        pytest.importorskip("seisbench.data")
        pytest.importorskip("seisbench.generate")
    finally:
        os.environ.pop("SEISBENCH_CACHE_ROOT")
        os.environ |= {} if before is None else {"SEISBENCH_CACHE_ROOT": before}
    package.logger.setLevel(logging.ERROR)
    return package


def trace(number, num_samples=400, components=3, dtype=np.float32):
    rng = np.random.default_rng(number)
    return (1e3 * rng.normal(size=(components, num_samples))).astype(dtype)


def write_with_seisbench(seisbench, folder, traces, *, bucket_size=1024, chunk="", **data_format):
    """Pairs of metadata and waveform through SeisBench's own writer; a bucket size of 1 is without buckets.

    Its documented way to switch them off, a bucketer of None, fails in SeisBench 0.12.6.
    """
    data_format = {"dimension_order": "CW", "component_order": "ZNE"} | data_format
    bucketer = seisbench.data.GeometricBucketer(axis=data_format["dimension_order"].index("W"))
    writer = seisbench.data.WaveformDataWriter(
        folder / f"metadata{chunk}.csv", folder / f"waveforms{chunk}.hdf5"
    )
    # The writer draws a progress bar on the standard error.
    with contextlib.redirect_stderr(io.StringIO()), writer as out:
        out.bucketer, out.bucket_size, out.data_format = bucketer, bucket_size, data_format
        for metadata, waveform in traces:
            out.add_trace(dict(metadata), waveform)
    return folder


def seisbench_waveforms(dataset):
    """Each trace by itself: SeisBench pads those that it hands out together."""
    return [dataset.get_waveforms(i) for i in range(len(dataset))]


def expect_same_samples(found, expected):
    """To the bit; a component of zeros alone is SeisBench's word for one that is missing."""
    missing = (expected == 0).all(axis=1)
    np.testing.assert_array_equal(found[~missing], expected[~missing].astype(np.float32))
    assert np.isnan(found[missing]).all()


PLACES = {"station_network_code": "NA", "station_code": "0042", "station_location_code": "00"}
LABELS = {
    "trace_sampling_rate_hz": 50.0,
    "trace_start_time": "2020-02-29T23:59:59.999999Z",
    "trace_P_arrival_sample": 101.25,
    "trace_P_status": "manual",
    "trace_P_polarity": "negative",
    "trace_Sg_arrival_sample": 250,
    "source_id": "000017",
    "source_magnitude": 1.5,
    "split": "dev",
}


@pytest.mark.parametrize("bucket_size", [1, 3, 1024])
@pytest.mark.parametrize("dimension_order", ["CW", "WC"])
def test_seisbench_buckets_are_read_to_the_bit(seisbench, tmp_path, dimension_order, bucket_size):
    waveforms = [trace(i, num_samples=300 + 7 * (i % 4)) for i in range(10)]
    waveforms[4][1] = 0
    traces = [
        (
            PLACES | LABELS | {"trace_name": f"trace {i}"},
            waveform if dimension_order == "CW" else np.ascontiguousarray(waveform.T),
        )
        for i, waveform in enumerate(waveforms)
    ]
    write_with_seisbench(
        seisbench, tmp_path, traces, bucket_size=bucket_size, dimension_order=dimension_order
    )
    theirs = seisbench.data.WaveformDataset(tmp_path, dimension_order="NCW", component_order="ZNE")
    ours = SeisBenchDataset(tmp_path)
    assert len(ours) == len(theirs) == len(waveforms)
    for record, of_seisbench, waveform in zip(ours, seisbench_waveforms(theirs), waveforms, strict=True):
        expect_same_samples(record.waveform, waveform)
        expect_same_samples(record.waveform, of_seisbench)


def test_labels_and_codes_of_a_seisbench_set(seisbench, tmp_path):
    traces = [
        (PLACES | LABELS | {"trace_name": f"trace {i}", "trace_category": "earthquake"}, trace(i))
        for i in range(3)
    ]
    del traces[1][0]["trace_P_arrival_sample"], traces[1][0]["trace_P_polarity"]
    write_with_seisbench(seisbench, tmp_path, traces, unit="mps", sampling_rate=50)
    first, second, third = SeisBenchDataset(tmp_path)
    assert [r.record_id for r in (first, second, third)] == ["trace 0", "trace 1", "trace 2"]
    assert (first.station_id, first.event_id, first.unit) == ("NA.0042.00", "000017", "m/s")
    assert (first.sampling_rate_hz, first.component_names) == (50.0, ("Z", "N", "E"))
    assert first.start_time == 1_583_020_799.999999
    assert first.arrivals == (
        Arrival(phase="P", time_s=2.025, polarity="negative", evaluation="manual"),
        Arrival(phase="Sg", time_s=5.0),
    )
    assert second.arrivals == (Arrival(phase="Sg", time_s=5.0),)
    assert first.labelled_phases == second.labelled_phases == {"P", "S", "Sg"}
    assert third.metadata == {"source_magnitude": 1.5, "split": "dev", "trace_category": "earthquake"}


def test_components_rates_and_types_that_differ_from_trace_to_trace(seisbench, tmp_path):
    kinds = [
        ("ZNE", 100.0, "f4"),
        ("Z", 40.0, "f8"),
        ("Z12", 200.0, "i4"),
        ("ENZ", 100.0, "f4"),
        ("Z12H", 62.5, "i2"),
    ]
    traces = [
        (
            {"trace_name": f"t{i}", "trace_component_order": order, "trace_sampling_rate_hz": rate_hz},
            trace(i, components=len(order), dtype=kind),
        )
        for i, (order, rate_hz, kind) in enumerate(kinds)
    ]
    write_with_seisbench(seisbench, tmp_path, traces, bucket_size=1)
    theirs = seisbench.data.WaveformDataset(tmp_path, component_order="ZNE")
    for i, (record, (order, rate_hz, _)) in enumerate(zip(SeisBenchDataset(tmp_path), kinds, strict=True)):
        assert (record.component_names, record.sampling_rate_hz) == (tuple(order), rate_hz)
        expect_same_samples(record.waveform, traces[i][1])
        seen = theirs.get_waveforms(i)
        for row, name in enumerate("ZNE"):
            if name in order:
                np.testing.assert_array_equal(
                    record.waveform[order.index(name)], seen[row].astype(np.float32)
                )


def test_components_told_by_each_trace_alone(seisbench, tmp_path):
    traces = [({"trace_name": "a", "trace_component_order": "ZNE", "trace_sampling_rate_hz": 20.0}, trace(0))]
    write_with_seisbench(seisbench, tmp_path, traces, component_order="")
    with h5py.File(tmp_path / "waveforms.hdf5", "a") as file:
        del file["data_format/component_order"]
    (record,) = SeisBenchDataset(tmp_path)
    assert record.component_names == ("Z", "N", "E")
    theirs = seisbench.data.WaveformDataset(tmp_path, component_order="ZNE")
    expect_same_samples(record.waveform, theirs.get_waveforms(0))


def test_component_order_as_a_list(seisbench, tmp_path):
    traces = [({"trace_name": "a", "trace_sampling_rate_hz": 20.0}, trace(0))]
    write_with_seisbench(seisbench, tmp_path, traces, component_order=["E", "N", "Z"])
    (record,) = SeisBenchDataset(tmp_path)
    assert record.component_names == ("E", "N", "Z")
    expect_same_samples(record.waveform, traces[0][1])


@pytest.mark.parametrize("listed", [True, False], ids=["listed", "found by their names"])
def test_chunks_in_the_order_of_seisbench(seisbench, tmp_path, listed):
    for number, chunk in enumerate(("2011", "2010")):
        traces = [({"trace_name": f"{chunk}/{i}"}, trace(10 * number + i)) for i in range(3)]
        write_with_seisbench(seisbench, tmp_path, traces, chunk=chunk, sampling_rate=20)
    if listed:
        (tmp_path / "chunks").write_text("2011\n2010\n")
    theirs = seisbench.data.WaveformDataset(tmp_path, component_order="ZNE")
    ours = SeisBenchDataset(tmp_path)
    assert len(ours) == len(theirs) == 6
    for record, of_seisbench in zip(ours, seisbench_waveforms(theirs), strict=True):
        np.testing.assert_array_equal(record.waveform, of_seisbench)


@pytest.mark.parametrize("place", ["b$1,:3,:-5", "b$1,:,2:300:2", "b$ 0, :2, :"])
def test_places_as_seisbench_understands_them(seisbench, tmp_path, place):
    order = "ZN" if ":2" in place.partition(",")[2].replace("300:2", "") else "ZNE"
    with h5py.File(tmp_path / "waveforms.hdf5", "w") as file:
        file["data/b"] = np.stack([trace(0), trace(1)])
        file["data_format/dimension_order"] = "CW"
    row = {"trace_name": place, "trace_component_order": order, "trace_sampling_rate_hz": 20.0}
    pd.DataFrame([row]).to_csv(tmp_path / "metadata.csv", index=False)
    theirs = seisbench.data.WaveformDataset(tmp_path, component_order=order)
    (record,) = SeisBenchDataset(tmp_path)
    np.testing.assert_array_equal(record.waveform, theirs.get_waveforms(0))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Synthesized records, and two odd ones, through our own writer."""
    records = list(synthesize_records(SynthesisConfig(), seed=3, num_events=6))
    records += [
        odd_record("short Z12", "Z12", num_samples=1500, sampling_rate_hz=250.0),
        odd_record("vertical only", "Z", num_samples=4000),
        odd_record("other order", "ENZ", num_samples=4000),
    ]
    # A component that was never recorded, and a gap.
    records[0].waveform[1] = np.nan
    records[1].waveform[0, 100:200] = np.nan
    folder = tmp_path_factory.mktemp("written") / "set"
    write_seisbench(records, folder)
    return records, folder


def odd_record(name, components, num_samples, sampling_rate_hz=100.0):
    return Record(
        record_id=name,
        waveform=trace(len(name), num_samples, len(components)),
        component_names=tuple(components),
        sampling_rate_hz=sampling_rate_hz,
        start_time=1_600_000_000.5,
        station_id="XX.ODD.00",
        arrivals=(Arrival(phase="P", time_s=3.25), Arrival(phase="S", time_s=5.5)),
        labelled_phases=frozenset({"P", "S"}),
        metadata={"split": "test", "source_magnitude": 2.25},
    )


def test_seisbench_finds_our_waveforms_to_the_bit(seisbench, written):
    records, folder = written
    theirs = seisbench.data.WaveformDataset(folder, component_order="ZNE")
    copied = seisbench.data.WaveformDataset(folder, component_order="ENZ", dimension_order="NWC")
    assert len(theirs) == len(records)
    for i, record in enumerate(records):
        seen, turned = theirs.get_waveforms(i), copied.get_waveforms(i)
        assert seen.dtype == np.float32 and seen.shape == (3, record.waveform.shape[1])
        for row, name in enumerate("ZNE"):
            own = record.component_names.index(name) if name in record.component_names else None
            there = own is not None and not np.isnan(record.waveform[own]).all()
            expected = record.waveform[own] if there else np.zeros(seen.shape[1], np.float32)
            np.testing.assert_array_equal(seen[row], expected, err_msg=f"{record.record_id} {name}")
            np.testing.assert_array_equal(turned[:, "ENZ".index(name)], expected)


def test_seisbench_finds_our_metadata(seisbench, written):
    records, folder = written
    theirs = seisbench.data.WaveformDataset(folder, component_order="ZNE")
    for i, record in enumerate(records):
        _, row = theirs.get_sample(i)
        assert row["trace_name_original"] == record.record_id
        assert row["trace_sampling_rate_hz"] == record.sampling_rate_hz
        assert row["trace_component_order"] == "".join(record.component_names)
        assert row["trace_npts"] == record.waveform.shape[1]
        assert row["station_code"] == record.station_id.split(".")[1]
        for arrival in record.arrivals:
            expected = record.arrival_s(arrival.phase) * record.sampling_rate_hz
            assert row[f"trace_{arrival.phase}_arrival_sample"] == pytest.approx(expected, abs=1e-6)
        assert theirs.get_idx_from_trace_name(row["trace_name"]) == i
    assert len(theirs.get_split("test")) == 3
    magnitudes = [record.metadata.get("source_magnitude", np.nan) for record in records]
    np.testing.assert_array_equal(theirs.metadata["source_magnitude"], magnitudes)


def test_seisbench_changes_the_rate_of_our_traces(seisbench, written):
    records, folder = written
    theirs = seisbench.data.WaveformDataset(folder, component_order="ZNE", sampling_rate=50)
    of_rate = {record.sampling_rate_hz: i for i, record in enumerate(records) if record.num_events == 1}
    assert set(of_rate) == {100.0, 250.0}
    for i in of_rate.values():
        waveform, row = theirs.get_sample(i)
        ratio = 50 / records[i].sampling_rate_hz
        assert waveform.shape[1] == round(records[i].waveform.shape[1] * ratio)
        sample = records[i].arrival_s("P") * 50
        assert row["trace_P_arrival_sample"] == pytest.approx(sample, abs=1e-6)


def test_through_seisbench_and_back_nothing_changes(seisbench, written, tmp_path):
    """What SeisBench reads from our set and writes again is what we wrote."""
    records, folder = written
    theirs = seisbench.data.WaveformDataset(folder, component_order="ZNE")
    chosen = [
        i
        for i, record in enumerate(records)
        if record.component_names == ("Z", "N", "E") and not np.isnan(record.waveform).any()
    ]
    traces = [theirs.get_sample(i) for i in chosen]
    write_with_seisbench(
        seisbench,
        tmp_path,
        [(metadata, waveform) for waveform, metadata in traces],
        bucket_size=1,
    )
    for i, back in zip(chosen, SeisBenchDataset(tmp_path), strict=True):
        np.testing.assert_array_equal(back.waveform, records[i].waveform)
        assert back.station_id == records[i].station_id
        assert back.arrivals == records[i].arrivals


def test_a_training_window_of_seisbench_has_our_labels(seisbench, written):
    """The same window, cut by SeisBench's generator and by us: the labels of both agree."""
    records, folder = written
    generate = seisbench.generate
    phases = {"trace_P_arrival_sample": "P", "trace_S_arrival_sample": "S"}
    generator = generate.GenericGenerator(seisbench.data.WaveformDataset(folder, component_order="ZNE"))
    generator.add_augmentations(
        [
            generate.FixedWindow(p0=40, windowlen=WINDOW_SAMPLES),
            generate.Normalize(demean_axis=-1, amp_norm_axis=-1, amp_norm_type="std"),
            generate.ProbabilisticLabeller(label_columns=phases, sigma=SIGMA_SAMPLES, dim=0),
            generate.DetectionLabeller(
                "trace_P_arrival_sample", "trace_S_arrival_sample", key=("X", "detections")
            ),
        ]
    )
    complete = [
        i
        for i, record in enumerate(records)
        if record.num_events == 1
        and record.component_names == ("Z", "N", "E")
        and record.waveform.shape[1] >= 40 + WINDOW_SAMPLES
        and record.sampling_rate_hz == 100
        and not np.isnan(record.waveform).any()
    ]
    assert complete
    for i in complete:
        window, record = generator[i], records[i]
        assert window["X"].shape == (3, WINDOW_SAMPLES) and window["y"].shape == (3, WINDOW_SAMPLES)
        batch = batch_of(record, first=40)
        time_s = torch.arange(WINDOW_SAMPLES)[None] / 100
        targets = phase_targets(batch, time_s, SIGMA_SAMPLES / 100)
        np.testing.assert_allclose(window["y"][:2], targets.target[0], atol=1e-4)
        shaken, known = detection_targets(batch, time_s)
        assert bool(known.all())
        # SeisBench rounds the interval's ends down to samples.
        assert np.abs(window["detections"][0] - shaken[0].numpy()).sum() <= 2


def batch_of(record, first):
    cut = torch.from_numpy(record.waveform[:, first : first + WINDOW_SAMPLES].copy())[None]
    arrivals = {
        f"{phase.lower()}_arrival_s": torch.tensor([[record.arrival_s(phase) - first / 100]])
        for phase in "PS"
    }
    listed = {f"{phase}_labelled": torch.tensor([True]) for phase in "ps"}
    return WaveformBatch(
        waveform=cut,
        sampling_rate_hz=torch.tensor([100.0]),
        component_names=record.component_names,
        unit=(record.unit,),
        labels=arrivals | listed,
    )
