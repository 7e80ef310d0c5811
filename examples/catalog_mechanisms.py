"""Mechanisms of synthetic archives' catalogs with and without S/P ratios, beside the true ones.

    seisfm data synthesize-archive --stations 24 --minutes 30 --events 30 --seed 311 --out arc311
    seisfm catalog catalog/mechanisms.yaml archive=arc311/SDS stations=arc311/stations.xml \
        velocity_model=arc311/velocity_model.csv output_dir=arc311/out
    python examples/catalog_mechanisms.py --out runs/catalog_mechanisms --archive arc311 […]

Picks are those of the catalog, or with `--picks catalog.xml` the true ones with their first motions; every
variant takes the same. Variants are settings of
`MechanismsConfig` behind a name, as in `--variant "network, S/P: method=network model=seisfm-mechanism
amplitudes.window_s=0.5"`.
"""

import argparse
from pathlib import Path

import obspy
import pandas as pd
import torch
from seisfm.catalog.associate import associate
from seisfm.catalog.mechanisms import MechanismFinder, MechanismsConfig
from seisfm.catalog.pick_formats import read_picks
from seisfm.catalog.run import CatalogConfig
from seisfm.configs.loader import build_config, load_config
from seisfm.data.continuous.archive import Archive
from seisfm.data.earth.velocity import VelocityModel
from seisfm.data.formats.tables import read_stations
from seisfm.data.mechanism.double_couple import kagan_angles_deg
from seisfm.eval.mechanism.scores import score_mechanisms

PLANE = ["strike_deg", "dip_deg", "rake_deg"]
NETWORK = "method=network model=seisfm-mechanism"
SAME_TIME_S = 1.0

VARIANTS = (
    "grid search: amplitudes=null",
    "grid search, S/P: amplitudes={}",
    f"network: {NETWORK} amplitudes=null",
    f"network, S/P: {NETWORK} amplitudes={{}}",
)


def true_mechanisms(path):
    """Origin time in seconds since 1970 and strike, dip, rake of each event that is a double couple."""
    rows = []
    for event in obspy.read_events(str(path)):
        if event.focal_mechanisms:
            plane = event.focal_mechanisms[0].nodal_planes.nodal_plane_1
            rows.append((event.origins[0].time.timestamp, plane.strike, plane.dip, plane.rake))
    return pd.DataFrame(rows, columns=["time_s", *PLANE])


def located(folder, picks, settings):
    """The catalog of an archive without mechanisms, from a file of picks in its folder."""
    stations = read_stations(folder / "stations.xml")
    model = VelocityModel.from_file(folder / "velocity_model.csv")
    return associate(read_picks(folder / picks), stations, settings.association, model), stations, model


def kagan(events, truth):
    """The Kagan angle of each event with a mechanism to the true event at its time."""
    rows = []
    for event in events.to_dict("records"):
        off_s = (truth["time_s"] - event["time"].timestamp()).abs()
        if len(off_s) and off_s.min() < SAME_TIME_S:
            planes = (
                torch.tensor([one[name] for name in PLANE], dtype=torch.float64)
                for one in (event, truth.loc[off_s.idxmin()])
            )
            rows.append((event["event_id"], float(kagan_angles_deg(*planes)), event["mechanism_error_deg"]))
    return pd.DataFrame(rows, columns=["event_id", "kagan_deg", "stated_deg"])


def compare(folders, picks, variants):
    """One row an event and variant, of all archives."""
    settings = load_config(CatalogConfig, "catalog/mechanisms.yaml")
    parts = []
    for folder in folders:
        catalog, stations, model = located(folder, picks, settings)
        truth = true_mechanisms(folder / "catalog.xml")
        print(f"{folder}: {len(catalog)} located events, {len(truth)} true mechanisms", flush=True)
        for name, values in variants.items():
            config = build_config(MechanismsConfig, {}, values)
            archive = Archive.open(folder / "SDS") if config.amplitudes else None
            found = MechanismFinder(config, model, archive).add_to(catalog, stations)
            parts.append(kagan(found.mechanisms, truth).assign(variant=name, archive=folder.name))
            ratios = found.events["num_ratios"][found.events["strike_deg"].notna()]
            print(f"  {name}: {len(parts[-1])} mechanisms, {ratios.mean():.1f} ratios each", flush=True)
    return pd.concat(parts, ignore_index=True)


def table(scores):
    """A line a variant, over the events that all variants have a mechanism of."""
    counts = scores.groupby(["archive", "event_id"])["variant"].transform("nunique")
    lines = [
        "| | events | median | mean | 90 % | within 20° | median stated error |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, some in scores[counts == scores["variant"].nunique()].groupby("variant", sort=False):
        one = score_mechanisms(some["kagan_deg"])
        lines.append(
            f"| {name} | {one.count} | {one.median_deg:.1f} | {one.mean_deg:.1f} | {one.p90_deg:.1f} "
            f"| {100 * one.within_20_deg:.0f} % | {some['stated_deg'].median():.1f} |"
        )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--archive", type=Path, nargs="+", required=True, help="folders with a catalog in out/"
    )
    parser.add_argument("--picks", default="out/picks.parquet", help="in each of the folders")
    parser.add_argument("--variant", nargs="+", default=VARIANTS, help='"name: key=value key=value"')
    options = parser.parse_args()
    variants = {name: values.split() for name, _, values in (one.partition(": ") for one in options.variant)}
    scores = compare(options.archive, options.picks, variants)
    options.out.mkdir(parents=True, exist_ok=True)
    scores.to_csv(options.out / "scores.csv", index=False)
    print(table(scores))


if __name__ == "__main__":
    main()
