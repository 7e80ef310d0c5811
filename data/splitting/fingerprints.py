"""What a model has learned from, small enough to lie beside its weights: anybody can check for leaks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..record_facts import RecordFacts, record_facts
from ..records import Record

FINGERPRINTS = "training_data.parquet"
_ABOUT = b"seisfm"
_FORMAT = {"format": "seisfm training data", "version": 1}


@dataclass(frozen=True, kw_only=True)
class Fingerprints:
    """Who, where and when of the records that made a model, with hashes of their waveforms.

    facts: one entry a record. stage: what it was used for (train, validation, noise, base model …), object
        array of str.
    missing: what the model learned from besides, and of which nothing is known, one line each.
    """

    facts: RecordFacts
    stage: np.ndarray
    missing: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.facts)


def fingerprints_of(
    stages: Mapping[str, Sequence[Record]], base: str | Path | None = None, base_name: str = "its base model"
) -> Fingerprints:
    """The fingerprints of a run's records by stage, and those that the model it began with carries along.

    Waveforms are read once, and not at all where their store knows the hashes.

    base: the folder of the model that the run began with, None for random weights.
    base_name: what messages call it.
    """
    parts = [record_facts(records, hashes=True) for records in stages.values()]
    names = [name for name, part in zip(stages, parts, strict=True) for _ in range(len(part))]
    missing: tuple[str, ...] = ()
    if base is not None:
        before = read_fingerprints(base, base_name)
        parts.append(before.facts)
        names += [f"base model, {stage}" if "base" not in stage else stage for stage in before.stage]
        missing = before.missing
    facts = RecordFacts.concatenate(parts)
    # A record may serve twice, as training windows and as noise to mix in.
    keys = pd.DataFrame({"record": facts.record_id, "waveform": facts.waveform_hash})
    first = ~keys.duplicated().to_numpy()
    return Fingerprints(
        facts=facts.select(first), stage=np.array(names, dtype=object)[first], missing=missing
    )


def write_fingerprints(fingerprints: Fingerprints, folder: str | Path) -> Path:
    """Write `training_data.parquet` into a model's folder, whole or not at all, and give its path."""
    path = Path(folder) / FINGERPRINTS
    about = json.dumps(_FORMAT | {"missing": list(fingerprints.missing)})
    table = fingerprints.facts.to_table()
    table = table.append_column("stage", pa.array(fingerprints.stage.tolist(), pa.string()))
    partial = path.with_name(f".{path.name}.partial")
    pq.write_table(table.replace_schema_metadata({_ABOUT: about}), partial, compression="zstd")
    partial.replace(path)
    return path


def read_fingerprints(folder: str | Path, name: str | None = None) -> Fingerprints:
    """The fingerprints in a model's folder; where it has none, all of it is `missing`, which is no error.

    name: what messages call the folder.

    Raises ValueError for a damaged file or one of another format.
    """
    path = Path(folder) / FINGERPRINTS
    if not path.is_file():
        unknown = f"{name or folder} has no {FINGERPRINTS}"
        empty = RecordFacts.concatenate([])
        return Fingerprints(facts=empty, stage=np.empty(0, dtype=object), missing=(unknown,))
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path} cannot be read ({error}): fetch it again") from error
    about = json.loads((table.schema.metadata or {}).get(_ABOUT, b"{}"))
    if {key: about.get(key) for key in _FORMAT} != _FORMAT:
        raise ValueError(f"{path}: expected {_FORMAT}, found {about}: update seisfm, or train again")
    return Fingerprints(
        facts=RecordFacts.from_table(table),
        stage=np.array(table["stage"].to_pylist(), dtype=object),
        missing=tuple(about["missing"]),
    )
