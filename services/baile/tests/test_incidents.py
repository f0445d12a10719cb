"""The sixteen incidents of peers that this platform must not repeat, by number, each refused. Their sources are in
docs/operations/security.md, with the further tests of each class."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from studio9_baile.security.permissions import needed
from studio9_baile.ui import BuiltUi
from studio9_common.errors import BadInput
from studio9_common.http.outbound import ForbiddenAddress, NotReached, resolve
from studio9_common.objects.keys import check_key
from studio9_common.objects.port import BadKey
from studio9_common.tokens import TokenKeys

ROOT = Path(__file__).parents[3]
PASSWORD = "Correct-horse-9"
TRAVERSALS = (
    "%252e%252e%252f%252e%252e%252fetc%252fpasswd", "..%2f..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", "..%5c..%5cx",
    "%00", "x%00.png", "....%2f%2f", "%c0%ae%c0%ae%2f", "file:%2f%2f%2fetc%2fpasswd",
)  # fmt: skip
WITHOUT_SIGN_IN = {
    ("GET", "/health"), ("GET", "/status"), ("POST", "/signin"), ("POST", "/signup"), ("POST", "/emailconfirmation"),
    ("POST", "/me/password/reset"), ("POST", "/me/password/resetcomplete"), ("POST", "/me/username/remind"),
    ("POST", "/v1/bootstrap"), ("POST", "/v1/session"), ("POST", "/v1/session/refresh"), ("GET", "/ready"),
    ("GET", "/metrics"),
}  # fmt: skip


def routes(installation: Any) -> Iterator[tuple[str, str]]:
    """(method, path) of both APIs."""
    for document in (installation.baile.asgi.state.v2.openapi(), installation.baile.asgi.openapi()):
        for path, methods in document["paths"].items():
            yield from ((method.upper(), path) for method in methods if method in ("get", "post", "put", "delete"))


def ours(word: str, *parts: str) -> Iterator[tuple[Path, ast.Module]]:
    """The project's own code that holds a word, without tests."""
    for part in parts:
        for path in (ROOT / part).rglob("*.py"):
            text = path.read_text(encoding="utf-8") if "tests" not in path.parts else ""
            if re.search(word, text):
                yield path, ast.parse(text)


def imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(module, name) of every import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_01_mlflow_cve_2024_1560_encoded_paths_lead_nowhere(installation: Any, ana: Any) -> None:
    tried = 0
    for method, path in routes(installation):
        if "{" not in path or path.startswith("/objects"):
            continue
        for number, odd in enumerate(TRAVERSALS):
            if (sum(path.encode()) + number) % 3:
                continue  # each route gets a third of them
            answer = await ana.send(method, re.sub(r"{\w+(:path)?}", odd, path), json={"name": "x"})
            assert answer.status_code in (400, 401, 403, 404, 405, 415), f"{method} {path} {odd}: {answer.text}"
            assert "root:" not in answer.text
            tried += 1
    assert tried > 100
    for odd in TRAVERSALS:
        assert (await ana.send("GET", f"/objects/{odd}")).status_code in (400, 401, 403, 404)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.text(max_size=5), part=st.sampled_from(["", ".", ".."]), after=st.text(max_size=5))
def test_02_cvat_ghsa_6f87_4g86_p9gw_storage_keys_have_no_empty_or_dotted_parts(
    before: str, part: str, after: str
) -> None:
    with pytest.raises(BadKey):
        check_key(f"{before}/{part}/{after}")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_03_cvat_ghsa_x396_w86c_gf6w_the_server_decides_where_things_are_stored(
    installation: Any, ana: Any, png: Any
) -> None:
    album = (await ana.ok("POST", "/albums", {"name": "a", "labelMode": "LOCALIZATION"}))["id"]
    files = {"file": ("../../etc/cron.d/x", png(), "image/png")}
    data = {"filename": "x", "key": "other/pictures/1", "filepath": "/etc/passwd", "organisation": "other"}
    await ana.ok("POST", f"/albums/{album}/uploadPicture", files=files, data=data)
    refused = await ana.send("POST", f"/albums/{album}/uploadPicture", files=files, data={"filename": "../x"})
    assert refused.status_code == 400
    organisation = installation.baile.core.tokens.read(ana.token).organisation
    async with installation.baile.core.database.read(organisation) as work:
        (picture,) = await work.pictures.of_album(album)
    assert picture.key == f"{organisation}/pictures/{picture.sha256}" and picture.filename == "x"


def test_04_mlflow_cve_2024_37052_nothing_of_the_platform_unpickles() -> None:
    bad = ("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle")
    found = [
        f"{path}: {module}" for path, tree in ours("|".join(bad), "services", "libs/common", "libs/task", "libs/cli")
        for module, _ in imported(tree) if module.partition(".")[0] in bad
    ]  # fmt: skip
    assert found == []


