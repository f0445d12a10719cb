"""Runs a notebook's code cells one after the other, as a kernel would, and keeps what they show.

`python notebook.py FILE` writes the outputs into the file.
"""

import ast
import base64
import contextlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image


def executed(
    path: Path, folder: Path, instead: Mapping[str, str] | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the notebook with the outputs of its cells, the names that they left), run in `folder`.

    `instead`: texts that stand in for others in the code, so that a test may take a part of the time.
    """
    notebook = json.loads(path.read_text(encoding="utf-8"))
    names: dict[str, Any] = {"__name__": "__main__"}
    before = Path.cwd()
    os.chdir(folder)
    try:
        number = 0
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                number += 1
                cell["execution_count"] = number
                source = "".join(cell["source"])
                for text, other in (instead or {}).items():
                    source = source.replace(text, other)
                cell["outputs"] = _outputs(source, f"{path.name}, cell {number}", names, number)
    finally:
        os.chdir(before)
    return notebook, names


def _outputs(source: str, where: str, names: dict[str, Any], number: int) -> list[dict[str, Any]]:
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, where, "exec"), names)
        value = eval(compile(ast.Expression(last.value), where, "eval"), names) if last is not None else None
    found: list[dict[str, Any]] = []
    if printed.getvalue():
        found.append({"output_type": "stream", "name": "stdout", "text": printed.getvalue().splitlines(keepends=True)})
    if value is not None:
        data: dict[str, Any] = {"text/plain": [repr(value)]}
        if isinstance(value, Image.Image):
            content = io.BytesIO()
            value.save(content, "PNG")
            data = {"image/png": base64.b64encode(content.getvalue()).decode(), "text/plain": ["a picture"]}
        found.append({"output_type": "execute_result", "execution_count": number, "metadata": {}, "data": data})
    return found


if __name__ == "__main__":
    file = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as scratch:
        shown, _ = executed(file, Path(scratch))
    file.write_text(json.dumps(shown, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
