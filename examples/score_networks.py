"""Do stations that listen to each other pick better? Two pickers on synthetic networks that neither has seen.

    python examples/score_networks.py --out runs/network_scores --model seisfm-tiny seisfm-network

Scored at low signal-to-noise ratios and on windows of noise, with the thresholds of the best F1 on a third
lot of networks, or with those that the models recommend (`recommended=true`). Of the second model also the
difference to the first is told, with an interval over networks, and the network at which it leads most
is drawn.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from seisfm.configs.loader import build_config
from seisfm.data.synthesis.network_windows import NetworkWindowsConfig, SyntheticNetworks
from seisfm.eval.bootstrap import bootstrap_interval, sums_by_event
from seisfm.eval.classification_metrics import reliability
from seisfm.eval.figures import new_figure
from seisfm.eval.peaks import join_picks, pick_peaks
from seisfm.eval.pick_metrics import count_picks, match_picks, precision_recall_f1
from seisfm.eval.scored_windows import ScoredWindows
from seisfm.heads.task_model import load_model, pick_calibration

PHASES = ("P", "S")
TOLERANCES_S = (0.1, 0.5)
GRID = np.round(np.arange(0.1, 0.91, 0.05), 2)
SNR_BINS_DB = ((-3.0, 3.0), (3.0, 10.0), (10.0, 100.0))
LOW = {"synthesis": {"snr": [0.1, 1.0], "sources": {"types": {"noise": 0.0}}}}
TYPES = ("earthquake", "quarry_blast", "explosion", "collapse", "surface_event")
QUIET = {"synthesis": {"sources": {"types": dict.fromkeys(TYPES, 0.0) | {"noise": 1.0}}}}


@dataclass(frozen=True, kw_only=True)
class ScoresConfig:
    """seed: of the networks, of which a training with the same seed sees none.

    test_networks: half as many more choose the thresholds, those of the best F1 at 0.5 s.
    recommended: take the thresholds that the models recommend instead. window_s: length of the windows.
    """

    seed: int = 0
    test_networks: int = 120
    window_s: float = 24.0
    recommended: bool = False


def networks_of(settings, config, seed):
    """Networks whose windows are as long as asked for."""
    settings = settings | {"window_s": config.window_s}
    return SyntheticNetworks(build_config(NetworkWindowsConfig, settings), seed)


def held_out(source, count):
    """So many networks' windows, as a protocol scores them."""
    batches = [source.network_windows(numbers) for numbers in torch.arange(count).split(8)]
    return ScoredWindows(
        batches=tuple(batches),
        event=np.array([name for batch in batches for name in batch.event_id]),
        station=np.array([name for batch in batches for name in batch.station_id]),
        is_noise=np.array([name == "noise" for batch in batches for name in batch.event_id]),
    )


def answers_of(model, windows):
    """All picks above the lowest threshold, and each batch's origin answers."""
    picks, origins, before = [], [], 0
    for batch in windows.batches:
        with torch.no_grad():
            answer = model(batch)
        found = pick_peaks(answer["picking"]["probability"], 100.0, dict.fromkeys(PHASES, float(GRID[0])))
        picks.append(found.shifted(before))
        origins.append(answer.get("origin"))
        before += len(batch)
    return join_picks(picks), origins


def best_thresholds(picks, windows):
    """Of each phase the threshold with the best F1 at 0.5 s."""
    best = {}
    for phase in PHASES:
        sums = [counts_of(picks.above({phase: float(t)}), windows, phase, 0.5).sum(axis=0) for t in GRID]
        best[phase] = float(GRID[int(np.argmax(np.nan_to_num(precision_recall_f1(sums)[:, 2])))])
    return best


def counts_of(picks, windows, phase, tolerance_s):
    """Right picks, false picks and misses of a phase in each window."""
    truth, own = windows.truth(phase), picks.of_phase(phase)
    matching = match_picks(truth, own.window, own.time_s, tolerance_s)
    return count_picks(truth, own.window, matching, tolerance_s).table


def score_rows(name, picks, windows):
    """Precision, recall and F1 of each phase and tolerance, with intervals over networks."""
    rows = []
    for phase in PHASES:
        for tolerance_s in TOLERANCES_S:
            counts = counts_of(picks, windows, phase, tolerance_s)
            scores = precision_recall_f1(counts.sum(axis=0))
            low, high = bootstrap_interval(sums_by_event(counts, windows.event), precision_recall_f1, seed=0)
            row = {"model": name, "phase": phase, "tolerance_s": tolerance_s}
            row["n"] = windows.truth(phase).num_arrivals
            for i, score in enumerate(("precision", "recall", "f1")):
                row |= {score: scores[i], f"{score}_low": low[i], f"{score}_high": high[i]}
            rows.append(row)
    return rows


def f1_difference(counts):
    """F1 of the second model minus that of the first, from the counts of both side by side."""
    first, second = (precision_recall_f1(counts[..., part])[..., 2:] for part in (slice(3), slice(3, 6)))
    return second - first


