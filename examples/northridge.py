"""Mechanisms of 24 Northridge aftershocks from first motions and S/P ratios, beside HASH's published answers.

    python examples/northridge.py --out runs/northridge [--model runs/mechanism]

The data are those of the HASH distribution: example 1 has angles in its file, example 2 traces rays through
five velocity models, example 3 adds S/P ratios. With a mechanism model its answers stand beside the search's.
"""

import argparse
import dataclasses
import json
import os
from dataclasses import replace
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from obspy.imaging.beachball import beach
from seisfm.data.formats.hash_files import (
    corrected,
    read_amplitudes,
    read_fpfit,
    read_gradient_model,
    read_hash_phases,
    read_mechanisms,
    read_reversals,
    read_station_corrections,
    read_station_places,
)
from seisfm.data.records import Skipped
from seisfm.eval.mechanism.first_motions import observations_of
from seisfm.eval.mechanism.grid_search import GridSearchConfig, search_mechanisms
from seisfm.eval.mechanism.scores import kagan_to_reference, score_mechanisms
from seisfm.eval.mechanism.takeoff import TrialConfig, given_angles, traced_angles
from seisfm.heads.mechanism import MechanismHead

DATA = Path(os.environ.get("SEISFM_DATA", "../shared/data")) / "northridge_hash"
MODELS = ("socal", "north", "lab1", "sgm1", "vb1")
MIN_SNR = 3.0


def example_motions(data, number, trials):
    """Each event's first motions in one of the first three examples, by event id, and what was skipped."""
    reversals = read_reversals(data / "scsn.reverse")
    if number == 1:
        events = [corrected(event, reversals) for event in read_fpfit(data / "north1.phase")]
        return {event.event_id: given_angles(event, trials) for event in events}, []
    corrections = read_station_corrections(data / "north3.statcor")
    ratios = read_amplitudes(data / "north3.amp", corrections, MIN_SNR) if number == 3 else {}
    places = read_station_places(data / "scsn.stations")
    models = [read_gradient_model(data / f"vz.{name}") for name in MODELS]
    motions, skipped = {}, []
    for read in read_hash_phases(data / "north2.phase"):
        event = corrected(read, reversals)
        event = replace(event, readings=event.readings + tuple(ratios.get(event.event_id, ())))
        motions[event.event_id], without = traced_angles(event, places, models, trials)
        skipped += without
    return motions, skipped


def published(data, number):
    """HASH's preferred answers: of several solutions of an event the first."""
    answers = {}
    for answer in read_mechanisms(data / f"example{number}.out"):
        answers.setdefault(answer.event_id, answer)
    return answers


def search(motions, config):
    found = {event_id: search_mechanisms(one, config, event_id) for event_id, one in motions.items()}
    skipped = [answer for answer in found.values() if isinstance(answer, Skipped)]
    return {
        event_id: answer[0] for event_id, answer in found.items() if not isinstance(answer, Skipped)
    }, skipped


def network_answers(model, motions):
    answers = MechanismHead.from_pretrained(model).predict(observations_of(list(motions.values())))
    return dict(zip(motions, answers["mechanism_deg"].tolist(), strict=True))


def table_line(name, kagan_deg):
    scores = score_mechanisms(kagan_deg)
    return (
        f"| {name} | {scores.count} | {scores.median_deg:.1f} | {scores.mean_deg:.1f} | {scores.p90_deg:.1f} "
        f"| {100 * scores.within_20_deg:.0f} % |"
    )


def draw(path, kagan_deg, pairs):
    """A histogram of all Kagan angles, and beach balls: above the published one, below the answer."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.4), width_ratios=(1, 2.4))
    left.hist(list(kagan_deg.values()), bins=range(0, 42, 2), label=list(kagan_deg))
    left.set(xlabel="Kagan angle to the published mechanism (°)", ylabel="events")
    left.legend(fontsize="small")
    for position, (reference, answer) in enumerate(pairs):
        for row, (mechanism, colour) in enumerate(((answer, "tab:blue"), (reference, "0.4"))):
            right.add_collection(beach(list(mechanism), xy=(position, row), width=0.85, facecolor=colour))
    right.set(xlim=(-0.6, len(pairs) - 0.4), ylim=(-0.6, 1.6), xticks=[], aspect="equal")
    right.set_yticks([0, 1], ["grid search", "published"])
    figure.subplots_adjust(wspace=0.3)
    figure.savefig(path, dpi=130, bbox_inches="tight")
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="the folder with HASH's example files")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", type=Path, help="a folder written by train_mechanism.py")
    parser.add_argument("--seed", type=int, default=0, help="of trials and drawn mechanisms")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    print("| | events | median | mean | 90 % | within 20° |\n|---|---|---|---|---|---|")
    kagan_deg, answers, pairs = {}, {}, []
    for number in (1, 2, 3):
        motions, skipped = example_motions(options.data, number, TrialConfig(seed=options.seed))
        found, unsolved = search(motions, GridSearchConfig(seed=options.seed))
        reference = {key: answer.mechanism_deg for key, answer in published(options.data, number).items()}
        angles = kagan_to_reference({key: one.mechanism_deg for key, one in found.items()}, reference)
        name = f"example {number}"
        print(table_line(name, angles.values()))
        if options.model:
            of_network = kagan_to_reference(network_answers(options.model, motions), reference)
            print(table_line(f"{name}, network", of_network.values()))
        for item in skipped + unsolved:
            print(f"skipped {item.item}: {item.reason}")
        kagan_deg[name] = list(angles.values())
        answers[name] = {
            key: dataclasses.asdict(found[key]) | {"kagan_deg": angle} for key, angle in angles.items()
        }
        if number == 3:
            pairs = [(reference[key], found[key].mechanism_deg) for key in list(angles)[:12]]
    draw(options.out / "northridge.png", kagan_deg, pairs)
    (options.out / "northridge.json").write_text(json.dumps(answers, indent=1))


if __name__ == "__main__":
    main()
