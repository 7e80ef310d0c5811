"""Does Monte Carlo dropout make first motions better or more honest, and does its spread tell the wrong ones?

    python examples/polarity_dropout.py study/heads.yaml windows=6400 output_dir=runs/polarity_dropout

Trains the arm `only polarity` of the heads study with and without dropout (what is trained is not trained
again), and asks both for the first motions of held-out synthetic events: at the true P, and 0.1 s before and
after it. Prints a table and writes it to `table.md`; see docs/uncertainty.md. The temperature of each is
fitted to other held-out events at the true P, as `seisfm calibrate` does.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from heads_study import Arm, StudyConfig, folder_of, run_of_arm, train_arm
from seisfm.configs.loader import load_config
from seisfm.data.synthesis import synthesize_records
from seisfm.eval.bootstrap import bootstrap_interval, sums_by_event
from seisfm.eval.calibration.fit import fit_temperature
from seisfm.eval.calibration.judged import JudgedClasses, chosen
from seisfm.eval.classification_metrics import classification_scores, most_probable
from seisfm.eval.detection_metrics import roc_auc
from seisfm.eval.head_scores import HeadScoresConfig
from seisfm.eval.model_picker import evaluation_mode
from seisfm.eval.references.phase_times import labelled_times
from seisfm.eval.report import write_atomically
from seisfm.eval.source_windows import source_windows
from seisfm.heads.model_folder import ModelFolder
from seisfm.heads.polarity import at_picks
from seisfm.heads.task_model import SeismicTaskModel, task_config

OFF_S = {"true P": (0.0,), "P ± 0.1 s": (-0.1, 0.1)}
RESAMPLES = 1000


@dataclass(frozen=True)
class Answers:
    """What was said of first motions that are known, and how far the passes are apart (NaN without)."""

    judged: JudgedClasses
    spread: np.ndarray


class FirstMotions:
    """Windows of held-out events, cut and harmonized as the heads study does."""

    def __init__(self, config: HeadScoresConfig, seed, num_events):
        windows = source_windows(synthesize_records(config.synthesis, seed, num_events), config.windows)
        self.batches = windows.harmonized(config.harmonization)
        self.event, self.truth = windows.event, windows.truth("polarity")

    def ask(self, model, passes) -> dict[str, Answers]:
        """The answers at each place of `OFF_S`."""
        said = []
        for batch in self.batches:
            with evaluation_mode(model):
                output = model(batch)["polarity"]
            p_s = torch.from_numpy(labelled_times(batch).p_s)[:, None]
            offsets = torch.tensor([offset for places in OFF_S.values() for offset in places])
            curves = [output["probability"], *([output["spread"]] if passes else [])]
            said.append(torch.stack([at_picks(one, batch.sampling_rate_hz, p_s + offsets) for one in curves]))
        all_said = torch.cat(said, dim=1).double().numpy()  # (curve, window, place, class)
        answers, first = {}, 0
        for name, places in OFF_S.items():
            answers[name] = self._judged(all_said[:, :, first : first + len(places)])
            first += len(places)
        return answers

    def _judged(self, said) -> Answers:
        repeat = said.shape[2]
        curves = said.reshape(len(said), -1, said.shape[-1])
        truth, event = np.repeat(self.truth, repeat), np.repeat(self.event, repeat)
        known = (truth >= 0) & np.isfinite(curves[0]).all(axis=1)
        curves, truth = curves[:, known], truth[known]
        best = np.arange(len(truth)), most_probable(curves[0])[0]
        spread = curves[1][best] if len(curves) > 1 else np.full(len(truth), np.nan)
        judged = JudgedClasses(
            event=event[known], probability=curves[0], truth=truth, weight=np.ones(len(truth))
        )
        return Answers(judged, spread)


def opened(folder, passes) -> SeismicTaskModel:
    """A model that answers with so many passes, which is a setting and no weight."""
    saved = ModelFolder.find(folder)
    config = task_config(saved)
    config.heads["polarity"]["mc_passes"] = passes
    return SeismicTaskModel.with_weights(config, saved.weights(), saved.source)


def tempered(judged: JudgedClasses, temperature) -> JudgedClasses:
    scaled = judged.probability ** (1.0 / temperature)
    return replace(judged, probability=scaled / scaled.sum(axis=1, keepdims=True))


def aucs(answers: Answers, seed) -> dict[str, str]:
    """How well wrong answers are told from right ones, by probability and by spread, and the difference.

    Of passes only where there is a spread: a moved P may fall into a gap, of which nothing was seen.
    """
    without = np.isnan(answers.spread)
    seen = without if without.all() else ~without
    judged, spread = chosen(answers.judged, seen), answers.spread[seen]
    predicted, confidence = most_probable(judged.probability)
    wrong = predicted != judged.truth
    _, event = np.unique(judged.event, return_inverse=True)
    rows_of = [np.flatnonzero(event == one) for one in range(event.max() + 1)]
    rng = np.random.default_rng(seed)

    def both(rows):
        scores = (1.0 - confidence[rows], spread[rows])
        return [roc_auc(score[wrong[rows]], score[~wrong[rows]]) for score in scores]

    resampled = []
    for _ in range(RESAMPLES):
        drawn = rng.integers(len(rows_of), size=len(rows_of))
        resampled.append(both(np.concatenate([rows_of[one] for one in drawn])))
    by_probability, by_spread = np.array(resampled).T
    columns = {"probability": by_probability, "spread": by_spread, "difference": by_spread - by_probability}
    values = dict(zip(("probability", "spread"), both(np.arange(len(wrong))), strict=True))
    values["difference"] = values["spread"] - values["probability"]
    return {name: _told(values[name], *np.percentile(columns[name], [2.5, 97.5])) for name in columns}


def scores(answers: Answers, temperature, seed) -> dict[str, str]:
    """One line of the table: accuracy, and honesty before and after the temperature."""
    judged, line = answers.judged, {"n": str(len(answers.judged))}
    found = classification_scores(judged.probability, judged.truth, judged.event, seed=seed)
    accuracy = found["balanced_accuracy"]
    line["balanced accuracy"] = _told(accuracy.value, accuracy.low, accuracy.high)
    for name, some in (("", judged), (" after T", tempered(judged, temperature))):
        line[f"−log likelihood{name}"] = _nll(some, seed)
        line[f"ECE{name}"] = f"{some.reliability().expected_calibration_error:.3f}"
    areas = aucs(answers, seed)
    told = {"AUC by probability": areas["probability"]}
    if np.isfinite(answers.spread).any():
        told |= {"AUC by spread": areas["spread"], "difference": areas["difference"]}
    return line | {"T": f"{temperature:.2f}"} | told


def _nll(judged: JudgedClasses, seed) -> str:
    said = np.maximum(judged.probability[np.arange(len(judged)), judged.truth], 1e-12)
    sums = sums_by_event(np.stack([-np.log(said), np.ones(len(said))], axis=1), judged.event.tolist())
    low, high = bootstrap_interval(sums, lambda s: s[..., 0] / s[..., 1], seed)
    return _told(judged.nll(), float(low), float(high))


def _told(value, low, high) -> str:
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def table_of(lines: list[dict[str, str]]) -> str:
    names = list(dict.fromkeys(name for line in lines for name in line))
    rows = [[line.get(name, "") for name in names] for line in lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in [names, ["---"] * len(names), *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", help="a study of heads")
    parser.add_argument("overrides", nargs="*", help="key=value")
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--passes", type=int, default=20)
    arguments = parser.parse_args()
    study = load_config(StudyConfig, arguments.config, arguments.overrides)
    override = f"heads.polarity.dropout={arguments.dropout}"
    plain = Arm(name="no dropout", heads=("polarity",))
    dropped = Arm(name=f"dropout {arguments.dropout:g}", heads=("polarity",), overrides=(override,))
    for seed in study.seeds:
        for arm in (plain, dropped):
            run_of_arm(study, arm, seed)  # a setting that does not exist shows before anything is trained
            train_arm(study, arm, seed)
    fit = FirstMotions(study.scores, study.scores.fit_seed, study.scores.fit_events)
    test = FirstMotions(study.scores, study.scores.seed, study.scores.num_events)
    lines = []
    for seed in study.seeds:
        for arm, passes in ((plain, 0), (dropped, 0), (dropped, arguments.passes)):
            model = opened(folder_of(study, arm, seed), passes)
            temperature = fit_temperature(fit.ask(model, passes)["true P"].judged)
            name = f"{arm.name}, {passes} passes" if passes else arm.name
            for place, answers in test.ask(model, passes).items():
                about = {"head": name, "seed": str(seed), "asked at": place}
                lines.append(about | scores(answers, temperature, study.scores.sources.seed))
    table = table_of(lines)
    write_atomically(Path(study.output_dir) / "table.md", table + "\n")
    print(table)


if __name__ == "__main__":
    main()
