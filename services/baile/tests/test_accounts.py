"""Sign-up, confirmation of the address, a forgotten password or name: by mail, telling nobody who has an account."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from .conftest import PASSWORD, Api
from .mailbox import Mailbox, mailbox

NEW = {"username": "Cy", "email": "cy@lab.test", "password": PASSWORD, "firstName": "Cy", "lastName": "Ek"}


@pytest.fixture
async def mails(installation: Any, ana: Any) -> AsyncIterator[Mailbox]:
    """The mails of a Baile where people may sign up to join `lab`."""
    async with mailbox() as made:
        await installation.stop()
        await installation.start(
            mail_host="127.0.0.1", mail_port=made.port, sign_up_organisation="lab", public_url="https://lab.test/"
        )
        yield made


def query(text: str, page: str) -> dict[str, str]:
    """The parameters of the link to a page of the UI."""
    link = next(word for word in text.split() if word.startswith("https://lab.test/"))
    assert urlsplit(link).path == page
    return {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}


async def test_nobody_signs_up_unless_the_operator_allows_it(installation: Any) -> None:
    error = await Api(installation.http()).refused(403, "POST", "/signup", NEW)
    assert "administrator" in error["message"]


async def test_who_signs_up_confirms_the_address_first(installation: Any, mails: Mailbox) -> None:
    anybody, ana = Api(installation.http()), installation.signed_in("ana")
    album = await ana.ok("POST", "/albums", {"name": "Ships", "labelMode": "LOCALIZATION"})
    share = {"assetType": "ALBUM", "assetId": album["id"], "recipientEmail": "cy@lab.test"}
    assert "recipientId" not in await ana.ok("POST", "/shares", share)
    assert (await mails.next())[0] == "cy@lab.test"
    made = await anybody.ok("POST", "/signup", NEW)
    assert (made["status"], made["role"], made["username"]) == ("INACTIVE", "USER", "cy")
    credentials = {"username": "cy", "password": PASSWORD}
    await anybody.refused(400, "POST", "/signin", credentials)
    to, text = await mails.next()
    link = query(text, "/emailconfirmation")
    assert to == "cy@lab.test" and link["userId"] == made["id"]
    await anybody.refused(400, "POST", "/emailconfirmation", {**link, "activationCode": "0" * 36})
    confirmed = await anybody.send("POST", "/emailconfirmation", json=link)
    assert (confirmed.status_code, confirmed.json()) == (202, {})
    await anybody.refused(400, "POST", "/emailconfirmation", link)
    cy = await installation.sign_in("cy")
    assert [one["assetId"] for one in (await cy.ok("GET", "/me/shares"))["data"]] == [album["id"]]
    await anybody.refused(400, "POST", "/signup", {**NEW, "username": "di"})
    await anybody.refused(
        400, "POST", "/signup", {**NEW, "email": "di@lab.test", "password": "short", "username": "di"}
    )


async def test_a_forgotten_password_and_a_forgotten_name(installation: Any, mails: Mailbox) -> None:
    anybody, before = Api(installation.http()), installation.signed_in("ana")
    for email in ("ana@lab.test", "nobody@lab.test", "ana@lab.test"):
        asked = await anybody.send("POST", "/me/password/reset", json={"email": email})
        assert (asked.status_code, asked.json()) == (202, {})
    to, text = await mails.next()
    link = query(text, "/signin/password/complete")
    assert to == link["email"] == "ana@lab.test"
    new = {"newPassword": "Another-horse-9", "newPassword2": "Another-horse-9"}
    await anybody.refused(400, "POST", "/me/password/resetcomplete", {**link, **new, "email": "bo@lab.test"})
    await anybody.refused(400, "POST", "/me/password/resetcomplete", {**link, **new, "newPassword": PASSWORD})
    assert await anybody.ok("POST", "/me/password/resetcomplete", {**link, **new}) == {}
    await anybody.refused(400, "POST", "/me/password/resetcomplete", {**link, **new})
    await before.refused(401, "GET", "/me")
    assert await anybody.ok("POST", "/signin", {"username": "ana", "password": "Another-horse-9"})
    for email in ("nobody@lab.test", "bo@lab.test"):
        asked = await anybody.send("POST", "/me/username/remind", json={"email": email})
        assert (asked.status_code, asked.json()) == (202, {})
    to, text = await mails.next()
    assert to == "bo@lab.test" and "bo" in text and mails.empty
