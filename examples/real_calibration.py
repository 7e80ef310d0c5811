"""Are models that were calibrated on synthetic earthquakes honest on real ones, and do real ones mend them?

    python examples/real_calibration.py --model seisfm-tiny releases/seisfm-small --out runs/real_calibration

Reads the folder that SEISFM_DATA names. The answers of each model are judged as it was trained, as it is
published, calibrated on half of the same set's events (each half judged by the numbers of the other one),
and, for picks, calibrated on the development half of ncedc_phasenet. Writes `calibration.csv`, `table.md`,
`fits.txt` and a figure for each model.
"""

import argparse
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from convert_real_sets import california, chile, ground_motion
from matplotlib.figure import Figure
from score_references import REAL, GivenModel, cut_of, with_path, with_predicted_p
from seisfm.data.earth.velocity import VelocityModel
from seisfm.eval.bootstrap import bootstrap_interval, sums_by_event
from seisfm.eval.calibration.collect import JudgedAnswers, judge_answers
from seisfm.eval.calibration.config import CalibrationConfig
from seisfm.eval.calibration.fit_heads import Settings, fit_heads, fit_times
from seisfm.eval.calibration.judged import Judged, JudgedClasses, JudgedNumbers, chosen
from seisfm.eval.calibration.run import PICK_TIME, for_fit
from seisfm.eval.calibration.summary import measures
from seisfm.eval.figures import BLUE, GREEN, ORANGE, PURPLE, new_figure
from seisfm.eval.report import write_atomically
from seisfm.eval.scored_windows import ScoredWindows
from seisfm.eval.source_windows import SourceWindowsConfig, source_windows
from seisfm.eval.transfer import TransferConfig, load_transfer_data
from seisfm.heads.calibration import PickCalibration
from seisfm.heads.task_model import SeismicTaskModel

TRAINED, PUBLISHED, HALF, DEVELOPMENT = "as trained", "published", "half of these events", "development half"
NCEDC, DENOISER = "ncedc_phasenet, test half", "ncedc_denoiser"
MOTION, CHILE = "events_groundmotion, california_mw", "chile_seisbench"
PICKS = ("picking_p", "picking_s", PICK_TIME)
SOURCE = ("magnitude", "distance", "back_azimuth", "depth")

# Another seed than that of the transfer protocol's split, of which a half would be one side.
CONFIG = CalibrationConfig(model="", output_dir="", data=(), min_items=20, seed=1)

DRAWN = {
    (NCEDC, "picking_p"): "P, ncedc_phasenet",
    (NCEDC, "picking_s"): "S, ncedc_phasenet",
    (DENOISER, "picking_p"): "P, ncedc_denoiser",
    (NCEDC, PICK_TIME): "times, ncedc_phasenet",
    (DENOISER, PICK_TIME): "times, ncedc_denoiser",
    (MOTION, "magnitude"): "magnitude, 10 events",
    (MOTION, "distance"): "distance, 10 events",
    (MOTION, "back_azimuth"): "back azimuth, 10 events",
    (MOTION, "depth"): "depth, 10 events",
    (CHILE, "distance"): "distance, Chile",
    (CHILE, "back_azimuth"): "back azimuth, Chile",
}
"""What the figure shows of which set."""

MARKS = {TRAINED: ("o", ORANGE), PUBLISHED: ("s", BLUE), HALF: ("^", GREEN), DEVELOPMENT: ("D", PURPLE)}

Answers = dict[str, Judged]


def answered(model: SeismicTaskModel, windows: ScoredWindows, settings: Settings) -> JudgedAnswers:
    """All that can be judged, with some calibration."""
    model.config.calibrate(settings)
    return judge_answers(model, windows, CONFIG.tolerance_s)


def with_times(told: JudgedAnswers, settings: Settings) -> Answers:
    """The answers by head, and the times of picks with the deviations that a calibration gives them."""
    std_s = PickCalibration(**settings.get("picking", {})).time_std_s(told.pick_probability, told.time_std_s)
    return {**told.heads, PICK_TIME: JudgedNumbers(event=told.pick_event, error=told.residual_s, std=std_s)}