def difference_rows(picks, windows):
    """By how much the second model's F1 is above the first's, with intervals over networks."""
    rows = []
    for phase in PHASES:
        for tolerance_s in TOLERANCES_S:
            counts = [counts_of(found, windows, phase, tolerance_s) for found in picks]
            sums = sums_by_event(np.concatenate(counts, axis=1), windows.event)
            low, high = bootstrap_interval(sums, f1_difference, seed=0)
            row = {"phase": phase, "tolerance_s": tolerance_s, "low": float(low[0]), "high": float(high[0])}
            rows.append(row | {"f1_difference": float(f1_difference(sums.sum(axis=0))[0])})
    return rows


def honesty(picks, windows):
    """How far each phase's picks above the lowest threshold are from as true as they say."""
    told = {}
    for phase in PHASES:
        truth, own = windows.truth(phase), picks.of_phase(phase)
        judged = truth.labelled[own.window]
        right = match_picks(truth, own.window, own.time_s, 0.5).arrival[judged] >= 0
        error = reliability(own.probability[judged], right).expected_calibration_error
        told[phase] = {"expected_calibration_error": error, "n": int(judged.sum())}
    return told


def found_within(picks, windows, phase, tolerance_s=0.5):
    """Of each listed arrival: which window it is in, whether it counts, and whether it was found."""
    truth, own = windows.truth(phase), picks.of_phase(phase)
    matching = match_picks(truth, own.window, own.time_s, tolerance_s)
    counts = truth.scored & truth.labelled[truth.window]
    return truth.window, counts, np.isfinite(matching.residual_s)


def recall_by_snr(name, picks, windows):
    """Recall at 0.5 s of arrivals of a kind, and how many there are."""
    rows = []
    for phase in PHASES:
        window, counts, found = found_within(picks, windows, phase)
        snr_db = torch.cat([batch.labels[f"{phase.lower()}_snr_db"] for batch in windows.batches]).numpy()
        for low, high in SNR_BINS_DB:
            inside = counts & (snr_db[window] >= low) & (snr_db[window] < high)
            rows.append({"model": name, "phase": phase, "snr_db": f"{low:g} to {high:g}"})
            rows[-1] |= {"n": int(inside.sum()), "recall": float(found[inside].mean())}
    return rows


def both_phases(picks, windows):
    """Share of stations with P and S in the window of which both are picked, by network (hits, stations)."""
    hit = np.zeros((len(windows), 2), dtype=bool)
    asked = np.zeros((len(windows), 2), dtype=bool)
    for column, phase in enumerate(PHASES):
        window, counts, found = found_within(picks, windows, phase)
        asked[window[counts], column] = True
        hit[window[counts & found], column] = True
    whole = asked.all(axis=1)
    return np.stack([hit.all(axis=1) & whole, whole], axis=1).astype(float)


def origin_errors(origins, windows):
    """Errors of each station's origin time where it sees an event best, and their spread in a network."""
    if None in origins:
        return {}
    errors, networks = [], []
    for number, (answer, batch) in enumerate(zip(origins, windows.batches, strict=True)):
        sample = answer["center_probability"].argmax(dim=1)
        row = torch.arange(len(batch))
        named_s = sample / 100.0 - answer["since_origin_s"][row, sample]
        error_s = named_s - batch.labels["origin_s"][:, 0]
        known = error_s.isfinite() & batch.observed.any(dim=(1, 2)) & batch.labels["p_labelled"]
        errors.append(error_s[known].numpy())
        networks.append(batch.event_index[known].numpy() + 1000 * number)
    error_s, network = np.concatenate(errors), np.concatenate(networks)
    spread = pd.Series(error_s).groupby(network).agg(lambda part: np.median(np.abs(part - np.median(part))))
    return {
        "origin_median_absolute_error_s": float(np.median(np.abs(error_s))),
        "origin_median_spread_in_a_network_s": float(spread.median()),
        "n_stations": len(error_s),
    }


