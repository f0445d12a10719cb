"""What the objects port promises about signed URLs: true signatures, true expiry, stable text."""

import asyncio
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import httpx
import pytest

from studio9_common.errors import BadInput
from studio9_common.objects.port import ObjectMissing, Objects


def changed(url: str, **query: str) -> str:
    parts = urlsplit(url)
    values = dict(parse_qsl(parts.query)) | query
    return urlunsplit(parts._replace(query=urlencode(values)))


async def test_a_url_reads_its_object_without_credentials(objects: Objects, browser: httpx.AsyncClient) -> None:
    await objects.put("o/pictures/a b+ü%", b"0123456789", content_type="image/png")
    url = await objects.signed_url("o/pictures/a b+ü%")
    answer = await browser.get(url)
    assert (answer.status_code, answer.content) == (200, b"0123456789")
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-length"] == "10"
    again = await browser.get(url, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    assert (await browser.get(urlunsplit(urlsplit(url)._replace(query="")))).status_code == 403


async def test_a_url_serves_ranges(objects: Objects, browser: httpx.AsyncClient) -> None:
    await objects.put("o/key", b"0123456789")
    url = await objects.signed_url("o/key")
    for wanted, content, shown in (
        ("bytes=2-4", b"234", "bytes 2-4/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=5-99", b"56789", "bytes 5-9/10"),
    ):
        answer = await browser.get(url, headers={"Range": wanted})
        assert (answer.status_code, answer.content, answer.headers["content-range"]) == (206, content, shown)
    beyond = await browser.get(url, headers={"Range": "bytes=10-"})
    assert beyond.status_code == 416


async def test_a_browser_saves_under_the_given_name(objects: Objects, browser: httpx.AsyncClient) -> None:
    await objects.put("o/key", b"x")
    url = await objects.signed_url("o/key", filename='Käfer "1".png')
    saved = (await browser.get(url)).headers["content-disposition"]
    assert saved == "attachment; filename=\"K_fer _1_.png\"; filename*=UTF-8''K%C3%A4fer%20%221%22.png"
    with pytest.raises(BadInput):
        await objects.signed_url("o/key", filename="a\r\nSet-Cookie: x")


async def test_a_url_expires(objects: Objects, browser: httpx.AsyncClient) -> None:
    await objects.put("o/key", b"x")
    url = await objects.signed_url("o/key", expires_s=2)
    assert (await browser.get(url)).status_code == 200
    async with asyncio.timeout(10):
        while (await browser.get(url)).status_code == 200:  # noqa: ASYNC110 - only the clock ends it
            await asyncio.sleep(0.2)
    assert (await browser.get(url)).status_code == 403


async def test_a_changed_url_is_refused(objects: Objects, browser: httpx.AsyncClient) -> None:
    await objects.put("o/key", b"x")
    await objects.put("o/other", b"secret")
    url = await objects.signed_url("o/key", filename="a.png")
    assert (await browser.get(url)).status_code == 200
    name = "expires" if "expires=" in url else "X-Amz-Expires"
    signature = "signature" if "signature=" in url else "X-Amz-Signature"
    filename = "filename" if "filename=a.png" in url else "response-content-disposition"
    longer = str(int(dict(parse_qsl(urlsplit(url).query))[name]) + 1)
    parts = urlsplit(url)
    for bad in (
        changed(url, **{name: longer}),
        changed(url, **{signature: "0" * 64}),
        changed(url, **{signature: "ü"}),
        changed(url, **{filename: "b.exe"}),
        urlunsplit(parts._replace(path=parts.path.replace("/o/key", "/o/other"))),
        urlunsplit(parts._replace(path=parts.path.replace("/o/key", "/o/x/../other"))),
    ):
        answer = await browser.get(bad)
        assert answer.status_code in (400, 403), bad
        assert b"secret" not in answer.content


async def test_a_url_for_one_method_is_refused_for_another(objects: Objects, browser: httpx.AsyncClient) -> None:
    await objects.put("o/key", b"x")
    read = await objects.signed_url("o/key")
    write = await objects.signed_url("o/new", method="PUT")
    assert (await browser.put(read, content=b"y", headers={"Content-Type": "text/plain"})).status_code == 403
    assert (await browser.get(write)).status_code == 403
    assert (await browser.delete(read)).status_code in (403, 405)
    assert await objects.get("o/key") == b"x"
    with pytest.raises(ObjectMissing):
        await objects.head("o/new")


async def test_a_put_url_creates_the_object(objects: Objects, browser: httpx.AsyncClient) -> None:
    url = await objects.signed_url("o/new", method="PUT", expires_s=60)
    answer = await browser.put(url, content=b"sent", headers={"Content-Type": "text/csv"})
    assert answer.status_code in (200, 201)
    assert await objects.get("o/new") == b"sent"
    assert (await objects.head("o/new")).content_type == "text/csv"


async def test_a_url_for_what_is_not_there_says_so(objects: Objects, browser: httpx.AsyncClient) -> None:
    assert (await browser.get(await objects.signed_url("o/none"))).status_code == 404


async def test_the_text_of_a_url_stays_the_same_for_a_while(objects: Objects) -> None:
    first = {key: await objects.signed_url(key) for key in ("o/a", "o/b", "o/c")}
    await asyncio.sleep(1.1)
    second = {key: await objects.signed_url(key) for key in first}
    assert sum(first[key] == second[key] for key in first) >= 2, "at most one window can have begun meanwhile"
    with pytest.raises(BadInput):
        await objects.signed_url("o/a", expires_s=0)
    with pytest.raises(BadInput):
        await objects.signed_url("o/a", expires_s=8 * 86_400)
