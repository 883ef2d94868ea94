import pytest

from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.instantiate import instantiate, named


def test_the_other_entries_are_the_arguments_of_what_the_path_names() -> None:
    settings = {"_target_": "fractions.Fraction", "numerator": 3, "denominator": 4}
    assert str(instantiate(settings, "conf/model/")) == "3/4"


@pytest.mark.parametrize("path", ["fractions.Faction", "fractoins.Fraction", "Fraction", "", "a."])
def test_a_path_that_leads_nowhere_is_refused_by_name(path: str) -> None:
    with pytest.raises(Refusal, match=f"conf/gate/: there is no {path!r}"):
        named(path, "conf/gate/")


@pytest.mark.parametrize("settings", [{"colour": 1}, {"numerator": "many"}])
def test_arguments_that_do_not_fit_are_refused_in_one_sentence(settings: dict[str, object]) -> None:
    with pytest.raises(Refusal, match=r"conf/model/: cannot make fractions\.F") as refused:
        instantiate({"_target_": "fractions.Fraction", **settings}, "conf/model/")
    assert "\n" not in str(refused.value)
