"""Nothing in the product can run code that comes as data (SECURITY.md)."""

import ast

import pytest
from examples import ROOT

FILES = sorted([*ROOT.glob("workflow/**/*.py"), *ROOT.glob("tools/*.py")])
RULES = sorted([ROOT / "Snakefile", *ROOT.glob("workflow/**/*.smk")])
# Modules that make objects of bytes, and functions that unpack or run what they are given.
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
CALLS = {
    "eval",
    "exec",
    "os.system",
    "os.popen",
    "torch.load",
    "torch.save",
    "torch.hub.load",
    "tempfile.mktemp",
    "numpy.fromregex",
}
METHODS = {"extractall", "read_pickle", "to_pickle", "unsafe_load", "full_load"}


def name_of(node: ast.AST) -> str:
    """``a.b.c`` of an attribute, as it is written."""
    return (
        f"{name_of(node.value)}.{node.attr}"
        if isinstance(node, ast.Attribute)
        else getattr(node, "id", "")
    )


def unsafe(source: str) -> list[str]:
    """Unsafe things in a Python source, with their line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [(node.module or "").split(".")[0]]
        if MODULES.intersection(names):
            found.append(f"{node.lineno}: import of {', '.join(names)}")
        if not isinstance(node, ast.Call):
            continue
        called, given = name_of(node.func), {word.arg: word.value for word in node.keywords}
        if called in CALLS or called.rsplit(".", 1)[-1] in METHODS:
            found.append(f"{node.lineno}: {called}")
        if called == "yaml.load" and name_of(given.get("Loader", node)) not in (
            "yaml.SafeLoader",
            "yaml.CSafeLoader",
        ):
            found.append(f"{node.lineno}: yaml.load without a safe loader")
        for name in ("shell", "allow_pickle"):
            if name in given and not (
                isinstance(given[name], ast.Constant) and given[name].value is False
            ):
                found.append(f"{node.lineno}: {name} = {ast.unparse(given[name])}")
        if given.get("weights_only") is not None:
            found.append(f"{node.lineno}: {called}, torch's own format")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_has_nothing_unsafe(path):
    assert unsafe(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_no_rule_runs_a_shell(path):
    source = path.read_text(encoding="utf-8")
    for word in ("shell:", "run:", "shell(", "os.system", "subprocess", "pickle", "yaml.load("):
        assert word not in source


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "torch.load(path)",
        "archive.extractall(folder)",
        "yaml.load(text)",
        "yaml.load(text, Loader=yaml.Loader)",
        "subprocess.run(line, shell=True)",
        "numpy.load(path, allow_pickle=True)",
        "os.system(line)",
        "eval(text)",
    ],
)
def test_it_would_be_seen(line):
    assert unsafe(line)


@pytest.mark.parametrize(
    "line",
    [
        "yaml.safe_load(text)",
        "yaml.load(text, Loader=yaml.SafeLoader)",
        "network.eval()",
        "numpy.load(path)",
    ],
)
def test_what_is_safe_is_not_called_unsafe(line):
    assert unsafe(line) == []
