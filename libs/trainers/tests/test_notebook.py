"""The notebook of the documentation runs, and shows what it has shown when it was rendered."""

import json
import runpy
from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs" / "how-to"
WHOLE = "PAGES, EPOCHS = 120, 10"


def test_the_notebook_runs(tmp_path: Path) -> None:
    execute = runpy.run_path(str(Path(__file__).with_name("notebook.py")))["executed"]
    path = DOCS / "train-in-a-notebook.ipynb"
    rendered = json.loads(path.read_text())
    assert WHOLE in "".join(line for cell in rendered["cells"] for line in cell["source"])
    notebook, names = execute(path, tmp_path, {WHOLE: "PAGES, EPOCHS = 12, 1"})
    assert names["trained"].epochs_done == 1
    assert names["onnx"].accepted is True and (tmp_path / "export" / "card.md").is_file()
    for ran, shown in zip(notebook["cells"], rendered["cells"], strict=True):
        kinds, before = ([one["output_type"] for one in cell.get("outputs", [])] for cell in (ran, shown))
        assert kinds == before, "render it again: python libs/trainers/tests/notebook.py FILE"
