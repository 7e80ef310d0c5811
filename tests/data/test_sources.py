from dataclasses import replace

import numpy as np
import obspy
import pytest
from seisfm.data.corpus.convert import write_corpus
from seisfm.data.formats.seisbench_format import SeisBenchDataset, write_seisbench
from seisfm.data.loading.sampler import record_weights
from seisfm.data.record_table import record_table
from seisfm.data.records import Record, Subset, event_keys
from seisfm.data.sources import JoinedRecords, SourceConfig, load_all, load_records
from seisfm.data.splitting.split_sides import SplitConfig
from seisfm.data.splitting.splits import split_by_event
from seisfm.data.synthesis import SynthesisConfig, synthesize_records


def make_records(prefix, count):
    generator = np.random.default_rng(1)
    return [
        Record(
            record_id=f"{prefix}{number}",
            waveform=generator.standard_normal((3, 500)).astype(np.float32),
            component_names=("Z", "N", "E"),
            sampling_rate_hz=100.0,
        )
        for number in range(count)
    ]


@pytest.fixture
def archive(tmp_path):
    """Two stations over eleven minutes, from 12:58:00 on."""
    start = obspy.UTCDateTime(2020, 1, 1, 12, 58)
    stream = obspy.Stream()
    for station in ("AAA", "BBB"):
        header = {"network": "XX", "station": station, "channel": "HHZ", "starttime": start}
        header["sampling_rate"] = 20.0
        stream += obspy.Trace(np.arange(660 * 20, dtype=np.int32) % 1000, header)
    folder = tmp_path / "archive"
    folder.mkdir()
    stream.write(folder / "day.mseed", format="MSEED")
    return folder


def test_joined_records_are_all_parts_in_order():
    parts = [make_records("a", 3), [], make_records("b", 2)]
    joined = JoinedRecords(parts)
    assert len(joined) == 5
    assert [record.record_id for record in joined] == ["a0", "a1", "a2", "b0", "b1"]
    assert joined[-1].record_id == "b1" and [r.record_id for r in joined[2:4]] == ["a2", "b0"]
    with pytest.raises(IndexError):
        joined[5]
    assert len(JoinedRecords([])) == 0


def test_synthetic_records_are_those_of_the_generator():
    synthesis = SynthesisConfig(duration_s=(40.0, 45.0), stations_per_event=(1, 1))
    records, skipped = load_records(SourceConfig(kind="synthetic", num_events=2, seed=5, synthesis=synthesis))
    expected = synthesize_records(synthesis, 5, 2)
    assert not skipped and [r.record_id for r in records] == [r.record_id for r in expected]
    np.testing.assert_array_equal(records[0].waveform, expected[0].waveform)


def test_a_path_may_hold_a_variable(tmp_path, monkeypatch):
    write_seisbench(make_records("a", 2), tmp_path / "set")
    monkeypatch.setenv("SEISMIC_DATA", str(tmp_path))
    records, _ = load_records(SourceConfig(kind="seisbench", path="$SEISMIC_DATA/set"))
    assert len(records) == 2


def test_an_archive_is_cut_into_the_same_pieces_of_time_at_every_station(archive):
    records, skipped = load_records(SourceConfig(kind="archive", path=str(archive)))
    assert not skipped
    lengths = [(r.station_id, r.waveform.shape[1] / 20) for r in records]
    assert lengths == [(f"XX.{name}.", length) for name in ("AAA", "BBB") for length in (120, 300, 240)]
    events = [r.event_id for r in records]
    assert events[:3] == events[3:] and len(set(events)) == 3
    assert len({r.record_id for r in records}) == 6
    joined = np.concatenate([r.waveform for r in records[:3]], axis=1)
    np.testing.assert_array_equal(joined[0], np.arange(660 * 20) % 1000)
    assert [r.start_time % 300 for r in records[:3]] == [180.0, 0.0, 0.0]
    assert not records[0].labelled_phases


