"""House rules that a program can check: who imports whom, what is never imported, how long things grow."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import seisfm

ROOT = Path(seisfm.__file__).parent

LAYERS = (
    {"configs"},
    {"data"},
    {"foundation"},
    {"heads"},
    {"eval"},
    {"catalog", "pretrain", "finetune", "hub"},
    {"demo", "study"},
    {"cli"},
)
"""From the lowest to the highest; a layer imports from itself and from lower ones, its siblings never."""

RANK = {folder: rank for rank, layer in enumerate(LAYERS) for folder in layer}
ROOT_MODULES = {"version", "_auto_classes", "__init__", "__main__"}
OBSPY_AT_HOME = {"data", "catalog", "eval", "demo", "cli"}
TORCH_MODELS = ("transformers", "peft", "accelerate")
MAX_LINES = 400
MAX_FUNCTION_LINES = 80
MAX_PARAMETERS = 12

FILES = sorted(
    path
    for folder in [ROOT, *(ROOT / name for name in RANK)]
    for path in (folder.rglob("*.py") if folder != ROOT else folder.glob("*.py"))
)
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def part(path: Path) -> str:
    """The layer that a file belongs to: its folder at the top, or its own name there."""
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every imported module, ours as `seisfm.…` even where it is written relatively, with its line."""
    package = ("seisfm", *path.relative_to(ROOT).parts[:-1])
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = ".".join(package[: len(package) - node.level + 1])
            if node.module:
                yield f"{base}.{node.module}", node.lineno
            else:
                yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module), node.lineno


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def layering_faults(importer: str, imported: str) -> str | None:
    """Why `importer` must not import `imported`, both being parts at the top; None where it may."""
    if importer in ROOT_MODULES or imported in ROOT_MODULES or importer == imported:
        return None
    if RANK[imported] > RANK[importer]:
        return f"{importer} lies below {imported}"
    if RANK[imported] == RANK[importer]:
        return f"{importer} and {imported} are siblings"
    return None


def test_every_folder_with_code_has_a_layer() -> None:
    ignored = {"tests", "benchmarks", "examples", "docs", "build", "dist"}
    with_code = {path.parent.name for path in ROOT.glob("*/__init__.py")} - ignored
    at_the_root = {path.stem for path in ROOT.glob("*.py")}
    assert with_code <= set(RANK)
    assert at_the_root <= ROOT_MODULES | set(RANK)


def test_imports_point_down() -> None:
    faults = []
    for path in FILES:
        for module, line in imports(path):
            if module.startswith("seisfm."):
                imported = module.split(".")[1]
                if reason := layering_faults(part(path), imported):
                    faults.append(f"{path.relative_to(ROOT)}:{line} imports {module}: {reason}")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("importer", "imported"),
    [("data", "foundation"), ("hub", "catalog"), ("heads", "cli"), ("configs", "data")],
)
def test_the_layering_check_can_fail(importer: str, imported: str) -> None:
    assert layering_faults(importer, imported)


def test_only_relative_imports_inside_the_package() -> None:
    faults = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in FILES
        for node in ast.walk(TREES[path])
        if (
            isinstance(node, ast.ImportFrom) and not node.level and str(node.module).split(".")[0] == "seisfm"
        )
        or (
            isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "seisfm" for alias in node.names)
        )
    ]
    assert not faults, f"write `from ..data.batch import …` in {faults}"


def test_obspy_stays_where_files_are_read_and_results_handed_back() -> None:
    faults = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in FILES
        for module, line in imports(path)
        if module.split(".")[0] == "obspy" and part(path) not in OBSPY_AT_HOME
    ]
    assert not faults, faults


def test_data_and_configs_know_no_model_code() -> None:
    faults = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in FILES
        for module, line in imports(path)
        if part(path) in ("data", "configs") and module.split(".")[0] in TORCH_MODELS
    ]
    assert not faults, faults


def unpickling(tree: ast.AST) -> Iterator[int]:
    """Lines that open a pickle: the modules that do nothing else, torch.load, and numpy's own way.

    torch.load(…, weights_only=True) reads tensors alone, which is how others publish their weights.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [str(node.module)]
            if {name.split(".")[0] for name in names} & {
                "pickle",
                "cloudpickle",
                "dill",
                "joblib",
                "marshal",
            }:
                yield node.lineno
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            allowed = any(k.arg == "allow_pickle" and ast.unparse(k.value) != "False" for k in node.keywords)
            tensors_alone = called == "torch.load" and any(
                k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in node.keywords
            )
            opens = called in ("torch.load", "pd.read_pickle", "pandas.read_pickle") and not tensors_alone
            if opens or allowed:
                yield node.lineno


def test_nothing_is_ever_unpickled() -> None:
    faults = [f"{path.relative_to(ROOT)}:{line}" for path in FILES for line in unpickling(TREES[path])]
    assert not faults, faults


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "from pickle import loads",
    ],
)
def test_the_pickle_check_can_fail(line: str) -> None:
    assert list(unpickling(ast.parse(line))) == [1]


def test_tensors_alone_may_be_read() -> None:
    assert not list(unpickling(ast.parse("torch.load(path, weights_only=True)")))


def test_no_drawer_for_everything() -> None:
    drawers = [path for path in FILES if path.stem in ("utils", "util", "helpers", "misc", "common")]
    assert not drawers, "name a file after the one idea in it"


def test_files_and_functions_stay_small() -> None:
    faults = [f"{p.name}: {n} lines" for p in FILES if (n := len(p.read_text().splitlines())) > MAX_LINES]
    for path in FILES:
        for function in functions(path):
            length = (function.end_lineno or function.lineno) - function.lineno + 1
            given = function.args
            count = len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs)
            where = f"{path.relative_to(ROOT)}:{function.lineno} {function.name}"
            if length > MAX_FUNCTION_LINES:
                faults.append(f"{where}: {length} lines, at most {MAX_FUNCTION_LINES}")
            if count > MAX_PARAMETERS:
                faults.append(f"{where}: {count} parameters, at most {MAX_PARAMETERS}")
    assert not faults, "\n".join(faults)
