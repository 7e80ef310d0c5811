"""The README of a corpus: a dataset card that the Hugging Face hub and `datasets` understand."""

from __future__ import annotations

from typing import Any

import yaml

_TEXT = """# {name}

{num_records} records of {num_events} events at {num_stations} stations, in seisfm's corpus format
(version {version}). One row is one station's waveform at its native rate and length, with its labels. The
columns are described in `docs/data.md` of seisfm; what is unknown is null.

```python
import numpy as np
import pyarrow as pa
from datasets import load_dataset

row = load_dataset("path/to/this/folder", split="train")[0]
{decode}
```

| data set | licence | citation | records |
|---|---|---|---|
{sources}
"""

DECODE = {
    "float32": 'waveform = np.frombuffer(row["waveform"], "<f4").reshape(len(row["component_names"]), -1)',
    "int32": 'counts = np.frombuffer(row["waveform"], "<i4").reshape(len(row["component_names"]), -1)\n'
    "waveform = np.where(counts == -(2**31), np.nan, counts)",
    "float32_zstd": 'num_bytes = 4 * len(row["component_names"]) * row["num_samples"]\n'
    'raw = pa.Codec("zstd").decompress(row["waveform"], num_bytes)\n'
    'waveform = np.frombuffer(raw, "<f4").reshape(len(row["component_names"]), -1)',
    "int32_delta_zstd": 'num_bytes = 4 * len(row["component_names"]) * row["num_samples"]\n'
    'raw = pa.Codec("zstd").decompress(row["waveform"], num_bytes)\n'
    'zigzag = np.frombuffer(raw, "u1").reshape(4, -1).T.copy().view("<u4")\n'
    'difference = ((zigzag >> 1) ^ -(zigzag & 1)).view("<i4").reshape(len(row["component_names"]), -1)\n'
    "counts = difference.cumsum(axis=1, dtype=np.int32)\n"
    "waveform = np.where(counts == -(2**31), np.nan, counts)",
}


def dataset_card(summary: dict[str, Any], file_format: str) -> str:
    """The card as text.

    summary: what corpus.json says.
    """
    licences = sorted({str(source["licence"] or "unknown") for source in summary["sources"]})
    header = {
        "pretty_name": summary["name"],
        "license": "other",
        "license_name": ", ".join(licences),
        "tags": ["seismology", "waveform"],
        # Only the shards: index.parquet and skipped.csv lie beside them.
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": "train", "path": f"shards/*.{file_format}"}],
            }
        ],
    }
    front = yaml.safe_dump(header, sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n" + _TEXT.format(
        **{key: summary[key] for key in ("name", "num_records", "num_events", "num_stations", "version")},
        decode=_decode_lines(summary["encodings"]),
        sources="\n".join(_source_line(source) for source in summary["sources"]),
    )


def _source_line(source: dict[str, Any]) -> str:
    cells = (source["dataset"], source["licence"], source["citation"])
    return (
        "| "
        + " | ".join(" ".join(str(cell or "unknown").split()) for cell in cells)
        + f" | {source['num_records']} |"
    )


def _decode_lines(encodings: dict[str, int]) -> str:
    return "\n".join(f'# where row["encoding"] is {name}\n{DECODE[name]}' for name in sorted(encodings))
