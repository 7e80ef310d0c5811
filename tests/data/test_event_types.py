import numpy as np
import pytest
from obspy.core.event.header import EventType
from seisfm.data.event_types import EVENT_TYPE_WORDS, EVENT_TYPES, event_type, with_event_type
from seisfm.data.formats.seisbench_format import SeisBenchDataset, write_seisbench
from seisfm.data.records import Record


def test_every_word_of_every_source_is_one_of_our_classes_or_open():
    for source, words in EVENT_TYPE_WORDS.items():
        for word, kind in words.items():
            assert kind is None or kind in EVENT_TYPES
            assert event_type(word.upper().replace(" ", "_"), source) == kind


def test_all_of_quakeml_is_known():
    """The list as ObsPy has it, which reads QuakeML."""
    for word in EventType:
        event_type(word)
    assert event_type("quarry blast") == "quarry_blast"
    assert event_type("anthropogenic event") is None


@pytest.mark.parametrize("source", EVENT_TYPE_WORDS)
def test_our_own_classes_are_understood_everywhere(source):
    for kind in EVENT_TYPES:
        assert event_type(kind, source) == kind


def test_one_code_means_two_things():
    """VT: volcanic tremor in California's codes, a volcano-tectonic earthquake at volcano observatories."""
    assert event_type("vt", "scedc") == "tremor"
    assert event_type("VT", "vcseis") == "volcano_tectonic"


def test_unknown_words_and_sources_are_refused():
    with pytest.raises(ValueError, match=r"unknown event type 'blurb' of stead: known are \['earthquake', "):
        event_type("blurb", "stead")
    with pytest.raises(ValueError, match=r"no event types of 'nobody' are known: choose one of \['ceed', "):
        event_type("earthquake", "nobody")


def test_metadata_keep_the_word():
    known = {"trace_category": "earthquake_local", "source_magnitude": 2.0}
    assert with_event_type(known, "stead") == known | {
        "source_type": "earthquake",
        "source_type_original": "earthquake_local",
    }
    once = with_event_type({"source_type": "surface event"}, "pnw")
    assert once == {"source_type": "surface_event", "source_type_original": "surface event"}
    assert with_event_type(once, "pnw") == once
    assert with_event_type({"source_magnitude": 2.0}) == {"source_magnitude": 2.0}
    # Nobody knows: no class, but the word.
    assert with_event_type({"source_type": "not reported"}) == {"source_type_original": "not reported"}


def test_a_seisbench_set_gets_our_classes_on_request(tmp_path):
    words = ["earthquake_local", "noise", "blurb"]
    records = [
        Record(
            record_id=word,
            waveform=np.ones((1, 4), dtype=np.float32),
            component_names=("Z",),
            sampling_rate_hz=100.0,
            metadata={"trace_category": word},
        )
        for word in words
    ]
    write_seisbench(records, tmp_path / "set")
    found = SeisBenchDataset(tmp_path / "set", event_words="stead")
    assert [record.metadata.get("source_type") for record in found] == ["earthquake", "noise", None]
    assert [record.metadata["source_type_original"] for record in found] == words
    assert [note.item for note in found.unknown_event_types()] == ["event type 'blurb'"]
    plain = SeisBenchDataset(tmp_path / "set")
    assert (
        plain[0].metadata["trace_category"] == "earthquake_local" and "source_type" not in plain[0].metadata
    )
    assert plain.unknown_event_types() == []
