"""A task that asks for children: what becomes of its wishes, and what it gets of those that have ended."""

import json
from pathlib import Path
from typing import Any

import pytest

from studio9_common.contracts.job import Child, Input, Spec, State
from studio9_common.contracts.messages import WorkerResult, WorkerRun
from studio9_common.contracts.predictions import AttemptManifest, ManifestFile
from studio9_common.contracts.reasons import reason
from studio9_common.ids import new_id
from studio9_worker.children import requested
from studio9_worker.lease import AttemptKey
from studio9_worker.records import AttemptRecord

TRIAL: dict[str, Any] = {"name": "t1", "kind": "trial", "framework": "studio9", "parameters": {"epochs": 3}, "seed": 5}


async def run(
    platform: Any, asked: Any, children: tuple[Child, ...] = (), inputs: tuple[Input, ...] = (), printed: str = ""
) -> Any:
    spec = Spec(kind="tune", parameters={"do": "ask", "asked": asked, "printed": printed}, inputs=inputs)
    job = new_id()
    await platform.send(WorkerRun(worker="w1", job=job, attempt=1, fence=1, spec=spec, children=children))
    return await platform.result(job)


async def ended(platform: Any, name: str, **files: bytes) -> Child:
    """A child that completed with these outputs, and a log."""
    job, made = new_id(), []
    for stem, content in files.items():
        path = f"{stem}.pt" if stem != "result" else "result.json"
        ref = await platform.put(f"acme/jobs/{job}/1/outputs/{path}", content)
        made.append(ManifestFile(name=path, key=ref.key, sha256=ref.sha256, size=ref.size, artifact=stem))
    log = await platform.put(f"acme/jobs/{job}/1/task.log", b"log")
    made.append(ManifestFile(name="task.log", key=log.key, sha256=log.sha256, size=log.size, kind="log"))
    manifest = AttemptManifest(organisation="acme", job=job, attempt=1, fence=1, kind="trial", files=tuple(made))
    ref = await platform.put(f"acme/jobs/{job}/1/manifest.json", manifest.model_dump_json().encode())
    return Child(
        job=job, name=name, spec=Spec(kind="trial"), bring=("result.json",), state=State.completed, manifest=ref
    )


async def test_what_is_asked_for_becomes_requests(platform: Any) -> None:
    await platform.start_worker()
    pages = await platform.pictures("train", {"a.png": b"first"})
    extra = Input(name="extra/x.txt", kind="file", ref=await platform.put("acme/datasets/d/x", b"x"))
    other = Input(name="model", kind="file", ref=await platform.put("acme/models/v/m.pt", b"weights"))
    before = await ended(platform, "t0", result=b"{}", state=b"state of t0")
    asked = TRIAL | {"inputs": ["train", "extra"], "files": {"state": {"child": "t0", "path": "state.pt"}}}
    result: WorkerResult = await run(platform, [asked], (before,), (pages, extra, other))
    assert result.outcome == "succeeded" and result.checkpoint is not None, "its state is stored before it is told"
    assert await platform.objects.get(result.checkpoint.key) == b"study"
    (child,) = result.children
    assert (child.name, child.spec.kind, child.spec.framework, child.spec.seed) == ("t1", "trial", "studio9", 5)
    assert child.bring == ("result.json",) and child.spec.parameters == {"epochs": 3}
    assert child.spec.inputs[:2] == (pages, extra), "the parent's own, as they are"
    assert child.spec.inputs[2].name == "state"
    assert await platform.objects.get(child.spec.inputs[2].ref.key) == b"state of t0"
    assert result.summary["names"] == ["train", "extra", "model"]


@pytest.mark.parametrize("name", ["code", "code/own.py"])
@pytest.mark.parametrize(
    "wish", [{}, {"inputs": ["model"]}, {"inputs": ["code"]}, {"again": "t0"}, {"files": {"code": "state.pt"}}]
)
async def test_a_child_of_code_of_the_users_own_is_trusted_no_more_than_its_parent(
    platform: Any, tmp_path: Path, name: str, wish: dict[str, Any]
) -> None:
    code = Input(name=name, kind="file", ref=await platform.put("acme/code", b"code"))
    model = Input(name="model", kind="file", ref=await platform.put("acme/m.pt", b"weights"))
    before = await ended(platform, "t0", state=b"made by that code")
    files = {of: {"child": "t0", "path": path} for of, path in wish.get("files", {}).items()}
    asked = {"children": [TRIAL | wish | {"files": files}]}
    (tmp_path / "children.json").write_text(json.dumps(asked))
    for inputs in ((code, model), (model, code)):
        spec = Spec(kind="tune", inputs=inputs)
        message = WorkerRun(worker="w1", job=new_id(), attempt=1, fence=1, spec=spec, children=(before,))
        record = AttemptRecord(AttemptKey(message.job, 1), "acme", ("cpu-0",), message, "uploading")
        (child,) = await requested(record, tmp_path, "children.json", platform.objects)
        assert child.spec.untrusted
        found = [one for one in child.spec.inputs if one.name.partition("/")[0] == "code"]
        assert len(found) == 1 and (files or found == [code])
        assert (model in child.spec.inputs) is ("model" in wish.get("inputs", ()))


