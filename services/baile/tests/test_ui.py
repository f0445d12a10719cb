"""A built UI at `/`, beside the APIs."""

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
async def ui(installation: Any, tmp_path: Path) -> Any:
    folder = tmp_path / "ui"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<html>Salsa</html>")
    (folder / "assets" / "main.js").write_text("let x = 1")
    (tmp_path / "secret.txt").write_text("secret")
    await installation.stop()
    await installation.start(ui_dir=folder)
    return installation.http()


async def test_pages_and_files(ui: Any) -> None:
    for page in ("/", "/desk/library/albums/personal", "/signin"):
        answer = await ui.get(page)
        assert answer.status_code == 200 and "Salsa" in answer.text
        assert answer.headers["cache-control"] == "no-cache"
    script = await ui.get("/assets/main.js")
    assert script.text == "let x = 1" and script.headers["x-content-type-options"] == "nosniff"
    assert (await ui.get("/assets/missing.js")).status_code == 404


async def test_the_apis_are_not_hidden(ui: Any) -> None:
    assert (await ui.get("/v2.0/health")).json() == {"ok": True}
    assert (await ui.get("/v2.0/nothing")).status_code == 401
    assert (await ui.get("/health")).json()["status"] == "alive"


@pytest.mark.parametrize("path", ["/../secret.txt", "/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt"])
async def test_nothing_outside_the_folder_is_served(ui: Any, path: str) -> None:
    assert (await ui.get(path)).status_code == 404
