"""Mechanism networks beside the grid search on synthetic events whose mechanism is known.

    python examples/score_mechanisms.py --out runs/mechanism_scores --model runs/mechanism […]

All get the same first motions and S/P ratios with the errors of `ObservationConfig`; the search is told how
far off directions are on average, and answers events with at least 8 first motions, whatever their gaps. Only
events that it answers are compared.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd
import torch
from seisfm.configs.loader import build_config
from seisfm.data.mechanism.double_couple import couple_tensors, fault_vectors, frame_angles_deg, frames_of
from seisfm.data.mechanism.radiation import p_radiation, ray_products, rays_of
from seisfm.data.mechanism.synthetic import ObservationConfig, draw_observations
from seisfm.data.records import Skipped
from seisfm.eval.mechanism.first_motions import FirstMotions
from seisfm.eval.mechanism.grid_search import GridSearchConfig, search_mechanisms
from seisfm.heads.mechanism import MechanismHead

STATIONS = (8, 16, 32, 64, 100)
TRIALS = 30
SEARCH = "grid search"


def motions_of(observations, event, error_deg, generator):
    """One event as the search reads it: directions in trials, the first of them as they were told."""
    there = observations.observed[event]

    def trials(angle_deg):
        off = error_deg * torch.randn(TRIALS, int(there.sum()), generator=generator)
        off[0] = 0.0
        return (angle_deg[event, there] + off).double()

    return FirstMotions(
        polarity=observations.polarity[event, there].nan_to_num(0.0).sign().double(),
        impulsive=there[there],
        log10_sp_ratio=observations.log10_sp_ratio[event, there].double(),
        azimuth_deg=trials(observations.azimuth_deg),
        takeoff_deg=trials(observations.takeoff_deg).clamp(0.0, 180.0),
    )


def search(observations, config, seed):
    """Strike, dip, rake `(event, 3)` of the best solution, NaN for an event without an answer."""
    generator = torch.Generator().manual_seed(seed)
    settings = GridSearchConfig(max_gap_deg=360.0, max_takeoff_gap_deg=90.0, seed=seed)
    answers = []
    for event in range(len(observations.observed)):
        motions = motions_of(observations, event, config.direction_error_deg / 2.0, generator)
        found = search_mechanisms(motions, settings)
        answers.append((torch.nan,) * 3 if isinstance(found, Skipped) else found[0].mechanism_deg)
    return torch.tensor(answers)


def wrong_polarities(observations, mechanism_deg):
    """The share of an event's observed first motions that its answer does not radiate `(event,)`."""
    products = ray_products(rays_of(observations.azimuth_deg, observations.takeoff_deg))
    p = p_radiation(products, couple_tensors(*fault_vectors(mechanism_deg))[:, None])[..., 0]
    known = observations.observed & observations.polarity.isfinite()
    wrong = (p.sign() != observations.polarity.sign()) & known
    return wrong.sum(dim=1) / known.sum(dim=1).clamp(min=1)


def rows_of(name, observations, frames, mechanism_deg, stated=None):
    """One row an event: how far the answer is from the truth, and whether the stated angles hold it."""
    kagan_deg = frame_angles_deg(frames_of(*fault_vectors(mechanism_deg.double())), frames.double())
    rows = {"answer": name, "kagan_deg": kagan_deg, "wrong": wrong_polarities(observations, mechanism_deg)}
    if stated is not None:
        rows |= {"expected_deg": stated["error_deg"]} | {
            f"within_{level}": kagan_deg <= stated["radius_deg"][:, column]
            for column, level in enumerate((68, 95))
        }
    return pd.DataFrame(
        {key: value if isinstance(value, str) else value.numpy() for key, value in rows.items()}
    )


def score(models, config, events, seed):
    parts = []
    for stations in STATIONS:
        config = replace(config, stations=(stations, stations))
        observations, frames = draw_observations(events, config, torch.Generator().manual_seed(seed))
        searched = search(observations, config, seed)
        answered = searched.isfinite().all(dim=1).numpy()
        found = [rows_of(SEARCH, observations, frames, searched)]
        for name, head in models.items():
            answers = head.predict(observations)
            found.append(rows_of(name, observations, frames, answers["mechanism_deg"], answers))
        parts += [part[answered].assign(stations=stations, event=answered.nonzero()[0]) for part in found]
        print(f"{stations} stations: {answered.sum()} events", flush=True)
    return pd.concat(parts, ignore_index=True)


def table(scores):
    names = dict.fromkeys(scores["answer"])
    lines = ["| stations | events | " + " | ".join(names) + " |", "|---" * (2 + len(names)) + "|"]
    for stations, some in scores.groupby("stations"):
        medians = [some[some["answer"] == name]["kagan_deg"] for name in names]
        cells = [f"{one.median():.1f}, {one.mean():.1f}, {100 * (one <= 20).mean():.0f} %" for one in medians]
        lines.append(f"| {stations} | {len(medians[0])} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(path, scores):
    figure, axes = plt.subplots(figsize=(7, 4))
    for number, (name, some) in enumerate(scores.groupby("answer", sort=False)):
        by_stations = some.groupby("stations")["kagan_deg"]
        middle, low, high = by_stations.median(), by_stations.quantile(0.25), by_stations.quantile(0.75)
        place = middle.index * (1.0 + 0.03 * number)
        axes.errorbar(place, middle, [middle - low, high - middle], marker="o", capsize=3, label=name)
    axes.set(xscale="log", xlabel="stations", ylabel="Kagan angle to the truth (°), median and quartiles")
    axes.set_xticks(STATIONS, [str(stations) for stations in STATIONS])
    axes.minorticks_off()
    axes.set_ylim(0)
    axes.legend()
    figure.savefig(path, dpi=130, bbox_inches="tight")
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", nargs="*", default=[], help="folders written by train_mechanism.py")
    parser.add_argument("--events", type=int, default=100, help="for each number of stations")
    parser.add_argument("--seed", type=int, default=10_000)
    parser.add_argument("settings", nargs="*", help="key=value of the observations")
    options = parser.parse_args()
    config = build_config(ObservationConfig, {}, options.settings)
    models = {Path(name).name: MechanismHead.from_pretrained(name) for name in options.model}
    scores = score(models, config, options.events, options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    scores.to_csv(options.out / "scores.csv", index=False)
    print(table(scores))
    columns = [name for name in ("expected_deg", "within_68", "within_95", "wrong") if name in scores]
    print(scores.groupby(["stations", "answer"], sort=False)[columns].mean().round(3).to_string())
    draw(options.out / "mechanisms.png", scores)


if __name__ == "__main__":
    main()
