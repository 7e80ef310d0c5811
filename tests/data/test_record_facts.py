import dataclasses

import numpy as np
import pytest
from seisfm.data.corpus import shards
from seisfm.data.corpus.convert import write_corpus
from seisfm.data.corpus.corpus import Corpus
from seisfm.data.formats.seisbench_format import SeisBenchDataset, write_seisbench
from seisfm.data.record_facts import NUMBERS, TEXTS, RecordFacts, record_facts
from seisfm.data.records import Record, Subset, waveform_hash
from seisfm.data.sources import JoinedRecords
from seisfm.data.splitting.coincidence import distance_km
from seisfm.data.synthesis import SynthesisConfig, synthesize_records

ORIGIN = {
    "source_origin_time": "2020-01-31T23:59:59.500Z",
    "source_latitude_deg": 10.0,
    "source_longitude_deg": -170.0,
    "station_latitude_deg": 11.0,
    "station_longitude_deg": -171.0,
}


def make_record(name="r", seed=0, **fields) -> Record:
    waveform = np.random.default_rng(seed).normal(size=(3, 200)).astype(np.float32)
    return Record(
        **{
            "record_id": name, "waveform": waveform, "component_names": ("Z", "N", "E"),
            "sampling_rate_hz": 20.0, **fields,
        }
    )  # fmt: skip


def make_records() -> list[Record]:
    return [
        make_record("a", 1, event_id="1", station_id="XX.A.00", start_time=1.5e9, metadata=ORIGIN),
        make_record("b", 2),
        make_record(
            "c", 3, event_id="1", station_id="PB01", start_time=1.6e9 + 0.125, metadata={"licence": "x"}
        ),
    ]


def same(one: RecordFacts, other: RecordFacts) -> bool:
    texts = all((getattr(one, name) == getattr(other, name)).all() for name in TEXTS)
    return texts and all(
        np.allclose(getattr(one, name), getattr(other, name), rtol=0, atol=1e-6, equal_nan=True)
        for name in NUMBERS
    )


def test_every_store_tells_the_same_as_its_records(tmp_path):
    records = make_records()
    expected = record_facts(records, hashes=True)
    assert expected.event_keys.tolist() == ["1", "b", "1"]
    assert expected.sites.tolist() == ["XX.A", "", "PB01"]
    assert expected.duration_s.tolist() == [10.0] * 3 and expected.origin_time[0] == 1580515199.5
    write_seisbench(records, tmp_path / "seisbench")
    write_corpus(records, tmp_path / "corpus", shards.CorpusConfig())
    stores = [SeisBenchDataset(tmp_path / "seisbench"), Corpus(tmp_path / "corpus")]
    stores += [JoinedRecords([records[:1], records[1:]]), Subset(stores[0], [0, 1, 2])]
    for store in stores:
        assert same(record_facts(store, hashes=True), expected)
        without = dataclasses.replace(record_facts(store), waveform_hash=expected.waveform_hash)
        assert same(without, expected)
    part = record_facts(Subset(stores[1], [2, 0]), hashes=True)
    assert same(part, expected.select([2, 0]))
    assert same(RecordFacts.from_table(expected.to_table()), expected)


class Watched(SeisBenchDataset):
    reads = 0

    def __getitem__(self, index):
        self.reads += 1
        return super().__getitem__(index)


def test_waveforms_are_read_once_for_hashes_and_never_else(tmp_path):
    write_seisbench(make_records(), tmp_path / "set")
    data = Watched(tmp_path / "set")
    record_facts(data)
    assert data.reads == 0
    record_facts(data, hashes=True)
    assert data.reads == 3


def test_a_hash_is_of_the_samples_alone():
    record = make_record()
    shuffled = dataclasses.replace(
        record, record_id="other", waveform=record.waveform[[2, 0, 1]], component_names=("E", "Z", "N")
    )
    assert waveform_hash(record) == waveform_hash(shuffled)
    assert waveform_hash(record) != waveform_hash(make_record(seed=1))
    vertical = dataclasses.replace(record, waveform=record.waveform[:1], component_names=("Z",))
    padded = record.waveform.copy()
    padded[1:] = np.nan
    assert waveform_hash(vertical) == waveform_hash(dataclasses.replace(record, waveform=padded))
    odd_nan = padded.view(np.int32).copy()
    odd_nan[:, 5] = 0x7FC00001
    plain_nan = padded.copy()
    plain_nan[:, 5] = np.nan
    hashes = {
        waveform_hash(dataclasses.replace(record, waveform=w)) for w in (odd_nan.view(np.float32), plain_nan)
    }
    assert len(hashes) == 1


def test_records_without_a_sample_are_like_no_other():
    nothing = make_record(waveform=np.full((3, 10), np.nan, np.float32))
    assert record_facts([nothing], hashes=True).waveform_hash[0] == ""


def test_distances_are_those_of_a_sphere():
    quarter = distance_km(np.array([[0.0, 0.0], [0.0, 179.9]]), np.array([[90.0, 50.0], [0.0, -179.9]]))
    assert quarter == pytest.approx([10007.5, 22.24], rel=1e-3)


def test_synthetic_records_have_all_facts():
    facts = record_facts(synthesize_records(SynthesisConfig(), 0, 3), hashes=True)
    assert len(facts) and all((getattr(facts, name) != "").all() for name in ("record_id", "waveform_hash"))
