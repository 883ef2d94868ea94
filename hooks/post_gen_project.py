"""Take out what was not chosen, and make the project a git repository, which DVC builds on."""

import shutil
import subprocess
from pathlib import Path

FOLDER = "{{ cookiecutter.project_slug }}"

# What an answer leaves out in several places; a single optional file has a conditional name.
PACKAGE = "src/{{ cookiecutter.__package }}"
LEFT_OUT = [  # what was chosen, the answer that leaves out, files and folders
    (
        "{{ cookiecutter.containers }}",
        "no",
        [
            ".dockerignore",
            "deploy/Dockerfile",
            "deploy/compose.yaml",
            "deploy/grafana",
            "deploy/kubernetes",
            "deploy/prometheus",
            "tests/deploy/shipped.py",
            "tests/deploy/test_compose.py",
            "tests/deploy/test_image.py",
            "tests/deploy/test_kubernetes.py",
            "tests/deploy/test_leaving.py",
            "tests/deploy/test_watching.py",
        ],
    ),
    (
        "{{ cookiecutter.notebook }}",
        "no",
        [
            "locks/notebook.txt",
            "notebooks",
            "tests/test_notebook.py",
        ],
    ),
    (
        "{{ cookiecutter.retraining }}",
        "github-actions",
        [
            f"{PACKAGE}/schedule.py",
            f"{PACKAGE}/unattended.py",
            "tests/test_schedule.py",
            "tests/test_unattended.py",
        ],
    ),
    (
        "{{ cookiecutter.retraining }}",
        "cron",
        [
            f"{PACKAGE}/proposal.py",
            "tests/test_proposal.py",
        ],
    ),
]


def git(*arguments: str) -> bool:
    """Whether a git command succeeds here."""
    return subprocess.run(["git", *arguments], capture_output=True, check=False).returncode == 0


for chosen, answer, places in LEFT_OUT:
    for place in map(Path, places if chosen == answer else []):
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink()

if not shutil.which("git"):
    print("git is not installed; install it and run `git init` in the project before `dvc repro`.")
elif not git("rev-parse", "--is-inside-work-tree") or git("check-ignore", "--quiet", "."):
    git("init", "--quiet")
    git("symbolic-ref", "HEAD", "refs/heads/main")  # git init -b needs git 2.28
else:
    print("The project is a folder of the repository around it, which git init has left alone.")
    print("GitHub reads workflows at the repository's top only: move .github/workflows there.")

print(f"""
Next:
  cd {FOLDER}
  make env && . .venv/bin/activate
  dvc repro      # data to evaluated model
  git add --all && git commit -m "The first model"
  make serve     # release the model and serve it on http://127.0.0.1:8000
""")