@pytest.mark.parametrize("offset_s", [0.0, 0.02, 0.04])
def test_at_midnight_no_sample_is_lost_or_doubled(tmp_path, offset_s):
    start = obspy.UTCDateTime(2020, 1, 1, 23, 58) + offset_s
    header = {"network": "XX", "station": "AAA", "channel": "HHZ", "starttime": start, "sampling_rate": 20.0}
    samples = np.arange(1, 240 * 20 + 1, dtype=np.int32)
    obspy.Trace(samples, header).write(str(tmp_path / "two_days.mseed"), format="MSEED")
    records, skipped = load_records(SourceConfig(kind="archive", path=str(tmp_path), piece_s=60.0))
    assert not skipped
    np.testing.assert_array_equal(np.concatenate([record.waveform[0] for record in records]), samples)
    assert len({record.record_id for record in records}) == len(records) <= 5


def test_several_sources_are_joined(archive, tmp_path):
    write_seisbench(make_records("a", 2), tmp_path / "set")
    sources = [
        SourceConfig(kind="archive", path=str(archive), piece_s=3600.0),
        SourceConfig(kind="seisbench", path=str(tmp_path / "set")),
    ]
    records, skipped = load_all(sources)
    assert len(records) == 6 and not skipped


def test_no_source_and_no_record_is_an_error():
    with pytest.raises(ValueError, match=r"the sources \[\] gave no record"):
        load_all([])


def test_a_corpus_is_a_source(tmp_path):
    records = make_records("a", 4)
    write_corpus(records, tmp_path / "corpus")
    found, skipped = load_records(SourceConfig(kind="corpus", path=str(tmp_path / "corpus")))
    assert not skipped
    for one, other in zip(found, records, strict=True):
        np.testing.assert_array_equal(one.waveform, other.waveform)


@pytest.mark.parametrize("text", ["record_id,reason\na1,clipped\na3,\nb7,dead\n", "a1\n\n a3 \nb7\n"])
@pytest.mark.parametrize("kind", ["corpus", "seisbench"])
def test_excluded_records_are_left_out_and_counted(tmp_path, kind, text):
    write = {"corpus": write_corpus, "seisbench": write_seisbench}[kind]
    write(make_records("a", 5), tmp_path / "set")
    (tmp_path / "exclude.csv").write_text(text)
    exclude = str(tmp_path / "exclude.csv")
    records, (left_out,) = load_records(SourceConfig(kind=kind, path=str(tmp_path / "set"), exclude=exclude))
    assert [record.record_id for record in records] == ["a0", "a2", "a4"]
    assert (left_out.item, left_out.reason) == (exclude, "2 of 5 records are excluded by it")


def test_a_list_of_something_else_excludes_nothing(tmp_path):
    write_seisbench(make_records("a", 2), tmp_path / "set")
    source = {"kind": "seisbench", "path": str(tmp_path / "set")}
    (tmp_path / "picks.csv").write_text("station,time\nAAA,3\n")
    with pytest.raises(ValueError, match=r"must have a column record_id, .* found \['station', 'time'\]"):
        load_records(SourceConfig(**source, exclude=str(tmp_path / "picks.csv")))
    with pytest.raises(FileNotFoundError, match=r"no data at .*gone.csv"):
        load_records(SourceConfig(**source, exclude=str(tmp_path / "gone.csv")))


def test_the_weight_of_a_source_is_that_of_its_records(tmp_path):
    for name, count in (("a", 2), ("b", 3)):
        write_corpus(make_records(name, count), tmp_path / name)
    sources = [
        SourceConfig(kind="corpus", path=str(tmp_path / name), weight=weight)
        for name, weight in (("a", 2.0), ("b", 0.5))
    ]
    joined, _ = load_all(sources)
    assert record_weights(joined).tolist() == [2, 2, 0.5, 0.5, 0.5]
    assert record_weights(Subset(joined, [4, 0])).tolist() == [0.5, 2]
    assert [len(part) for part in joined.parts] == [2, 3]
    with pytest.raises(ValueError, match=r"one weight for each of 1 parts, found \[1, 2\]"):
        JoinedRecords([[]], [1, 2])


