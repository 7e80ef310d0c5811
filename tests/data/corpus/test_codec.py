import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from seisfm.data.corpus.codec import CHOICES, ENCODINGS, decode, encode, encoding_for, is_whole

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=12)
FLOATS = hnp.arrays(np.float32, SHAPES, elements=st.floats(width=32))
WHOLE = hnp.arrays(
    np.float32,
    SHAPES,
    elements=st.one_of(st.integers(-(2**24) + 1, 2**24 - 1).map(float), st.just(float("nan"))),
)


def bits(waveform: np.ndarray) -> bytes:
    """With one NaN for all: the encodings keep that it is one, not which."""
    return np.where(np.isnan(waveform), np.float32(np.nan), waveform).tobytes()


@settings(deadline=None, max_examples=60)
@given(FLOATS, st.sampled_from(["float32", "float32_zstd", "auto", "auto_zstd"]))
def test_any_floats_come_back_to_the_bit(waveform, choice):
    encoding = encoding_for(waveform, choice)
    decoded = decode(encode(waveform, encoding), encoding, *waveform.shape)
    assert decoded.dtype == np.float32
    assert decoded.shape == waveform.shape
    assert bits(decoded) == bits(waveform)


@settings(deadline=None, max_examples=60)
@given(WHOLE, st.sampled_from(ENCODINGS))
def test_whole_numbers_come_back_from_every_encoding(waveform, encoding):
    assert is_whole(waveform)
    decoded = decode(encode(waveform, encoding_for(waveform, encoding)), encoding, *waveform.shape)
    assert bits(decoded) == bits(waveform)


@pytest.mark.parametrize("value", [0.5, 2.0**24, -(2.0**24), 3e9, np.inf, -np.inf, -0.0, 1e-40])
def test_what_integers_would_change_stays_float(value):
    waveform = np.array([[1, value, np.nan]], np.float32)
    assert not is_whole(waveform)
    assert encoding_for(waveform, "auto") == "float32"
    assert encoding_for(waveform, "auto_zstd") == "float32_zstd"
    with pytest.raises(ValueError, match=r"int32 needs whole numbers below 2\*\*24 in size"):
        encoding_for(waveform, "int32")


def test_counts_are_integers_by_themselves():
    waveform = np.array([[0, -7, 2**24 - 1], [np.nan] * 3], np.float32)
    assert encoding_for(waveform, "auto") == "int32"
    assert encoding_for(waveform, "auto_zstd") == "int32_delta_zstd"


def test_raw_floats_are_not_copied():
    stored = np.frombuffer(np.arange(6, dtype="<f4").tobytes(), np.uint8)
    assert np.shares_memory(decode(stored, "float32", 2, 3), stored)


def test_quiet_counts_shrink():
    walk = np.random.default_rng(0).integers(-20, 21, (3, 6000)).cumsum(axis=1).astype(np.float32)
    assert len(encode(walk, "int32_delta_zstd")) < 0.25 * walk.nbytes


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_damage_is_noticed(encoding):
    stored = encode(np.ones((3, 100), np.float32), encoding)
    with pytest.raises(ValueError, match="the shard is damaged"):
        decode(stored[:-4], encoding, 3, 100)
    with pytest.raises(ValueError, match="the shard is damaged"):
        decode(stored, encoding, 3, 99)


def test_an_unknown_encoding_lists_the_known():
    with pytest.raises(ValueError, match=r"one of \('float32', .*'auto_zstd'\), found 'mp3'"):
        encoding_for(np.zeros((1, 1), np.float32), "mp3")
    assert set(ENCODINGS) < set(CHOICES)