async def test_requests_that_make_a_result_large_cost_it_its_summary(platform: Any) -> None:
    await platform.start_worker()
    before = await ended(platform, "t0", result=b"r" * 31_000)
    asked = TRIAL | {"parameters": {"x": "y" * 19_000}}
    result = await run(platform, [asked], (before,), printed='"' * 8_000)
    assert result.outcome == "succeeded" and [one.name for one in result.children] == ["t1"]
    assert result.summary == {"summary_too_large": True} and result.manifest is not None


async def test_what_they_brought_is_staged_and_how_they_ended_is_told(platform: Any) -> None:
    await platform.start_worker()
    done = await ended(platform, "t0", result=b"7", state=b"large")
    lost = Child(job=new_id(), name="t1", spec=Spec(kind="trial"), state=State.failed, reason=reason("workers_lost"))
    wrong = Child(
        job=new_id(), name="t2", spec=Spec(kind="trial"), state=State.failed, reason=reason("bad_input", "No pictures.")
    )
    result = await run(platform, None, (done, lost, wrong))
    assert result.outcome == "succeeded" and result.children == ()
    assert result.summary["brought"] == {"children/t0/result.json": "7"}, "what was wanted, no more"
    told = [(one["name"], one["state"], one["lost"]) for one in result.summary["children"]]
    assert told == [("t0", "completed", False), ("t1", "failed", True), ("t2", "failed", False)]
    assert result.summary["children"][2]["message"] == "No pictures."


async def test_a_lost_child_is_asked_for_again_with_its_inputs(platform: Any) -> None:
    await platform.start_worker()
    state = Input(name="state", kind="file", ref=await platform.put("acme/jobs/j/1/outputs/state.pt", b"s"))
    lost = Child(job=new_id(), name="t1", spec=Spec(kind="trial", inputs=(state,)), state=State.failed)
    result = await run(platform, [TRIAL | {"name": "t1.again1", "again": "t1"}], (lost,))
    assert [(one.name, one.spec.inputs) for one in result.children] == [("t1.again1", (state,))]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ([], "children"),
        ([TRIAL | {"name": "Not A Name"}], "name"),
        ([TRIAL | {"inputs": ["test"]}], "no input 'test' to hand on"),
        ([TRIAL | {"files": {"state": {"child": "t9", "path": "state.pt"}}}], "'t9' is no child of the last run"),
        ([TRIAL | {"files": {"state": {"child": "t0", "path": "other.pt"}}}], "'t0' has no output 'other.pt'"),
        ([TRIAL | {"files": {"state": {"child": "t0", "path": "task.log"}}}], "'t0' has no output 'task.log'"),
        ([TRIAL | {"again": "t9"}], "'t9' is no child of the last run"),
        ([TRIAL | {"parameters": {"x": "y" * 30_000}}], "bytes"),
        ([TRIAL | {"name": f"t{n}"} for n in range(9)], "children"),
    ],
)
async def test_what_cannot_be_asked_for_fails_with_its_reason(platform: Any, asked: Any, says: str) -> None:
    await platform.start_worker()
    result = await run(platform, asked, (await ended(platform, "t0", result=b"{}"),))
    assert (result.outcome, result.children) == ("failed", ())
    assert result.reason.code == "bad_output" and says in result.reason.message


async def test_the_folder_of_children_is_the_platforms(platform: Any) -> None:
    await platform.start_worker()
    own = Input(name="children", kind="file", ref=await platform.put("acme/datasets/d/c.txt", b"x"))
    result = await run(platform, None, inputs=(own,))
    assert result.reason.code == "bad_input" and "rename it" in result.reason.message
