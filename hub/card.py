"""The model card: what a stranger must know before using a model, made from what its run has left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData

from ..data.splitting.fingerprints import FINGERPRINTS, read_fingerprints
from ..eval.report import write_atomically
from ..foundation.contract import InputContract
from ..version import __version__
from .definitions import STAGES, defined
from .facts import DataFact, ModelFacts, read_facts
from .markdown import flat, table, table_of_dicts

LIMIT_OF_SYNTHETICS = (
    "All training data are synthetic seismograms. How well the model does on real ones must be measured on "
    "records of your own network before its picks are trusted."
)

USE_PICKER = """\
import obspy
import seisfm

picker = seisfm.Picker.from_pretrained("{name}")  # a folder or a hub id
result = picker.classify(obspy.read("day.mseed"))
print(result.picks.frame, result.skipped)
"""

USE_NETWORK_PICKER = USE_PICKER.replace(
    'obspy.read("day.mseed"))',
    'obspy.read("day.mseed"), stations="stations.xml")  # of many stations',
)

USE_MODEL = """\
import seisfm

model = seisfm.load("{name}")  # a folder or a hub id
"""

USE_ENCODER = """\
import seisfm  # makes the model known to transformers
from transformers import AutoModel

encoder = AutoModel.from_pretrained("{name}")  # a folder or a hub id
"""


def write_card(model_dir: str | Path, licence: str | None = None, data_licence: str | None = None) -> Path:
    """Write `README.md` into a model's folder and give its path. See `make_card`."""
    path = Path(model_dir) / "README.md"
    write_atomically(path, str(make_card(read_facts(model_dir), licence, data_licence)))
    return path


def make_card(facts: ModelFacts, licence: str | None = None, data_licence: str | None = None) -> ModelCard:
    """The card of a model, from its facts.

    licence: of the weights, an SPDX name in lower case; taken from the run's settings where not given.
    data_licence: of training data whose licence the run's settings do not tell.

    Raises ValueError where a licence is told by nobody.
    """
    licence = licence or facts.training.get("licence")
    if not licence:
        raise ValueError(
            f"{facts.folder} tells no licence, and without one nobody may use a model: give "
            "licence='apache-2.0' (on the command line --license), or set licence in its training.yaml"
        )
    data = _licensed(facts, data_licence)
    header = ModelCardData(
        license=licence,
        library_name="seisfm",
        tags=["seismology", "earthquakes", *sorted(facts.heads)],
        datasets=_hub_ids(data),
        metrics=[name for name, _ in defined(facts.metrics) if name not in STAGES] or None,
        base_model=None if facts.base_folder else facts.base,
    )
    sections = {
        "What it is": _what(facts),
        "How to use it": _use(facts),
        "What goes in": _contract_table(facts.contract),
        "What comes out": _heads(facts),
        "Training data": _data_table(facts, data),
        "Training": _training_table(facts),
        "Scores": _scores(facts),
        "Limits": _limits(facts, data),
        "Cost": _cost(facts),
        "Citation": _citation(facts),
    }
    body = "\n".join(f"## {title}\n\n{text}\n" for title, text in sections.items())
    return ModelCard(
        f"---\n{header.to_yaml()}\n---\n\n# {facts.name}\n\n{body}", ignore_metadata_errors=False
    )


def _licensed(facts: ModelFacts, data_licence: str | None) -> list[DataFact]:
    """The data with their licences. Raises ValueError where one is not told."""
    data = [fact if fact.licence else replace(fact, licence=data_licence) for fact in facts.data()]
    silent = sorted({fact.name for fact in data if not fact.licence})
    if silent:
        raise ValueError(
            f"nobody tells the licence of the training data {silent}: give data_licence='CC-BY-4.0' or "
            "whatever it is (on the command line --data-license), or set licence at each source"
        )
    return data


def _hub_ids(data: list[DataFact]) -> list[str] | None:
    return sorted({fact.name for fact in data if fact.kind == "hub"}) or None


def _what(facts: ModelFacts) -> str:
    kind = f"A seismic model with the heads {', '.join(facts.heads)}" if facts.heads else "A seismic encoder"
    made = (
        f"an adapter ({facts.adapter.get('peft_type', 'PEFT')}) on top of" if facts.adapter else "made from"
    )
    origin = f", {made} `{facts.base_name}`" if facts.base else ", trained from random weights"
    return f"{kind}{origin}; {facts.num_parameters:,} parameters in this folder.\n\n" + table(
        ("architecture", "value"), list(facts.architecture.items())
    )


def _use(facts: ModelFacts) -> str:
    code = USE_PICKER if "picking" in facts.heads else USE_MODEL if facts.heads else USE_ENCODER
    if (facts.heads.get("picking") or {}).get("network"):
        code = USE_NETWORK_PICKER
    return "```python\n" + code.format(name=facts.name) + "```"


