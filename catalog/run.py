"""From an archive to a catalog in one run that can be stopped and taken up again."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from ..configs.loader import save_config
from ..data.continuous.archive import Archive
from ..data.earth.velocity import VelocityModel
from ..data.formats.tables import read_stations
from ..data.records import Skipped
from ..eval.report import to_json, write_atomically
from .archive_run import pick_archive
from .associate import AssociationConfig, associate
from .events import Catalog
from .files import replacing
from .mechanisms import MechanismFinder, MechanismsConfig
from .pick_formats import write_picks
from .pick_table import PickTable
from .picker import Picker, PickerConfig
from .quakeml import write_quakeml
from .report import write_report


@dataclass(frozen=True, kw_only=True)
class CatalogConfig:
    """A whole run: what goes in, how it is done, where it goes.

    archive: an SDS tree or a folder of waveform files. stations: StationXML or CSV. velocity_model: a layer
    table or CSV (see `VelocityModel.from_file`), or None for a mean crust. model: a task model's folder, hub
    id or bundled name, with `revision` to pin it. station_ids: only these (NET.STA.LOC); empty takes all.
    mechanisms: how focal mechanisms are found, from the first motions of a model with a polarity head; None
    looks for none.
    """

    archive: str
    stations: str
    model: str
    output_dir: str
    velocity_model: str | None = None
    revision: str | None = None
    device: str = "cpu"
    station_ids: tuple[str, ...] = ()
    picker: PickerConfig = field(default_factory=PickerConfig)
    association: AssociationConfig = field(default_factory=AssociationConfig)
    mechanisms: MechanismsConfig | None = None
    max_record_sections: int = 30
    show_progress: bool = True


@dataclass(frozen=True, kw_only=True)
class CatalogRun:
    """What a run gave. `errors` are station-days that failed: the run is only whole where there are none."""

    catalog: Catalog
    picks: PickTable
    errors: list[Skipped]
    output_dir: Path


def run_catalog(config: CatalogConfig, picker: Picker | None = None) -> CatalogRun:
    """Pick, associate and locate everything in an archive, and find mechanisms where that is asked for.

    The output folder gets `picks/` (a Parquet file for each station-day, not computed again by a later run),
    `picks.parquet`, `catalog.csv`, `arrivals.csv`, `catalog.xml` (QuakeML), `skipped.csv`, `report.html`,
    `summary.json`, the resolved settings in `catalog.yaml`, and with mechanisms `mechanisms.csv`.

    picker: instead of one made from `config.model` and `config.picker`.

    Raises FileNotFoundError or ValueError, with the way out, for missing inputs, for an output folder that
    holds picks of another model, and for mechanisms with a model that tells no first motions.
    """
    archive, stations = Archive.open(config.archive), read_stations(config.stations)
    velocity_model = (
        VelocityModel.from_file(config.velocity_model) if config.velocity_model else VelocityModel.default()
    )
    finder = MechanismFinder(config.mechanisms, velocity_model, archive) if config.mechanisms else None
    picker = picker or _picker(config)
    if finder is not None and not picker.tells_first_motions:
        raise ValueError(
            f"mechanisms need the first motions of a model with a polarity head, and {picker.name} has none: "
            "take another model, such as seisfm-tiny, or leave mechanisms out"
        )
    folder = Path(config.output_dir)
    run = pick_archive(
        archive,
        picker,
        folder,
        stations=config.station_ids or None,
        places=stations,
        show_progress=config.show_progress,
    )
    catalog = associate(run.picks, stations, config.association, velocity_model)
    if finder is not None:
        catalog = finder.add_to(catalog, stations)
    skipped = list(dict.fromkeys([*run.skipped, *catalog.skipped]))
    catalog = dataclasses.replace(catalog, skipped=skipped)
    _write(folder, config, catalog, run.picks, run.errors)
    write_report(
        folder / "report.html",
        catalog,
        run.picks,
        stations,
        archive,
        velocity_model,
        max_record_sections=config.max_record_sections,
        errors=run.errors,
    )
    return CatalogRun(catalog=catalog, picks=run.picks, errors=run.errors, output_dir=folder)


def _picker(config: CatalogConfig) -> Picker:
    return Picker.from_pretrained(
        config.model, config.revision, device=config.device, **dataclasses.asdict(config.picker)
    )


def _write(
    folder: Path, config: CatalogConfig, catalog: Catalog, picks: PickTable, errors: list[Skipped]
) -> None:
    with replacing(folder / "catalog.yaml") as temporary:
        save_config(config, temporary)
    write_picks(picks, folder / "picks.parquet")
    solutions_path = None if catalog.mechanisms is None else folder / "mechanisms.csv"
    catalog.write_csv(folder / "catalog.csv", folder / "arrivals.csv", solutions_path)
    write_quakeml(catalog, folder / "catalog.xml")
    with replacing(folder / "skipped.csv") as temporary:
        pd.DataFrame(
            [(note.item, note.reason) for note in catalog.skipped], columns=["item", "reason"]
        ).to_csv(temporary, index=False)
    write_atomically(folder / "summary.json", to_json(_summary(catalog, picks, errors)))


def _summary(catalog: Catalog, picks: PickTable, errors: list[Skipped]) -> dict[str, object]:
    events, mechanisms = catalog.events, catalog.mechanisms
    about_mechanisms = {} if mechanisms is None else {"num_mechanisms": len(mechanisms)}
    return {
        "num_picks": len(picks),
        "num_p": int(picks.frame["phase"].str.startswith("P").sum()),
        "num_s": int(picks.frame["phase"].str.startswith("S").sum()),
        "num_stations_with_picks": picks.frame["station_id"].nunique(),
        "num_events": len(catalog),
        "num_arrivals": len(catalog.arrivals),
        "association_rate": len(catalog.arrivals) / len(picks) if len(picks) else None,
        "median_rms_s": float(events["rms_s"].median()) if len(catalog) else None,
        "median_azimuthal_gap_deg": float(events["azimuthal_gap_deg"].median()) if len(catalog) else None,
        **about_mechanisms,
        "num_skipped": len(catalog.skipped),
        "errors": [f"{error.item}: {error.reason}" for error in errors],
        "model": picks.frame["model"].iloc[0] if len(picks) else None,
        "model_revision": picks.frame["model_revision"].iloc[0] if len(picks) else None,
    }
