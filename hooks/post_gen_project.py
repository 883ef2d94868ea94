"""Make the project a git repository, which DVC and the lineage of a run build on."""

import shutil
import subprocess

FOLDER = "{{ cookiecutter.project_slug }}"


def git(*arguments: str) -> bool:
    """Whether a git command succeeds here."""
    return subprocess.run(["git", *arguments], capture_output=True, check=False).returncode == 0


if not shutil.which("git"):
    print("git is not installed; install it and run `git init` in the project before `dvc repro`.")
elif not git("rev-parse", "--is-inside-work-tree") or git("check-ignore", "--quiet", "."):
    git("init", "--quiet")
    git("symbolic-ref", "HEAD", "refs/heads/main")  # git init -b needs git 2.28

print(f"""
Next:
  cd {FOLDER}
  make env && . .venv/bin/activate
  dvc repro      # data to evaluated model
  git add --all && git commit -m "The first model"
  make serve     # release the model and serve it on http://127.0.0.1:8000
""")
