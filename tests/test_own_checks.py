"""The project's own tests, style and types pass in a bake nobody has touched."""

import re

from .conftest import Lived, git


def test_the_projects_own_tests_pass_and_are_many(life: Lived) -> None:
    # CCDS 9: a shipped test was `assert False`, and its harness never ran `make test`.
    # MML 8: `self_test.py` failed. KIS 1: five tests, all of them that files exist.
    said = life.project.make("test")

    (passed,) = re.findall(r"^(\d+) passed", said, re.MULTILINE)
    assert int(passed) > 50
    assert not re.search(r"\b(failed|errors?|xfailed)\b", said.splitlines()[-1])
    assert git(life.project.folder, "status", "--porcelain") == ""


def test_style_format_and_types_of_the_project_are_clean(life: Lived) -> None:
    said = life.project.make("lint")

    assert "All checks passed!" in said
    assert re.search(r"^\d\d+ files already formatted$", said, re.MULTILINE)
    (files,) = re.findall(r"Success: no issues found in (\d+) source files", said)
    written = [
        name
        for name in git(life.project.folder, "ls-files", "src", "tests").splitlines()
        if name.endswith(".py")
    ]
    assert int(files) == len(written)