def test_tables_and_samples_come_from_the_parts(tmp_path):
    first, second = make_records("a", 3), make_records("b", 2)
    joined = JoinedRecords([write_corpus(first, tmp_path / "corpus"), second])
    table = joined.record_table()
    assert table.record_id.tolist() == ["a0", "a1", "a2", "b0", "b1"]
    side = Subset(joined, [4, 1])
    assert record_table(side).record_id.tolist() == ["b1", "a1"]
    np.testing.assert_array_equal(joined.waveform(4), second[1].waveform)
    np.testing.assert_array_equal(side.waveform(1), first[1].waveform)
    write_seisbench(first, tmp_path / "set")
    lazy = SeisBenchDataset(tmp_path / "set")
    assert JoinedRecords([lazy, second]).record_table() is None
    np.testing.assert_array_equal(JoinedRecords([second, lazy]).waveform(2), first[0].waveform)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "tape"}, r"the kind of a source must be one of .*archive.*, found 'tape'"),
        ({"kind": "synthetic"}, "a synthetic source needs num_events of at least 1, found 0"),
        ({"kind": "archive"}, "a source of kind archive needs a path"),
        ({"kind": "archive", "path": "x", "piece_s": 0.0}, "piece_s must be positive"),
        ({"kind": "archive", "path": "x", "weight": 0.0}, "weight of a source must be positive, found 0.0"),
    ],
)
def test_sources_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SourceConfig(**settings)


def test_a_path_without_data_is_named():
    with pytest.raises(FileNotFoundError, match=r"no data at /no/such/place .*check the path"):
        load_records(SourceConfig(kind="seisbench", path="/no/such/place"))


def test_parts_of_a_source_share_no_event_and_are_the_whole_together():
    whole = SourceConfig(kind="synthetic", num_events=12, seed=3)
    fractions = {"train": 0.5, "test": 0.5}
    split = SplitConfig(fractions=fractions)
    parts = [
        load_records(SourceConfig(kind="synthetic", num_events=12, seed=3, part=name, split=split))[0]
        for name in fractions
    ]
    events = [{record.event_id for record in part} for part in parts]
    assert events[0] and events[1] and not events[0] & events[1]
    assert len(parts[0]) + len(parts[1]) == len(load_records(whole)[0])
    with pytest.raises(ValueError, match=r"part must be one of \['test', 'train'\], found 'valid'"):
        SourceConfig(kind="synthetic", num_events=12, part="valid", split=split)


def test_a_data_set_is_split_from_its_metadata_alone(tmp_path):
    records = [replace(record, event_id=f"event {i // 2}") for i, record in enumerate(make_records("a", 8))]
    write_seisbench([*records, *make_records("noise", 2)], tmp_path / "set")
    expected = split_by_event([*records, *make_records("noise", 2)], {"train": 0.5, "test": 0.5}, seed=1)
    data = JoinedRecords([SeisBenchDataset(tmp_path / "set")])
    # From here on there is no waveform to read.
    (tmp_path / "set/waveforms.hdf5").rename(tmp_path / "elsewhere.hdf5")
    split = split_by_event(data, {"train": 0.5, "test": 0.5}, seed=1)
    keys = {name: side.event_keys() for name, side in split.items()}
    (tmp_path / "elsewhere.hdf5").rename(tmp_path / "set/waveforms.hdf5")
    for name, side in split.items():
        assert keys[name] == expected[name].event_keys() == [r.event_id or r.record_id for r in side]
        assert [r.record_id for r in side] == [r.record_id for r in expected[name]]
    assert event_keys(data)[-1] == "noise1"
