"""What a finished run leaves in its folder: each file whole or not at all, and how the model came about."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..configs.loader import save_config
from ..data.records import Skipped
from ..data.splitting.fingerprints import Fingerprints, write_fingerprints


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder whose files go into `folder` at the end, each by a rename.

    Files of other names stay there: a run's folder holds its log and checkpoints as well.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".unfinished-") as name:
        unfinished = Path(name)
        yield unfinished
        for file in sorted(unfinished.iterdir()):
            file.replace(folder / file.name)


def write_papers(
    folder: Path, config: Any, metrics_json: str, skipped: Sequence[Skipped], learned: Fingerprints
) -> None:
    """How a model came about: all settings, its scores, what was skipped, and what it has seen.

    Writes `training.yaml`, `metrics.json`, `skipped.csv` and `training_data.parquet`.

    learned: the records that it has seen, in any role.
    """
    write_fingerprints(learned, folder)
    save_config(config, folder / "training.yaml")
    (folder / "metrics.json").write_text(metrics_json, encoding="utf-8")
    with (folder / "skipped.csv").open("w", newline="", encoding="utf-8") as table:
        csv.writer(table).writerows([("item", "reason"), *((item.item, item.reason) for item in skipped)])