def evaluate(models, config):
    """All tables: thresholds on one lot of networks, scores on another, false picks on a third."""
    development = held_out(networks_of(LOW, config, 20_000 + config.seed), max(config.test_networks // 2, 1))
    windows = held_out(networks_of(LOW, config, 10_000 + config.seed), config.test_networks)
    noise = held_out(networks_of(QUIET, config, 30_000 + config.seed), config.test_networks)
    scores, recalls, others, chosen = [], [], {}, []
    for name, model in models.items():
        if config.recommended:
            known = pick_calibration(model)
            thresholds = {"P": known.p_threshold, "S": known.s_threshold}
        else:
            thresholds = best_thresholds(answers_of(model, development)[0], development)
        found, origins = answers_of(model, windows)
        picks = found.above(thresholds)
        chosen.append(picks)
        scores += score_rows(name, picks, windows)
        recalls += recall_by_snr(name, picks, windows)
        whole = sums_by_event(both_phases(picks, windows), windows.event)
        low, high = bootstrap_interval(whole, lambda sums: sums[..., 0] / sums[..., 1], seed=0)
        false = answers_of(model, noise)[0].above(thresholds)
        hours = noise.truth("P").station_hours
        others[name] = {
            "thresholds": thresholds,
            "both_phases": float(whole[:, 0].sum() / whole[:, 1].sum()),
            "both_phases_interval": [float(low), float(high)],
            "n_both": int(whole[:, 1].sum()),
            "false_picks_per_station_hour": {p: len(false.of_phase(p)) / hours for p in PHASES},
            "noise_station_hours": hours,
            "honesty": honesty(found, windows),
        } | origin_errors(origins, windows)
    others[list(models)[-1]]["f1_above_the_other"] = difference_rows(chosen, windows)
    return windows, pd.DataFrame(scores), pd.DataFrame(recalls), others


def draw_section(models, others, windows, path):
    """The network of the test at which the two models differ most, one panel a model."""
    best = max(range(len(windows.batches)), key=lambda i: _gain(models, others, windows.batches[i])[0])
    batch = windows.batches[best]
    rows = (batch.event_index == _gain(models, others, batch)[1]).nonzero().flatten()
    batch = batch.select(rows[batch.labels["distance_km"][rows].argsort()])
    figure, axes = new_figure(0.45 * len(rows) + 2.0, 1, len(models), sharey=True)
    time_s = np.arange(batch.num_samples) / 100.0
    for axis, (name, model) in zip(np.ravel(axes), models.items(), strict=True):
        for place, trace in enumerate(batch.waveform[:, 0].numpy()):
            fast = trace - np.convolve(trace, np.ones(50) / 50, mode="same")
            size = np.abs(fast[np.isfinite(fast)]).max(initial=1e-30)
            axis.plot(time_s, place + 0.4 * fast / size, color="#22262b", lw=0.4)
        picks = _picks(model, batch, others[name]["thresholds"])
        for phase, color in zip(PHASES, ("#0072b2", "#d55e00"), strict=True):
            own = picks.of_phase(phase)
            axis.vlines(own.time_s, own.window - 0.45, own.window + 0.45, color=color, lw=2, label=phase)
            true_s = batch.labels[f"{phase.lower()}_arrival_s"][:, 0].numpy()
            axis.plot(true_s, np.arange(len(batch)), "o", mfc="none", mec=color, ms=7)
        axis.set(title=name, xlabel="time in window (s)", xlim=(0, batch.num_samples / 100.0))
        axis.set_yticks(range(len(batch)), [f"{km:.0f} km" for km in batch.labels["distance_km"].tolist()])
    figure.savefig(path, dpi=110)


def _picks(model, batch, thresholds):
    with torch.no_grad():
        probability = model(batch)["picking"]["probability"]
    return pick_peaks(probability, 100.0, dict.fromkeys(PHASES, float(GRID[0]))).above(thresholds)


def _gain(models, others, batch):
    """By how many right picks the second model leads at its best network of a batch, and which that is."""
    windows = ScoredWindows(
        batches=(batch,),
        event=np.array(batch.event_id),
        station=np.array(batch.station_id),
        is_noise=np.zeros(len(batch), dtype=bool),
    )
    totals = []
    for name, model in models.items():
        picks, network = _picks(model, batch, others[name]["thresholds"]), batch.event_index.numpy()
        total = np.zeros(network.max() + 1)
        for phase in PHASES:
            window, counts, found = found_within(picks, windows, phase)
            np.add.at(total, network[window[counts & found]], 1)
        totals.append(total)
    lead = totals[-1] - totals[0]
    return int(lead.max()), int(lead.argmax())


def write_scores(models, config, folder):
    """All tables and the figure of two models into a folder; what else is known of each."""
    windows, scores, recalls, others = evaluate(models, config)
    folder.mkdir(parents=True, exist_ok=True)
    for name, model in models.items():
        others[name] |= {"parameters": sum(p.numel() for p in model.parameters())}
    scores.to_csv(folder / "scores.csv", index=False)
    recalls.to_csv(folder / "recall_by_snr.csv", index=False)
    draw_section(models, others, windows, folder / "section.png")
    print(scores.round(3).to_string(), recalls.round(3).to_string(), json.dumps(others, indent=1), sep="\n")
    return others


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", nargs=2, required=True, help="two pickers, by name or folder")
    parser.add_argument("settings", nargs="*", help="key=value of ScoresConfig")
    options = parser.parse_args()
    config = build_config(ScoresConfig, {}, options.settings)
    models = {Path(name).name: load_model(name) for name in options.model}
    if len(models) < 2:
        raise ValueError(f"the two models must have different names, found {options.model}")
    others = write_scores(models, config, options.out)
    (options.out / "metrics.json").write_text(json.dumps(others, indent=1))


if __name__ == "__main__":
    main()
