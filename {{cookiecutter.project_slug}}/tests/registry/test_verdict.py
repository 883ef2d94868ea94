import msgspec

from {{ cookiecutter.__package }} import config
from {{ cookiecutter.__package }}.registry.gate import Verdict
from {{ cookiecutter.__package }}.registry.guards import Guard, Segment
from {{ cookiecutter.__package }}.registry.paired import Interval
from {{ cookiecutter.__package }}.registry.verdict import SHOWN, render

GATE = config.Gate("rmse", 0.02, 0.0, "mae", 0.01, confidence=0.95, segment_rows=100)
SEGMENT = Segment("region", "AA", 1200, 1.3, 1.2, -0.1, -1 / 12)
VERDICT = Verdict(
    promoted=False,
    rule="max_segment_loss",
    reason="rmse 1.0000 against the champion's 2.0000, but AA loses",
    challenger={"rmse": 1.0, "r2": 0.5},
    champion={"rmse": 2.0},
    baseline={"rmse": 3.0},
    interval=Interval(1.0, 0.9, 1.1, 0.95),
    guards=[Guard("max_slowdown", "1 ms", "3 times"), Guard("max_segment_loss", "x", "y", "AA")],
    segments=[SEGMENT],
    changes=["needs age", "takes no height any more"],
    rows=3456,
    partitions=["2013-06", "2013-07"],
)


def page(**changes: object) -> str:
    verdict = msgspec.structs.replace(VERDICT, **changes)
    return render("customers", "0123456789abcdef0123", GATE, verdict, "2024-05-01T10:00:00+00:00")


def test_the_decision_comes_first_and_the_rule_that_made_it() -> None:
    title, reason, decided, *_ = page().split("\n\n")
    assert title == "# customers: refused"
    assert reason == "rmse 1.0000 against the champion's 2.0000, but AA loses."
    assert decided.startswith("Rule `max_segment_loss` decided, 2024-05-01T10:00:00+00:00, ")
    assert decided.endswith("on 3,456 labelled rows of 2013-06 to 2013-07.")
    assert page(promoted=True).startswith("# customers: promoted\n")


def test_all_metrics_stand_side_by_side_with_the_interval_below() -> None:
    assert "| rmse (decides) | 1.0000 | 2.0000 | 3.0000 |\n| r2 | 0.5000 | - | - |" in page()
    assert "The gain on rmse is +1.0000, 95% interval +0.9000 to +1.1000" in page()
    assert "bootstrap" not in page(interval=None)


def test_every_guard_says_what_it_measured_allows_and_whether_it_holds() -> None:
    assert "| `max_slowdown` | 1 ms | 3 times | yes |" in page()
    assert "| `max_segment_loss` | x | y | no |" in page()


def test_segments_are_listed_as_far_as_a_page_goes() -> None:
    assert "| region AA | 1,200 | 1.3000 | 1.2000 | -0.1000 | -8.3% |" in page()
    many = page(segments=[SEGMENT] * (SHOWN + 3))
    assert many.count("| region AA |") == SHOWN
    assert "3 better ones are left out" in many
    doubtful = msgspec.structs.replace(SEGMENT, interval=Interval(-0.1, -0.3, 0.1, 0.95))
    assert "- region AA: 95% interval -0.3000 to +0.1000" in page(segments=[doubtful])


def test_what_callers_must_change_is_listed() -> None:
    assert page().endswith("- the model needs age\n- the model takes no height any more\n")
    assert page(changes=[]).endswith("Requests stay as they are.\n")
