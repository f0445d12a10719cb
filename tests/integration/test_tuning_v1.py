"""A search on tiles that is asked for through Baile's API: its trials are jobs of their own, seen as they go on, and
its best model is a version that knows where it came from."""

import asyncio
import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from studio9_baile.app import BaileService
from studio9_baile.settings import BaileSettings
from studio9_common.tokens import TokenKeys

from .embedded import EmbeddedPlatform
from .requester import PNG

PASSWORD = "Correct-horse-9"
CATALOGUE = {
    "schema": 1, "version": "test", "tasks": [{"kind": kind, "framework": "studio9"} for kind in ("tile", "tune")],
    "architectures": [{"id": "YOLO11N", "name": "n", "framework": "yolo", "package": "p", "module": "m",
                       "class_name": "C"}],
    "heads": [{"id": "YOLO_HEAD", "name": "n", "framework": "yolo", "package": "p", "module": "m", "class_name": "C",
               "consumer": "detector", "architectures": ["YOLO11N"],
               "parameters": [{"type": "int", "name": "epochs", "min": 1, "defaults": [25]}]}],
}  # fmt: skip
SEARCH = {
    "config": {"architecture": "YOLO11N", "head": "YOLO_HEAD", "head_parameters": {"epochs": 1}},
    "vary": {"rate": {"kind": "float", "low": 1e-4, "high": 0.1, "log": True}}, "trials": 2, "at_once": 2,
}  # fmt: skip


class Api:
    """A user's requests."""

    def __init__(self, baile: BaileService) -> None:
        transport = httpx.ASGITransport(baile.asgi, raise_app_exceptions=False, client=("127.0.0.1", 1))
        self.http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=30)

    async def ok(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        answer = await self.http.request(method, path, json=body, **options)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    async def until(self, path: str, what: Any, within_s: float = 60) -> Any:
        """What is answered as soon as it is so."""
        found = None
        try:
            async with asyncio.timeout(within_s):
                while True:
                    found = await self.ok("GET", path)
                    if what(found):
                        return found
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{path} is not so after {within_s} s: {found}") from None

    async def sign_up(self, token: str) -> None:
        """The first user of an organisation, signed in."""
        body = {"token": token, "organisation": "lab", "username": "ana", "email": "ana@lab.test",
                "password": PASSWORD, "firstName": "A", "lastName": "L"}  # fmt: skip
        await self.ok("POST", "/v1/bootstrap", body)
        signed = await self.ok("POST", "/v1/session", {"username": "ana", "password": PASSWORD})
        self.http.headers["Authorization"] = f"Bearer {signed['access_token']}"

    async def dataset(self) -> str:
        """A dataset version of one labelled picture to train on and to compare on."""
        album = (await self.ok("POST", "/v2.0/albums", {"name": "a", "labelMode": "LOCALIZATION"}))["id"]
        files = {"file": ("a.png", PNG, "image/png")}
        await self.ok("POST", f"/v2.0/albums/{album}/uploadPicture", files=files, data={"filename": "a"})
        labels = {"file": ("labels.csv", b"a,ship,0,0,1,1\n", "text/csv")}
        await self.ok("POST", f"/v2.0/albums/{album}/uploadLabels", files=labels)
        body = {"albums": {"train": album, "val": album}}
        return str((await self.ok("POST", "/v1/dataset-versions", body))["id"])


async def test_a_search_through_the_api(tmp_path: Path, trainers_python: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    program = shutil.copy(Path(__file__).parent / "tuning_program.py", shared)
    (shared / "catalogue.json").write_text(json.dumps(CATALOGUE))
    for death in ("parent", "trial-1", "trial-2"):
        (shared / death).mkdir()  # they have all died already
    (shared / "hold").touch()
    command = shlex.join((str(trainers_python), str(program)))
    async with EmbeddedPlatform.opened(tmp_path / "platform", task_command=command) as platform:
        settings = BaileSettings(
            state_dir=tmp_path / "baile", user_keys=SecretStr(TokenKeys.generate()), password_memory_kib=64
        )
        baile = platform.baile(settings)
        await baile.start()
        try:
            api = Api(baile)
            await api.sign_up(await baile.create_bootstrap_token())
            await _search(api, shared)
            await api.http.aclose()
        finally:
            await baile.stop()


async def _tiles_of(api: Api, dataset: str) -> str:
    """The dataset version of its tiles, cut by a real task."""
    made = await api.ok("POST", f"/v1/dataset-versions/{dataset}/tile", {"size": 32, "overlap": 0})
    await api.until(f"/v1/jobs/{made['job']}", lambda found: found["status"] == "COMPLETED")
    version = await api.ok("GET", f"/v1/dataset-versions/{made['dataset_version']}")
    assert {one["name"]: (one["pictures"], one["shapes"]) for one in version["manifests"]} == {
        "train": (1, 1), "val": (1, 1),
    }  # fmt: skip
    for one in version["manifests"]:
        (line,) = (await api.http.get(one["url"])).content.splitlines()
        tile = json.loads(line)
        assert (tile["split"], tile["row"], tile["right"]) == (one["name"], 0, 1) and tile["source"] and tile["group"]
    return str(version["id"])


async def _search(api: Api, shared: Path) -> None:
    await api.until("/v1/catalogue", lambda found: found["heads"])
    dataset = await _tiles_of(api, await api.dataset())
    model = (await api.ok("POST", "/v1/models", {"name": "Ships"}))["id"]
    made = await api.ok("POST", f"/v1/models/{model}/tune", {"dataset_version_id": dataset, **SEARCH})
    path, version = f"/v1/tuning-sessions/{made['tuning_session']}", f"/v1/models/{model}/versions"

    def at_work(found: Any) -> bool:
        trials = found.get("search", {}).get("trials", [])
        return len(trials) == 2 and all(one.get("at_work", {}).get("state") == "running" for one in trials)

    running = await api.until(path, at_work)
    assert running["job"]["waiting"] == "waits for 2 of the 2 children that its task asked for"
    assert {one["state"] for one in running["search"]["trials"]} == {"running"} and "best" not in running["search"]
    (shared / "hold").unlink()
    done = await api.until(path, lambda found: found["session"]["status"] in ("COMPLETED", "FAILED"))
    assert done["session"]["status"] == "COMPLETED", done
    trials, seeds = done["search"]["trials"], done["search"]["seeds"]
    assert [one["state"] for one in trials] == ["done", "done"] and all("figure" in one for one in seeds)
    best = max(trials, key=lambda one: one["figure"])
    assert done["search"]["best"] == best["number"] and len(seeds) == 3
    assert {one["name"] for one in done["artifacts"]} >= {"model.pt", "study.json", "result.json"}
    whole = await api.ok("GET", f"{version}/{made['model_version']}")
    assert (whole["status"], whole["labels"]) == ("ACTIVE", ["ship"])
    assert whole["parameters"]["rates"]["head"] == best["settings"]["rate"]
    assert whole["parameters"]["head_parameters"]["seed"] in [one["seed"] for one in seeds]
    assert [(one["id"], one["job"]) for one in whole["made_from"]] == [(dataset, made["tuning_session"])]