def fitted(
    model: SeismicTaskModel,
    windows: ScoredWindows,
    raw: JudgedAnswers,
    mine: Callable[[np.ndarray], np.ndarray],
) -> tuple[Settings, Answers, list[str]]:
    """The calibration that the events of `mine` ask for, all answers under it, and what stays as it is."""
    parts = {name: chosen(part, mine(part.event)) for name, part in raw.heads.items()}
    settings, skipped = fit_heads(model.heads, parts, CONFIG.min_items)
    told = answered(model, windows, settings)
    if "picking" in settings:
        settings["picking"] |= fit_times(told, mine(told.pick_event), CONFIG, skipped)
    notes = [f"{one.item}: {one.reason}" for one in skipped if "found 0" not in one.reason]
    return settings, with_times(told, settings), [f"{settings}", *notes]


def all_of(event: np.ndarray) -> np.ndarray:
    return np.ones(len(event), dtype=bool)


def crossed(model: SeismicTaskModel, windows: ScoredWindows, raw: JudgedAnswers) -> tuple[Answers, list[str]]:
    """Each half of the events, answered with the calibration that the other half asks for."""
    first = for_fit(CONFIG)
    sides: list[Answers] = []
    told = []
    for mine in (first, lambda event: ~first(event)):
        _, both, notes = fitted(model, windows, raw, mine)
        sides.append({name: chosen(part, ~mine(part.event)) for name, part in both.items()})
        told += notes
    return {name: joined(sides[0][name], part) for name, part in sides[1].items()}, told


def joined(one: Judged, other: Judged) -> Judged:
    names = [field.name for field in dataclasses.fields(one)]
    return type(one)(**{name: np.concatenate([getattr(one, name), getattr(other, name)]) for name in names})


def pick_sets() -> dict[str, ScoredWindows]:
    """Windows of the transfer protocol."""
    data = load_transfer_data(TransferConfig())
    names = {"test": NCEDC, "P only": DENOISER, "dev": DEVELOPMENT}
    return {name: data.events[key] for key, name in names.items() if key in data.events}


def source_sets(given: GivenModel, window_s: float) -> dict[str, ScoredWindows]:
    """Windows of `score_references.py`, in the unit that the model was trained with."""
    velocity = VelocityModel.default()
    motion = [*ground_motion(REAL / "events_groundmotion")[0], *california(REAL / "california_mw")[0]]
    sets = {
        MOTION: source_windows(
            [with_predicted_p(record, velocity) for record in motion], cut_of(window_s, 8.0)
        ),
        CHILE: source_windows(
            [with_path(record) for record in chile(REAL / "chile_seisbench")[0]],
            SourceWindowsConfig(window_s=60.0, sampling_rate_hz=20.0, p_position_s=(0.0, 0.0)),
        ),
    }
    oriented = dataclasses.replace(given.harmonization, orient=True)
    return {
        name: ScoredWindows(
            batches=tuple(windows.harmonized(oriented)),
            event=windows.event,
            station=windows.station,
            is_noise=np.zeros(len(windows), dtype=bool),
        )
        for name, windows in sets.items()
    }


def judged_sets(
    given: GivenModel, picks: Mapping[str, ScoredWindows], sources: Mapping[str, ScoredWindows]
) -> Iterator[tuple[str, dict[str, Answers], list[str]]]:
    """Of each set its answers by calibration, and what was said of the fits."""
    model, published = given.model, dict(given.model.config.calibration or {})
    learned = picks[DEVELOPMENT]
    of_learned, _, learned_notes = fitted(model, learned, answered(model, learned, {}), all_of)
    yield DEVELOPMENT, {}, learned_notes
    for name, windows in {**picks, **sources}.items():
        if name == DEVELOPMENT:
            continue
        wanted = PICKS if name in picks else SOURCE
        raw = answered(model, windows, {})
        told = {
            TRAINED: with_times(raw, {}),
            PUBLISHED: with_times(answered(model, windows, published), published),
        }
        told[HALF], notes = crossed(model, windows, raw)
        if name in picks:
            told[DEVELOPMENT] = with_times(answered(model, windows, of_learned), of_learned)
        model.config.calibrate(published)
        yield name, {k: {h: v[h] for h in wanted if h in v and len(v[h])} for k, v in told.items()}, notes