def test_05_clearml_cve_2024_24590_the_trainers_unpickle_nothing_either() -> None:
    bad = ("pickle", "dill", "cloudpickle", "joblib")
    found = [
        f"{path}: {module}.{name}" for path, tree in ours("|".join(bad), "libs/trainers")
        for module, name in imported(tree) if module.partition(".")[0] in bad and name != "UnpicklingError"
    ]  # fmt: skip
    assert found == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_06_cvat_cve_2025_23045_what_annotators_send_is_json_of_known_shapes(ana: Any, png: Any) -> None:
    album = (await ana.ok("POST", "/albums", {"name": "a", "labelMode": "LOCALIZATION"}))["id"]
    picture = (await ana.upload(album, "p", png()))["id"]
    for body in (b"\x80\x04\x95\x10\x00\x00\x00", b'{"tags": "gASVEAAAAA=="}', b'{"tags": [{"__reduce__": 1}]}'):
        answer = await ana.send("PUT", f"/albums/{album}/pictures/{picture}", content=body)
        assert answer.status_code in (400, 415), answer.text


def test_07_torch_cve_2025_32434_weights_are_loaded_as_weights_only_by_a_torch_that_means_it() -> None:
    lock = (ROOT / "requirements" / "trainers.lock").read_text(encoding="utf-8")
    version = re.search(r"^torch==(\d+)\.(\d+)", lock, re.MULTILINE)
    assert version is not None and (int(version[1]), int(version[2])) >= (2, 6)
    calls = 0
    for path, tree in ours(r"torch\.load", "libs/trainers"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                calls += 1
                given_as = {one.arg: ast.unparse(one.value) for one in node.keywords}
                assert given_as.get("weights_only") == "True", f"{path}:{node.lineno}"
    assert calls


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_08_label_studio_cve_2022_36551_no_calls_inside_and_nobody_signs_up(ana: Any) -> None:
    for url in ("https://169.254.169.254/latest/meta-data/", "http://127.0.0.1:9200/", "file:///etc/passwd"):
        answer = await ana.send("POST", "/v1/webhooks", json={"url": url})
        assert answer.status_code == 400 and answer.json()["field"] == "url"
    body = {
        "username": "eve", "email": "eve@x.test", "password": PASSWORD, "firstName": "E", "lastName": "V",
    }  # fmt: skip
    ana.token = ""
    assert (await ana.send("POST", "/signup", json=body)).status_code == 403
    assert (await ana.send("POST", "/signin", json=body)).status_code == 400


@pytest.mark.parametrize(
    "url", ["https://localtest.invalid/", "https://127.0.0.1.nip.invalid/", "https://[::ffff:127.0.0.1]/",
            "https://0x7f.1/", "https://2852039166/"],
)  # fmt: skip
async def test_09_label_studio_ghsa_p59w_9gqw_wj8r_no_spelling_leads_inside(url: str) -> None:
    """Redirects and names that change their mind: test_notifying."""
    with pytest.raises((ForbiddenAddress, NotReached)):  # the latter for a name where there is no DNS
        await resolve(url)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_10_label_studio_cve_2024_26152_and_others_nothing_uploaded_is_ever_a_page(ana: Any, png: Any) -> None:
    album = (await ana.ok("POST", "/albums", {"name": "<script>x</script>", "labelMode": "LOCALIZATION"}))["id"]
    for content in (b"<svg onload='alert(1)'/>", b"<html><script>alert(1)</script>", b"GIF8<script>"):
        files = {"file": ("x.svg", content, "image/png")}
        refused = await ana.send("POST", f"/albums/{album}/uploadPicture", files=files, data={"filename": "x"})
        assert refused.status_code in (400, 409)
    picture = await ana.upload(album, "<img src=x onerror=alert(1)>", png())
    area = {"top": 1, "left": 1, "width": 5, "height": 5}
    tags = {"tags": [{"label": "<script>alert(1)</script>", "area": area}]}
    await ana.ok("PUT", f"/albums/{album}/pictures/{picture['id']}", tags)
    file = await ana.http.get(picture["filepath"])
    assert file.headers["content-type"] == "image/png" and "sandbox" in file.headers["content-security-policy"]
    for path in (f"/albums/{album}", f"/albums/{album}/pictures", f"/albums/{album}/tags", "/albums/%3Cscript%3E"):
        answer = await ana.send("GET", path)
        assert answer.headers["content-type"].startswith("application/json")
        assert answer.headers["x-content-type-options"] == "nosniff"
    export = await ana.send("GET", f"/albums/{album}/export")
    assert export.headers["content-disposition"].startswith("attachment")


async def test_11_label_studio_ghsa_cpmr_mw4j_99r7_the_ui_serves_its_folder_alone(tmp_path: Path) -> None:
    import httpx

    (tmp_path / "ui").mkdir()
    (tmp_path / "ui" / "index.html").write_text("page")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "ui-other").mkdir()
    (tmp_path / "ui-other" / "secret.txt").write_text("secret")
    (tmp_path / "ui" / "link.txt").symlink_to(tmp_path / "secret.txt")
    transport = httpx.ASGITransport(BuiltUi(tmp_path / "ui"))  # type: ignore[arg-type]  # a plain ASGI app
    async with httpx.AsyncClient(transport=transport, base_url="http://ui") as http:
        for path in ("../secret.txt", "..%2fsecret.txt", "%2e%2e/secret.txt", "../ui-other/secret.txt", "link.txt",
                     "x/../../secret.txt", "..%5csecret.txt", "%252e%252e%252fsecret.txt"):  # fmt: skip
            try:
                assert "secret" not in (await http.get(f"http://ui/{path}")).text, path
            except Exception as error:  # outside of an app nobody answers for the exception
                assert type(error).__name__ == "HTTPException"


