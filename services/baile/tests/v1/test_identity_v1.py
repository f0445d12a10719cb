"""`/v1`: signing in, renewing, personal access tokens, roles, and who did what."""

import itertools
from typing import Any

import pytest

from studio9_baile.models.identity import Role
from studio9_baile.security.permissions import GRANTS, Permission, needed

PASSWORD = "Correct-horse-9"


async def session(api: Any, username: str = "ana") -> Any:
    return await api.ok("POST", "/v1/session", {"username": username, "password": PASSWORD})


async def user(ana: Any, name: str, role: str = "USER") -> str:
    body = {
        "username": name, "email": f"{name}@lab.test", "password": PASSWORD, "firstName": name, "lastName": "X",
        "role": role,
    }  # fmt: skip
    return str((await ana.ok("POST", "/users", body))["id"])


async def test_a_session_is_renewed_once_with_each_token(ana: Any) -> None:
    first = await session(ana)
    ana.token = first["access_token"]
    assert (await ana.ok("GET", "/v1/me"))["user"]["role"] == "owner"
    second = await ana.ok("POST", "/v1/session/refresh", {"refresh_token": first["refresh_token"]})
    ana.token = second["access_token"]
    assert await ana.ok("GET", "/v1/me")
    stolen = await ana.send("POST", "/v1/session/refresh", json={"refresh_token": first["refresh_token"]})
    assert stolen.status_code == 401
    assert (await ana.send("GET", "/v1/me")).status_code == 401, "the whole sign-in has ended"
    again = await ana.send("POST", "/v1/session/refresh", json={"refresh_token": second["refresh_token"]})
    assert again.status_code == 401


async def test_signing_out_ends_access_and_refresh(ana: Any) -> None:
    made = await session(ana)
    ana.token = made["access_token"]
    assert (await ana.send("DELETE", "/v1/session")).status_code == 204
    assert (await ana.send("GET", "/v1/me")).status_code == 401
    refused = await ana.send("POST", "/v1/session/refresh", json={"refresh_token": made["refresh_token"]})
    assert refused.status_code == 401 and refused.headers["content-type"] == "application/problem+json"


async def test_wrong_passwords_are_slowed_down_here_too(ana: Any, installation: Any) -> None:
    for _ in range(installation.settings.sign_in_failures):
        wrong = await ana.send("POST", "/v1/session", json={"username": "ana", "password": "wrong"})
        assert wrong.status_code == 400
    late = await ana.send("POST", "/v1/session", json={"username": "ana", "password": PASSWORD})
    assert late.status_code == 429 and int(late.headers["Retry-After"]) > 0


async def test_a_personal_token_does_what_its_scopes_say_and_no_more(ana: Any) -> None:
    made = await ana.ok("POST", "/v1/tokens", {"name": "notebook", "scopes": ["read"], "days": 1})
    assert made["token"].startswith("s9_")
    listed = await ana.ok("GET", "/v1/tokens")
    assert [one["id"] for one in listed] == [made["id"]] and "token" not in listed[0]
    owner, ana.token = ana.token, made["token"]
    assert (await ana.ok("GET", "/v1/me"))["permissions"] == ["read"]
    assert (await ana.ok("GET", "/albums"))["count"] == 0
    assert (await ana.send("POST", "/albums", json={"name": "x", "labelMode": "LOCALIZATION"})).status_code == 403
    more = await ana.send("POST", "/v1/tokens", json={"name": "more", "scopes": ["read"]})
    assert more.status_code == 403, "a token makes no tokens"
    change = {"oldPassword": PASSWORD, "newPassword": "Another-horse-9"}
    assert (await ana.send("POST", "/me/password", json=change)).status_code == 403
    assert (await ana.send("GET", "/v1/audit")).status_code == 403
    ana.token = owner
    assert (await ana.send("DELETE", f"/v1/tokens/{made['id']}")).status_code == 204
    ana.token = made["token"]
    assert (await ana.send("GET", "/v1/me")).status_code == 401


@pytest.mark.parametrize(
    "body", [{"scopes": ["personal"]}, {"scopes": ["all"]}, {"scopes": []}, {"scopes": ["read"], "days": 0}]
)
async def test_tokens_with_other_scopes_or_lives_are_refused(ana: Any, body: dict[str, Any]) -> None:
    refused = await ana.send("POST", "/v1/tokens", json={"name": "x", **body})
    assert refused.status_code == 400 and refused.json()["field"].split(".")[0] in ("scopes", "days")


async def test_roles_are_given_by_those_above_them_only(ana: Any, installation: Any) -> None:
    admin_id, editor_id = await user(ana, "cy", "ADMIN"), await user(ana, "di")
    cy = await installation.sign_in("cy")
    me = (await ana.ok("GET", "/me"))["id"]
    for target, role in ((me, "viewer"), (editor_id, "owner"), (admin_id, "owner")):
        assert (await cy.send("PUT", f"/v1/users/{target}/role", json={"role": role})).status_code == 403
    assert (await cy.send("POST", f"/v2.0/users/{me}/deactivate")).status_code == 403
    assert (await cy.ok("PUT", f"/v1/users/{editor_id}/role", {"role": "viewer"}))["role"] == "viewer"
    last = await ana.send("PUT", f"/v1/users/{me}/role", json={"role": "admin"})
    assert last.status_code == 400 and "last owner" in last.json()["detail"]
    di = await installation.sign_in("di")
    assert (await di.send("PUT", f"/v1/users/{me}/role", json={"role": "viewer"})).status_code == 401
    assert (await di.send("POST", "/albums", json={"name": "x", "labelMode": "LOCALIZATION"})).status_code == 403
    log = (await ana.ok("GET", "/v1/audit?limit=500"))["items"]
    assert {"sign_in", "create", "set_role"} <= {entry["action"] for entry in log}
    assert (await di.send("GET", "/v1/audit")).status_code == 403


async def test_the_audit_log_is_paged_newest_first(ana: Any) -> None:
    for number in range(5):
        await ana.ok("POST", "/projects", {"name": f"p{number}"})
    whole = (await ana.ok("GET", "/v1/audit?limit=500"))["items"]
    found, path = [], "/v1/audit?limit=2"
    while path:
        page = await ana.ok("GET", path)
        found += page["items"]
        path = f"/v1/audit?limit=2&cursor={page['next']}" if "next" in page else ""
    assert found == whole and [one["time"] for one in found] == sorted((one["time"] for one in found), reverse=True)
    assert (await ana.send("GET", "/v1/audit?cursor=%00")).status_code == 400


def test_no_role_has_more_than_the_next_one() -> None:
    ordered = [GRANTS[role] for role in reversed(Role)]
    assert all(lower <= higher for lower, higher in itertools.pairwise(ordered))
    assert GRANTS[Role.viewer] == {Permission.read, Permission.personal}


def test_what_no_rule_names_needs_the_most_usual_permission() -> None:
    assert needed("GET", "/v2.0/anything") is Permission.read
    assert needed("POST", "/v1/anything") is Permission.edit
    assert needed("PATCH", "/anything/else") is Permission.edit
