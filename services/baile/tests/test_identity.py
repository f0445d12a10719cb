"""Signing in, the first user, passwords, administrators, and what happens without a token."""

from typing import Any

import pytest

USER = {"id", "username", "email", "firstName", "lastName", "status", "created", "updated", "role"}
PASSWORD = "Correct-horse-9"


async def test_signing_in_answers_what_the_ui_stores(ana: Any) -> None:
    answer = await ana.ok("POST", "/signin", {"username": "ANA@lab.test", "password": PASSWORD, "remember": None})
    assert set(answer) == {"access_token", "expires_in", "token_type"}
    assert answer["expires_in"] == 86400 and answer["token_type"] == "bearer"


async def test_me_has_exactly_the_contracts_fields(ana: Any) -> None:
    me = await ana.ok("GET", "/me")
    assert set(me) == USER
    assert (me["role"], me["status"], me["firstName"]) == ("ADMIN", "ACTIVE", "Ana")
    assert me["created"].endswith("Z") and len(me["created"]) == len("2024-01-05T10:00:00.000Z")


@pytest.mark.parametrize("prefix", ["/v2.0", "/baile/v2.0"])
async def test_both_prefixes_and_a_trailing_slash(ana: Any, prefix: str) -> None:
    assert (await ana.send("GET", f"{prefix}/me/")).status_code == 200
    assert (await ana.send("GET", f"{prefix}/health")).json() == {"ok": True}


async def test_without_a_token_every_path_is_refused_alike(ana: Any) -> None:
    ana.token = ""
    for path in ("/me", "/albums", "/no-such-thing", "/me/shares"):
        response = await ana.send("GET", path, headers={"Origin": "http://ui.test"})
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert "access-control-allow-origin" not in response.headers, "our own origin needs none, no other has it"
        assert response.json()["code"] == 401


async def test_an_unknown_path_and_method_with_a_token(ana: Any) -> None:
    await ana.refused(404, "GET", "/no-such-thing")
    await ana.refused(405, "DELETE", "/me/stats")


async def test_a_token_ends_with_its_sign_in(ana: Any, installation: Any) -> None:
    other = await installation.sign_in("ana")
    assert await ana.ok("POST", "/signout") == {}
    error = await ana.refused(401, "GET", "/me")
    assert "sign in again" in error["message"]
    assert (await other.ok("GET", "/me"))["username"] == "ana"


async def test_a_token_of_another_key_or_a_changed_one_is_refused(ana: Any) -> None:
    for token in ("x.y.z", ana.token[:-3] + "abc", ""):
        response = await ana.send("GET", "/me", headers={"Authorization": f"Bearer {token}"})
        assert response.status_code == 401


async def test_an_expired_token_is_refused(installation: Any, ana: Any) -> None:
    from studio9_baile.security.tokens import Claims

    tokens = installation.baile.core.tokens
    claims = tokens.read(ana.token)
    tokens.lifetime_s = -60
    ana.token = tokens.make(Claims(claims.user, claims.organisation, claims.sign_in))
    assert "expired" in (await ana.refused(401, "GET", "/me"))["message"]


async def test_wrong_credentials_are_slowed_down_by_name(installation: Any, ana: Any) -> None:
    ana.token = ""
    for _ in range(installation.settings.sign_in_failures):
        error = await ana.refused(400, "POST", "/signin", {"username": "ana", "password": "wrong"})
        assert error["message"].startswith("Invalid credentials")
    response = await ana.send("POST", "/signin", json={"username": "ana", "password": PASSWORD})
    assert response.status_code == 429 and 0 < int(response.headers["Retry-After"]) <= 60


async def test_nobody_and_somebody_are_refused_with_the_same_words(ana: Any) -> None:
    nobody = await ana.refused(400, "POST", "/signin", {"username": "nobody", "password": "wrong"})
    somebody = await ana.refused(400, "POST", "/signin", {"username": "ana", "password": "wrong"})
    assert nobody == somebody
    await ana.refused(400, "POST", "/signin", {"password": "wrong"})
    await ana.refused(400, "POST", "/signin", {"username": "ana"})