def test_12_label_studio_ghsa_f475_x83m_rx5m_no_key_is_known_before() -> None:
    for weak in ("", "k1:", "k1:c2VjcmV0", "k1:" + "A" * 43):
        with pytest.raises(BadInput):
            TokenKeys(weak)
    assert TokenKeys.generate() != TokenKeys.generate()
    key = re.compile(r"\bk\d+:[A-Za-z0-9_-]{43}\b")
    shipped = [
        path for part in ("services", "libs", "deploy", "docs") for path in (ROOT / part).rglob("*")
        if path.suffix in (".py", ".yaml", ".yml", ".toml", ".env", ".md", ".json") and path.is_file()
        and "tests" not in path.parts
    ]  # fmt: skip
    assert len(shipped) > 100
    assert [path for path in shipped if key.search(path.read_text(encoding="utf-8", errors="replace"))] == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_13_ray_cve_2023_48022_no_route_works_for_nobody(installation: Any, ana: Any) -> None:
    ana.token = ""
    tried = 0
    for method, path in routes(installation):
        if (method, path) in WITHOUT_SIGN_IN or path.startswith("/objects"):
            continue
        answer = await ana.send(method, re.sub(r"{\w+(:path)?}", "x", path), json={})
        assert answer.status_code in (400, 401), f"{method} {path}: {answer.status_code} {answer.text[:200]}"
        if answer.status_code == 400:  # a body is looked at first, and says nothing of what there is
            assert method in ("POST", "PUT")
        tried += 1
    assert tried > 90


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_14_cvat_cve_2024_47172_and_others_ids_of_others_and_roles_above_ones_own(ana: Any, bo: Any) -> None:
    """All routes and roles: test_tenancy_matrix; registration: 08; who gives which role: test_identity_v1."""
    token = await ana.ok("POST", "/v1/tokens", {"name": "t", "scopes": ["read"]})
    me = (await ana.ok("GET", "/me"))["id"]
    assert (await bo.send("DELETE", f"/v1/tokens/{token['id']}")).status_code == 404
    assert (await bo.send("PUT", f"/v1/users/{me}/role", json={"role": "viewer"})).status_code == 404
    ana.token = token["token"]
    assert (await ana.send("PUT", f"/v1/users/{me}/role", json={"role": "owner"})).status_code in (401, 403)


def test_15_ultralytics_8_3_41_what_is_built_is_locked_by_hash() -> None:
    for lock in (ROOT / "requirements").glob("*.lock"):
        text = lock.read_text(encoding="utf-8")
        pinned = re.findall(r"^[\w.-]+==\S+.*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
        assert pinned and all("--hash=sha256:" in one for one in pinned), lock
    workflows = [*ROOT.glob(".github/workflows/*"), *ROOT.glob(".ci/*")]
    assert all("pull_request_target" not in path.read_text(encoding="utf-8") for path in workflows)


DECIDED = {
    "GET /albums": "read", "GET /albums/{id}/pictures": "read", "POST /albums": "edit", "DELETE /albums/{id}": "edit",
    "PUT /albums/{id}": "edit", "PUT /albums/{id}/pictures/{id}": "label", "DELETE /albums/{id}/pictures/{id}": "edit",
    "POST /albums/{id}/uploadPicture": "edit", "POST /albums/{id}/uploadLabels": "label",
    "POST /albums/{id}/augment": "run", "POST /albums/{id}/copy": "edit", "POST /experiments": "run",
    "DELETE /experiments/{id}": "edit", "POST /cv-predictions": "run", "POST /online-jobs": "run",
    "PUT /online-jobs/{id}": "edit", "POST /processes/{id}/cancel": "run", "POST /shares": "edit",
    "DELETE /shares/{id}": "edit", "POST /projects": "edit", "GET /processes": "read",
    "POST /v1/models": "edit", "POST /v1/models/{id}/train": "run", "POST /v1/dataset-versions": "edit",
    "POST /v1/models/{id}/tune": "run", "POST /v1/jobs/{id}/cancel": "run",
    "POST /v1/dataset-versions/{id}/tile": "run",
    "GET /v1/training-sessions/{id}": "read", "GET /v1/monitoring/queue": "read", "GET /v1/audit": "manage",
    "POST /v1/tokens": "personal", "DELETE /v1/tokens/{id}": "personal", "POST /me/password": "personal",
    "POST /v1/webhooks": "personal", "GET /v1/me": "read", "POST /api-call/{id}/predict": "run",
}  # fmt: skip
"""What was decided for these; whoever changes one of them changes this list, too."""


def test_16_mlflow_24566_no_decision_changes_unnoticed() -> None:
    found = {}
    for name in DECIDED:
        method, _, path = name.partition(" ")
        permission = needed(method, path)
        found[name] = None if permission is None else permission.value
    assert found == DECIDED
