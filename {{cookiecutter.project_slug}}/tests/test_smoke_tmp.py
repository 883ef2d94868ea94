from pathlib import Path
from .customers import request
def test_a(replaced: Path):
    print(list((replaced/"var").rglob("*")), request())
    print((replaced/"var/history.jsonl").read_text(), (replaced/"reports/metrics.json").read_text(), (replaced/"dvc.lock").read_text())
    print(next((replaced/"var/bundles").glob("v2/card.md")).read_text())
def test_b(released): pass
