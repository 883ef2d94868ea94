from pathlib import Path

import pytest

from {{ cookiecutter.__package }} import dvc, files, paths, proposal
from {{ cookiecutter.__package }}.cli import Refusal

TABLE = "| Path | Metric | a1 | workspace | Change |"


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What DVC was asked to compare."""
    asked: list[tuple[str, ...]] = []

    def output(*arguments: str) -> str:
        asked.append(arguments)
        return TABLE

    monkeypatch.setattr(dvc, "output", output)
    return asked


def test_the_description_says_why_what_changed_and_draws_the_curves(
    evaluated: Path, compared: list[tuple[str, ...]]
) -> None:
    entry = {"outcome": "proposed", "reasons": ["new data: 2024-05", "asked for by hand"]}
    files.append_line(paths.JOURNAL, entry)
    text = proposal.body("a1")
    assert text.startswith(
        "A retraining run: new data: 2024-05; asked for by hand.\nNothing was released"
    )
    assert TABLE in text
    assert compared == [("metrics", "diff", "--md", "--all", "a1")]
    drawn = [path for path in sorted(paths.PLOTS.glob("*.csv")) if path.stem != "confusion"]
    assert text.count("```mermaid\nxychart-beta\n") == len(drawn) >= 2
    assert text.count("```") == 2 * len(drawn)


def test_the_gate_s_answer_is_told_where_there_was_one(
    evaluated: Path, compared: list[tuple[str, ...]]
) -> None:
    entry = {"outcome": "refused", "reasons": ["x"], "decision": {"reason": "gain -0.1"}}
    files.append_line(paths.JOURNAL, entry)
    assert "The gate: refused, gain -0.1." in proposal.body("a1")


def test_a_curve_is_read_at_even_places(tmp_path: Path) -> None:
    path = tmp_path / "square_root.csv"
    points = "".join(f"model,{x / 100},{(x / 100) ** 0.5}\n" for x in range(0, 401))
    path.write_text(f"series,share_of_rows,root\n{points}baseline,0,7\n")
    lines = proposal.chart(path).splitlines()
    assert lines[:4] == ["## square root", "", "```mermaid", "xychart-beta"]
    assert lines[4:6] == ['    x-axis "share of rows" 0 --> 4', '    y-axis "root"']
    heights = [float(x) for x in lines[6].strip().removeprefix("line [").rstrip("]").split(",")]
    assert heights == pytest.approx([(step / 5) ** 0.5 for step in range(proposal.POINTS)], 1e-3)


def test_a_table_of_counts_is_no_curve(tmp_path: Path) -> None:
    path = tmp_path / "confusion.csv"
    path.write_text("series,actual,predicted,rows\nmodel,0,0,5\n")
    assert proposal.chart(path) == ""


def test_without_a_run_there_is_nothing_to_propose(evaluated: Path) -> None:
    with pytest.raises(Refusal, match="make retrain"):
        proposal.body("a1")
