import pytest

from {{ cookiecutter.__package }}.tables.names import cleaned


@pytest.mark.parametrize(
    ("header", "names"),
    [
        (["age", " first name\t", "\ufeffid"], ["age", "first name", "id"]),
        (["a", "A", "a"], ["a", "A_2", "a_3"]),
        (["a", "a", "a_2"], ["a", "a_3", "a_2"]),
        (["", "x", " "], ["column_1", "x", "column_3"]),
        (["", "column_1"], ["column_1", "column_1_2"]),
        (['say "hi"', "a\\b", "new\nline"], ["say _hi_", "a_b", "new_line"]),
        (["😀", "o'neil", "class", "select"], ["😀", "o'neil", "class", "select"]),
    ],
)
def test_names_are_fit_and_none_comes_twice(header: list[str], names: list[str]) -> None:
    assert cleaned(header) == names


def test_cleaned_names_stay_as_they_are() -> None:
    names = cleaned(["a", "A", "", "b c", 'd"', "a"])
    assert cleaned(names) == names