async def test_the_bootstrap_token_works_once(installation: Any, ana: Any) -> None:
    token = await installation.baile.create_bootstrap_token()
    body = {
        "token": token, "organisation": "Pier", "username": "cy", "email": "cy@lab.test", "password": PASSWORD,
        "firstName": "Bo", "lastName": "Ek",
    }  # fmt: skip
    weak = await ana.send("POST", "/v1/bootstrap", json={**body, "password": "password"})
    assert weak.status_code == 400 and weak.json()["field"] == "password"
    assert (await ana.send("POST", "/v1/bootstrap", json={**body, "organisation": "lab"})).status_code == 409
    assert (await ana.send("POST", "/v1/bootstrap", json={**body, "username": "ANA"})).status_code == 400
    assert (await ana.send("POST", "/v1/bootstrap", json=body)).status_code == 201
    again = await ana.send("POST", "/v1/bootstrap", json={**body, "organisation": "Third", "username": "cy"})
    assert again.status_code == 400 and "token" in again.json()["detail"]


@pytest.mark.parametrize(
    "password", ["Short-9", "alllowercase1", "Aaaa-bbbb-1234", "x" * 129, "ALLUPPER12", "onlylower-"]
)
async def test_weak_passwords_are_refused_with_the_rule(ana: Any, password: str) -> None:
    body = {"oldPassword": PASSWORD, "newPassword": password}
    error = await ana.refused(400, "POST", "/me/password", body)
    assert error["errors"][0]["field"] == "newPassword" and error["errors"][0]["fix"]


async def test_a_changed_password_ends_the_other_sign_ins_and_cannot_come_back(ana: Any, installation: Any) -> None:
    other = await installation.sign_in("ana")
    assert await ana.ok("POST", "/me/password", {"oldPassword": PASSWORD, "newPassword": "Another-horse-9"}) == {}
    await other.refused(401, "GET", "/me")
    await ana.ok("GET", "/me")
    error = await ana.refused(400, "POST", "/me/password", {"oldPassword": PASSWORD, "newPassword": "Third-horse-9"})
    assert error["message"].startswith("Invalid old password")
    back = {"oldPassword": "Another-horse-9", "newPassword": PASSWORD}
    assert "before" in (await ana.refused(400, "POST", "/me/password", back))["message"]


async def test_administrators_see_and_make_users_of_their_organisation_only(
    ana: Any, bo: Any, installation: Any
) -> None:
    body = {
        "username": "cy", "email": "cy@lab.test", "password": PASSWORD, "firstName": "Cy", "lastName": "Oz",
        "role": "USER",
    }  # fmt: skip
    made = await ana.ok("POST", "/users", body)
    assert set(made) == USER
    listed = await ana.ok("GET", "/users?page=1&page_size=1000&order=firstName%2ClastName%2Cemail")
    assert [user["username"] for user in listed["data"]] == ["ana", "cy"] and listed["count"] == 2
    assert (await bo.ok("GET", "/users"))["count"] == 1
    await bo.refused(404, "GET", f"/users/{made['id']}")
    await bo.refused(404, "POST", f"/users/{made['id']}/deactivate")
    error = await ana.refused(400, "POST", "/users", {**body, "email": "other@lab.test"})
    assert error["message"].startswith("User cy already exists")
    cy = await installation.sign_in("cy")
    assert (await cy.refused(401, "GET", "/users"))["message"] == "User is not authorized"
    assert (await ana.ok("POST", f"/users/{made['id']}/deactivate"))["status"] == "DEACTIVATED"
    await cy.refused(401, "GET", "/me")


async def test_sections_that_come_later_are_empty(ana: Any) -> None:
    for section in ("flows", "replays", "dashboards", "optimizations", "diaas", "online-apis", "script-deployments",
                    "s9-projects", "tables", "models", "predictions", "pipelines", "pipeline-operators", "packages",
                    "datasets", "me/shares"):  # fmt: skip
        assert await ana.ok("GET", f"/{section}?order=-created&page_size=1000") == {"data": [], "count": 0}
    await ana.refused(404, "GET", "/tables/some-id")
    assert await ana.ok("GET", "/config/operator-categories") == []


async def test_a_body_that_is_too_large(ana: Any, installation: Any) -> None:
    large = "x" * (installation.settings.max_body + 1)
    await ana.refused(413, "POST", "/signin", {"username": large, "password": "x"})