def _contract_table(contract: InputContract) -> str:
    low, high = contract.sampling_rates_hz
    scaling, window = contract.normalization, contract.window_s
    rows = [
        ("sampling rate", f"{low:g} to {high:g} Hz; works inside at {contract.model_rate_hz:g} Hz"),
        ("components", f"{', '.join(contract.components)}; any of them may be missing (NaN)"),
        (
            "window",
            f"{window.min:g} to {window.max:g} s, best {window.preferred:g} s",
        ),
        ("units", ", ".join(contract.units)),
        ("high-pass", f"{contract.highpass_hz:g} Hz" if contract.highpass_hz else "none"),
        ("scaling", f"{scaling.statistic} over the {scaling.scope}"),
    ]
    return "The model does all of this by itself and refuses what lies outside.\n\n" + table(
        ("input", "what is taken"), rows
    )


def _heads(facts: ModelFacts) -> str:
    if not facts.heads:
        return "Tokens and a summary of each window (`SeismicFeatures`), for heads to be trained on."
    rows = [
        (name, ", ".join(f"{key} {value}" for key, value in (settings or {}).items()) or "defaults")
        for name, settings in facts.heads.items()
    ]
    return table(("head", "settings"), rows)


def _data_table(facts: ModelFacts, data: list[DataFact]) -> str:
    if not data:
        return "The folder has no `training.yaml`: what the model was trained on is not known."
    rows = [(fact.name, fact.kind, fact.amount, fact.licence, fact.stage) for fact in data]
    return table(("data", "kind", "amount", "licence", "used in"), rows) + "\n\n" + _told(facts)


def _told(facts: ModelFacts) -> str:
    """What the folder carries for those who want to score the model on data that it has not seen."""
    learned = read_fingerprints(facts.folder, "this folder")
    missing = "".join(f" Not listed, because unknown: {part}." for part in learned.missing)
    if not len(learned):
        return f"Which records these are is not told, and leakage cannot be checked.{missing}"
    return (
        f"`{FINGERPRINTS}` lists {len(learned):,} records that the weights have seen (event, origin, "
        "station, time, and a hash of the samples): `seisfm data leakage TEST_SET MODEL_DIR` compares a test "
        f"set with them.{missing}"
    )


def _training_table(facts: ModelFacts) -> str:
    rows = [*facts.training.get("training", {}).items(), *flat(facts.training.get("method") or {}, "method.")]
    seed = facts.training.get("seed")
    rows += [("seed", seed)] if seed is not None else []
    return table(("setting", "value"), rows) + "\n\nThe whole configuration is in `training.yaml`."


def _scores(facts: ModelFacts) -> str:
    if not facts.metrics:
        return "No scores were recorded with this model."
    scored = [(name, value) for name, value in flat(facts.metrics) if name not in COST]
    tables = [(name, value) for name, value in scored if _is_table(value)]
    parts = [table(("score", "value"), [row for row in scored if row not in tables])]
    parts += [f"{name}:\n\n{table_of_dicts(value)}" for name, value in tables]
    meanings = [f"- **{name}**: {meaning}" for name, meaning in defined(facts.metrics)]
    if meanings:
        intervals = "Intervals, in brackets, are percentiles over resampled events."
        parts.append("What they mean:\n\n" + "\n".join(meanings) + f"\n\n{intervals}")
    return "\n\n".join(parts)


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _limits(facts: ModelFacts, data: list[DataFact]) -> str:
    limits = [
        "Scores hold for data like those that they were measured on; other regions and instruments differ.",
        "Rates, windows and units outside of the table above are refused.",
    ]
    if data and all(fact.kind == "synthetic" for fact in data):
        limits.insert(0, LIMIT_OF_SYNTHETICS)
    if not data:
        limits.insert(0, "The training data are unknown, so nothing can be said about what it has seen.")
    if facts.base and not any(fact.stage.endswith("base model") for fact in data):
        limits.append(f"The training data of the base model `{facts.base_name}` are told in its own card.")
    return "\n".join(f"- {limit}" for limit in limits)


COST = (
    "steps",
    "windows_seen",
    "networks_seen",
    "windows_per_s",
    "wall_time_s",
    "device",
    "num_processes",
    "hardware",
)


def _cost(facts: ModelFacts) -> str:
    rows = [(name, facts.metrics[name]) for name in COST if name in facts.metrics]
    if not rows:
        return "The cost of the training was not recorded."
    return table(("training", "value"), rows) + "\n\nEnergy was not measured; wall time and device bound it."


def _citation(facts: ModelFacts) -> str:
    return (
        f"Made with seisfm {__version__}. Please cite it (`CITATION.cff` in its repository), this model by "
        f"its name ({facts.name}) and revision, and the training data as their owners ask."
    )
