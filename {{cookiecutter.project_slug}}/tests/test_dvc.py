"""What is shown of the words of DVC."""

import pytest

from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.dvc import dvc

SENTENCE = "unrecognized arguments: --loudly"


@pytest.mark.parametrize("hushed", [False, True])
def test_dvc_speaks_for_itself_unless_it_is_hushed(
    hushed: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Refusal, match=f"^`dvc version --loudly` failed: {SENTENCE}$"):
        dvc("version", "--loudly", hushed=lambda: hushed)
    assert (SENTENCE in capfd.readouterr().err) != hushed
