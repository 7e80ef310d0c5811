"""All of a calibration as one YAML: which model, on which records."""

from __future__ import annotations

from dataclasses import dataclass

from ...data.loading.windows import WindowConfig
from ...data.sources import SourceConfig


@dataclass(frozen=True, kw_only=True)
class CalibrationConfig:
    """How a model is calibrated.

    model, revision: folder or hub id. output_dir: where the calibrated model and the report go; the model's
        own folder is calibrated in place.
    data: labelled records that the model has not learned from. noise: records without arrivals.
    windows: how they are cut and harmonized; None takes what the model was trained with (`training.yaml`).
    max_records: so many records at most of each of `data` and `noise`, evenly chosen.
    windows_per_record, noise_windows: of each record, and of what lies ahead of its first arrival.
    fit_share: of the events; their windows make the calibration, the other events' windows score it.
    tolerance_s: a pick is true with a labelled arrival of its phase within it.
    min_items: a head with fewer answers to fit to, or to score, keeps its answers as they are.
    strangeness: fit an out-of-distribution score too, and try it on disturbed windows.
    """

    model: str
    output_dir: str
    data: tuple[SourceConfig, ...]
    noise: tuple[SourceConfig, ...] = ()
    revision: str | None = None
    windows: WindowConfig | None = None
    max_records: int = 1000
    windows_per_record: int = 1
    noise_windows: int = 1
    fit_share: float = 0.5
    tolerance_s: float = 0.5
    min_items: int = 50
    strangeness: bool = True
    batch_size: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.fit_share < 1.0:
            raise ValueError(f"fit_share must lie between 0 and 1, found {self.fit_share}")
        if self.max_records < 1 or self.min_items < 2 or not self.tolerance_s > 0:
            raise ValueError(
                "max_records must be at least 1, min_items 2 and tolerance_s positive, "
                f"found {self.max_records}, {self.min_items} and {self.tolerance_s}"
            )
