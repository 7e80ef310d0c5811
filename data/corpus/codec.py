"""How a waveform becomes bytes, and float32 again, to the bit."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

ENCODINGS = ("float32", "int32", "int32_delta_zstd", "float32_zstd")
"""What the column `encoding` may say. The first two are raw: a window is read without its record's rest."""

CHOICES = (*ENCODINGS, "auto", "auto_zstd")
"""What a configuration may ask for; the last two take integers where nothing is lost, else floats."""

MISSING = -(2**31)
"""The integer that stands for NaN, which integers lack."""

WHOLE_LIMIT = 2**24
"""From here on float32 has no fractions, so that a whole number no longer tells of counts."""

_LEVEL = 3


def encoding_for(waveform: np.ndarray, choice: str) -> str:
    """The encoding of one waveform, float32 `(component, sample)`, NaN where nothing was observed.

    Raises ValueError for an integer encoding that would lose something.
    """
    if choice not in CHOICES:
        raise ValueError(f"the encoding must be one of {CHOICES}, found {choice!r}")
    if choice in ("float32", "float32_zstd"):
        return choice
    whole = is_whole(waveform)
    if choice == "auto":
        return "int32" if whole else "float32"
    if choice == "auto_zstd":
        return "int32_delta_zstd" if whole else "float32_zstd"
    if not whole:
        raise ValueError(
            f"{choice} needs whole numbers below 2**24 in size, and no negative zero, found others: "
            "take float32, or auto"
        )
    return choice


def is_whole(waveform: np.ndarray) -> bool:
    """Whether integers tell every observed sample to the bit: counts, in other words.

    A negative zero has no integer, so that a waveform with one is kept as floats.
    """
    with np.errstate(invalid="ignore"):
        integers = _integers(waveform)
    observed = ~np.isnan(waveform)
    near = bool((np.abs(waveform[observed]) < WHOLE_LIMIT).all())
    return near and bool(
        (integers.astype(np.float32).view(np.int32) == waveform.view(np.int32))[observed].all()
    )


def encode(waveform: np.ndarray, encoding: str) -> bytes:
    """The bytes of a waveform, float32 `(component, sample)`, component after component, little-endian.

    float32: the samples as they are. float32_zstd: the same, compressed with Zstandard.
    int32: whole numbers, `MISSING` for NaN.
    int32_delta_zstd: differences along each component (modulo 2**32, the first from zero), small ones of
    either sign made small and positive (zigzag, as in Protocol Buffers), all lowest bytes first, then all
    second ones and so on (as Blosc's shuffle does), and compressed with Zstandard.

    The bits of a NaN beyond its being one are not kept.
    """
    if encoding.startswith("float32"):
        raw = waveform.astype("<f4").tobytes()
    elif encoding == "int32":
        raw = _integers(waveform).astype("<i4").tobytes()
    else:
        raw = _shuffled_differences(_integers(waveform))
    return _zstd().compress(raw, asbytes=True) if encoding.endswith("zstd") else raw


def decode(stored: np.ndarray | bytes, encoding: str, num_components: int, num_samples: int) -> np.ndarray:
    """Float32 `(component, sample)` again; a view of the bytes, and read-only, where they are raw floats.

    Raises ValueError where the bytes are not those of such a waveform.
    """
    shape = (num_components, num_samples)
    num_bytes = 4 * num_components * num_samples
    if encoding.endswith("zstd"):
        stored = _decompressed(stored, num_bytes)
    found = len(np.frombuffer(stored, np.uint8))
    if found != num_bytes:
        raise ValueError(
            f"a waveform of {shape} takes {num_bytes} bytes, found {found}: the shard is damaged"
        )
    if encoding.startswith("float32"):
        return np.frombuffer(stored, "<f4").reshape(shape)
    if encoding == "int32":
        return with_gaps(np.frombuffer(stored, "<i4").reshape(shape))
    return with_gaps(_summed_differences(np.frombuffer(stored, np.uint8), shape))


def with_gaps(integers: np.ndarray) -> np.ndarray:
    """Int32 samples as float32, NaN where they are `MISSING`."""
    waveform = integers.astype(np.float32)
    waveform[integers == MISSING] = np.nan
    return waveform


def _integers(waveform: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(waveform), np.float32(MISSING), waveform).astype(np.int32)


def _shuffled_differences(integers: np.ndarray) -> bytes:
    difference = np.diff(integers, axis=1, prepend=np.int32(0))  # wraps around where it must
    zigzag = (difference << 1) ^ (difference >> 31)
    return zigzag.astype("<i4").reshape(-1, 1).view(np.uint8).T.tobytes()


def _summed_differences(shuffled: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    zigzag = np.ascontiguousarray(shuffled.reshape(4, -1).T).view("<u4").reshape(shape)
    difference = ((zigzag >> 1) ^ -(zigzag & 1)).astype(np.uint32).view(np.int32)
    return difference.cumsum(axis=1, dtype=np.int32)


def _decompressed(stored: np.ndarray | bytes, num_bytes: int) -> bytes:
    try:
        return _zstd().decompress(stored, decompressed_size=num_bytes, asbytes=True)
    except (OSError, pa.ArrowInvalid) as error:
        raise ValueError(f"a waveform cannot be decompressed ({error}): the shard is damaged") from error


def _zstd() -> pa.Codec:
    return pa.Codec("zstd", compression_level=_LEVEL)
