from dataclasses import dataclass, field

import pytest
from seisfm.configs.loader import as_plain, build_config, load_config, save_config


@dataclass(frozen=True, kw_only=True)
class Inner:
    rate_hz: float = 100.0
    limits: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Run:
    steps: int = 10
    learning_rate: float = 1e-3
    highpass_hz: float | None = 1.0
    components: tuple[str, ...] = ("Z",)
    rows: tuple[str, ...] | None = None
    inner: Inner = field(default_factory=Inner)
    optional: Inner | None = None
    several: tuple[Inner, ...] = ()
    weights: dict[str, float] = field(default_factory=dict)


def test_nothing_given_is_the_default(tmp_path):
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert load_config(Run, tmp_path / "empty.yaml") == build_config(Run, {}) == Run()


def test_what_is_saved_is_what_is_loaded(tmp_path):
    run = Run(
        learning_rate=3e-5,
        highpass_hz=None,
        components=("Z", "N"),
        inner=Inner(limits=(-1.0, 2.0)),
        optional=Inner(rate_hz=20.0),
        several=(Inner(), Inner(rate_hz=50.0)),
        weights={"P": 2.0},
    )
    save_config(run, tmp_path / "run.yaml")
    assert load_config(Run, tmp_path / "run.yaml") == run
    assert [path.name for path in tmp_path.iterdir()] == ["run.yaml"]


def test_numbers_become_floats_also_those_that_yaml_takes_for_text(tmp_path):
    (tmp_path / "run.yaml").write_text("learning_rate: 1e-4\nhighpass_hz: 2\ninner: {limits: [1, 2e0]}\n")
    run = load_config(Run, tmp_path / "run.yaml")
    assert (run.learning_rate, run.highpass_hz, run.inner.limits) == (1e-4, 2.0, (1.0, 2.0))
    assert all(type(limit) is float for limit in run.inner.limits)


def test_overrides_reach_every_depth_and_change_no_dict():
    settings = {"inner": {"rate_hz": 50.0}}
    overrides = [
        "inner.limits=[2, 3]",
        "steps=7",
        "optional.rate_hz=20",
        "highpass_hz=null",
        "components=[E]",
    ]
    run = build_config(Run, settings, overrides)
    assert run.inner == Inner(rate_hz=50.0, limits=(2.0, 3.0))
    assert (run.steps, run.optional, run.highpass_hz) == (7, Inner(rate_hz=20.0), None)
    assert run.components == ("E",)
    assert settings == {"inner": {"rate_hz": 50.0}}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step": 1}, r"here: unknown key \['step'\]; Run knows \['steps', 'learning_rate'"),
        ({"inner": {"rate": 1}}, r"here: inner: unknown key \['rate'\]; Inner knows \['rate_hz', 'limits'\]"),
        ({"optional": {"rate": 1}}, r"here: optional: unknown key"),
        ({"several": [{"rate_hz": 1}, {"rate": 1}]}, r"here: several: unknown key"),
        ({"steps": 1.5}, 'field "steps" - should be "int" instead of value "1.5"'),
        ({"learning_rate": "fast"}, 'field "learning_rate" - should be "float" instead of value "fast"'),
        ({"learning_rate": None}, 'field "learning_rate"'),
        ({"inner": {"limits": [1, 2, 3]}}, 'field "inner.limits"'),
        ({"inner": 3}, 'field "inner"'),
        ({"components": "ZNE"}, r"components must be a list such as \[ZNE\], found the text 'ZNE'"),
        ({"rows": "ZNE"}, "rows must be a list"),
        (["steps", 1], "here: a configuration maps keys to values, found"),
    ],
)
def test_what_does_not_fit_is_an_error(settings, message):
    with pytest.raises(ValueError, match=message):
        build_config(Run, settings, source="here")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("steps", "an override is written key=value, found 'steps'"),
        ("steps.more=1", "steps is 10 and has no keys of its own"),
        ("inner.rate=1", "inner: unknown key"),
        ("components=[Z", r"override 'components=\[Z': the value is not YAML .*quote it"),
    ],
)
def test_overrides_are_held_to_the_same(override, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        build_config(Run, {"steps": 10}, [override])


def test_a_file_that_is_not_there_names_the_shipped_ones():
    with pytest.raises(FileNotFoundError, match=r"no configuration nowhere\.yaml: give a YAML file or"):
        load_config(Run, "nowhere.yaml")


def test_a_file_that_is_no_yaml_is_named(tmp_path):
    (tmp_path / "broken.yaml").write_text("steps: [1\n")
    with pytest.raises(ValueError, match=r"broken\.yaml is not YAML"):
        load_config(Run, tmp_path / "broken.yaml")


def test_plain_values_have_lists_for_tuples():
    assert as_plain({"a": (1, (2.0, None)), "b": ["c"]}) == {"a": [1, [2.0, None]], "b": ["c"]}
