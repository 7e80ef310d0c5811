"""Do synthetic P and S grow after their onset as real ones do? A figure, and where an AIC picker puts P.

    python examples/compare_onsets.py --out runs/onsets.png --settings scattering.packet_share=0 --name pulses

Real records are the dev half (split by event) of a set in PhaseNet's npz layout; each stands beside four
synthetic ones of like S − P and SNR: of the generator as it is, and of one with the settings, which are those
of `SynthesisConfig`.
"""

import argparse
import os
from pathlib import Path

import numpy as np
from seisfm.configs.loader import build_config
from seisfm.data.formats.phasenet_npz import read_phasenet_npz
from seisfm.data.splitting.splits import split_by_event
from seisfm.data.synthesis import SynthesisConfig, synthesize_records
from seisfm.eval.baselines import StaLtaPicker
from seisfm.eval.realism.excerpts import Excerpt, ExcerptConfig, cut_excerpts
from seisfm.eval.realism.features import feature_table
from seisfm.eval.realism.onsets import growth_figure, onset_growth, pick_offsets_s
from seisfm.eval.realism.two_sample import TwoSampleConfig, match

REAL = Path(os.environ.get("SEISFM_DATA", "../shared/data")) / "ncedc_phasenet"
LIKE_REAL = (
    "geometry.distance_km=[1,45]",
    "snr=[2,300]",
    "second_event_share=0",
    "disturbances.share=0",
    "sources.types={earthquake: 1, quarry_blast: 0, explosion: 0, collapse: 0, surface_event: 0, noise: 0}",
)


def synthetic_like(
    real: list[Excerpt], settings: list[str], num_events: int, seed: int
) -> tuple[list[Excerpt], np.ndarray]:
    """Synthetic excerpts taken at conditions like the real ones', and their P's SNR in dB."""
    config = build_config(SynthesisConfig, {}, [*LIKE_REAL, *settings])
    pool, _ = cut_excerpts(synthesize_records(config, seed, num_events), ExcerptConfig())
    features = feature_table(pool)
    rows = match(feature_table(real), features, TwoSampleConfig())
    return [pool[row] for row in rows], features["p_snr_db"].to_numpy()[rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", type=Path, default=REAL, help="a folder in PhaseNet's npz layout")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--events", type=int, default=600, help="synthetic events to choose from")
    parser.add_argument("--seed", type=int, default=6, help="of the synthetic events")
    parser.add_argument("--settings", nargs="*", default=[], help="key=value of the synthesis")
    parser.add_argument("--name", default="with the settings", help="of the records with settings")
    options = parser.parse_args()
    halves = split_by_event(read_phasenet_npz(options.real)[0], {"dev": 0.5, "test": 0.5}, 0)
    real, _ = cut_excerpts(halves["dev"], ExcerptConfig())
    sides = {"real": (real, feature_table(real)["p_snr_db"].to_numpy())}
    if options.settings:
        sides[options.name] = synthetic_like(real, options.settings, options.events, options.seed)
    sides["synthetic"] = synthetic_like(real, [], options.events, options.seed)
    for name, (excerpts, snr_db) in sides.items():
        off_s = pick_offsets_s(
            StaLtaPicker(), [e for e, db in zip(excerpts, snr_db, strict=True) if db > 15.0], "P"
        )
        time_s, growth = onset_growth(excerpts, "P")
        at = {
            f"{t:g} s": round(float(np.median(growth[:, np.abs(time_s - t).argmin()])), 3)
            for t in (0, 0.02, 0.05)
        }
        print(f"{name}: n = {len(excerpts)}, share of P's peak {at};", end=" ")
        near = off_s[np.abs(off_s) < 0.15]
        print(f"AIC on P above 15 dB: mean {near.mean():+.4f} s, n = {len(near)}")
    growth_figure({name: excerpts for name, (excerpts, _) in sides.items()}).savefig(options.out, dpi=150)


if __name__ == "__main__":
    main()