def rows_of(set_name: str, told: Mapping[str, Answers]) -> Iterator[dict[str, object]]:
    """One row a kind of answers and calibration; gains of log likelihood beside the model as trained."""
    for head, raw in told.get(TRAINED, {}).items():
        for how, sides in told.items():
            judged = sides[head]
            found = measures(judged)
            row = {"set": set_name, "answers": head, "calibration": how, "n": len(judged)}
            row |= {"events": len(np.unique(judged.event)), "error": found["error"], "nll": found["nll"]}
            row |= {f"covers_{level:g}": share for level, share in found.get("coverage", {}).items()}
            if isinstance(judged, JudgedClasses):
                row |= {"said": judged.probability[:, 1].mean(), "came_true": judged.truth.mean()}
            yield row | dict(zip(("gain_low", "gain_high"), gain_interval(raw, judged), strict=True))


def gain_interval(raw: Judged, judged: Judged) -> tuple[float, float]:
    """95 % over events of how much mean −log likelihood a calibration saves."""
    events = np.unique(np.concatenate([raw.event, judged.event]))
    columns = [
        sums_by_event(
            np.concatenate([np.stack([part.nlls(), np.ones(len(part))], axis=1), np.zeros((len(events), 2))]),
            [*part.event.tolist(), *events.tolist()],
        )
        for part in (raw, judged)
    ]
    low, high = bootstrap_interval(
        np.concatenate(columns, axis=1), lambda x: x[:, 0] / x[:, 1] - x[:, 2] / x[:, 3], seed=0
    )
    return float(low), float(high)


def errors_figure(table: pd.DataFrame) -> Figure:
    """How far what is said is from what comes true, by answers and calibration; 0 is honest."""
    figure, (axes,) = new_figure(1.3 + 0.36 * len(DRAWN))
    for how, (marker, color) in MARKS.items():
        rows = table[table.calibration == how].set_index(["set", "answers"]).error
        places = [i for i, key in enumerate(DRAWN) if key in rows.index]
        errors = [rows[key] for key in DRAWN if key in rows.index]
        axes.plot(errors, places, marker, ls="", color=color, ms=7, mfc="none", mew=1.8, label=how)
    counts = table[table.calibration == TRAINED].set_index(["set", "answers"]).n
    names = [
        f"{name} (n = {int(counts[key])})" if key in counts.index else name for key, name in DRAWN.items()
    ]
    axes.set_yticks(range(len(DRAWN)), names)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("calibration error (0 is honest)")
    axes.grid(alpha=0.25)
    figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=11, handlelength=1.4)
    return figure


def markdown(table: pd.DataFrame) -> str:
    lines = ["| " + " | ".join(table) + " |", "| " + " | ".join("---" for _ in table) + " |"]
    for cells in table.itertuples(index=False):
        shown = [f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in cells]
        lines.append("| " + " | ".join(shown).replace("nan", "") + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", nargs="+", required=True, help="folders or names of calibrated models")
    parser.add_argument("--window-s", nargs="+", type=float, help="of motion records, one a model (30 s)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the tables and figures")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    picks, tables, notes = pick_sets(), [], []
    for path, window_s in zip(options.model, options.window_s or [30.0] * len(options.model), strict=True):
        given = GivenModel.open(path)
        for name, told, said in judged_sets(given, picks, source_sets(given, window_s)):
            tables.append(pd.DataFrame(rows_of(name, told)).assign(model=path))
            notes += [f"{path}, {name}: {line}" for line in said]
        table = pd.concat(tables, ignore_index=True)
        write_atomically(options.out / "calibration.csv", table.to_csv(index=False))
        write_atomically(options.out / "table.md", markdown(table))
        write_atomically(options.out / "fits.txt", "\n".join(notes) + "\n")
        drawn = errors_figure(table[table.model == path])
        drawn.savefig(options.out / f"{Path(path).name}.png", dpi=150)
        print(f"{path}: done", flush=True)


if __name__ == "__main__":
    main()
