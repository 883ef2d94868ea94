import errno

import pytest

from {{ cookiecutter.__package }}.cli import Busy, Refusal, run


def outcome(error: Exception) -> int:
    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        run(main)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_a_refusal_is_one_sentence_and_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(Refusal("the table has no rows")) == 1
    assert capsys.readouterr() == ("", "error: the table has no rows\n")


def test_a_busy_command_asks_to_try_again_with_code_75(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(Busy("another release is running")) == 75
    assert capsys.readouterr().err == "error: another release is running\n"


def test_a_full_disk_is_one_sentence_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(OSError(errno.ENOSPC, "No space left on device", "var/x")) == 1
    said = "error: [Errno 28] No space left on device: 'var/x': make room, then run this again\n"
    assert capsys.readouterr().err == said


def test_any_other_error_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run(lambda: 1 // 0)


@pytest.mark.parametrize(("result", "code"), [(None, 0), (0, 0), (10, 10)])
def test_a_command_ends_with_the_code_it_returns(result: int | None, code: int) -> None:
    with pytest.raises(SystemExit) as ended:
        run(lambda: result)
    assert ended.value.code == code
