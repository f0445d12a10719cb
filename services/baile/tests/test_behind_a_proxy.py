"""Everything under a path of its own: the UI, both APIs, and what leads back here."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from studio9_baile.app import build
from studio9_baile.ui import under
from studio9_baile.usecases.signing_in import FROM_ONE_ADDRESS
from studio9_common.errors import BadInput
from studio9_common.service import HttpServer

from .mailbox import mailbox

PAGE = (
    '<html><head><base href="/"><link rel=stylesheet href=\'/main.css\'><script src="/main.js"></script></head>'
    '<body><a href="//elsewhere/x">x</a><a href="https://docs/x">y</a><img src="assets/a.png"></body></html>'
)


@pytest.fixture
def ui(tmp_path: Path) -> Path:
    folder = tmp_path / "ui"
    (folder / "assets" / "help").mkdir(parents=True)
    (folder / "index.html").write_text(PAGE)
    (folder / "main.js").write_text("let x = 1")
    (folder / "assets" / "help" / "index.html").write_text("help")
    return folder


async def restarted(installation: Any, **settings: Any) -> httpx.AsyncClient:
    await installation.stop()
    await installation.start(**settings)
    client: httpx.AsyncClient = installation.http()
    return client


async def test_by_the_setting(installation: Any, ana: Any, ui: Path) -> None:
    """The proxy may take the path away or leave it."""
    ana.http = await restarted(installation, ui_dir=ui, root_path="/lab/studio9/")
    for path in ("/lab/studio9/", "/lab/studio9/desk/albums", "/", "/desk", "/lab/studio9"):
        page = await ana.http.get(path)
        assert page.status_code == 200 and '<base href="/lab/studio9/">' in page.text, path
        assert "'/lab/studio9/main.css'" in page.text and 'src="/lab/studio9/main.js"' in page.text
        assert '"//elsewhere/x"' in page.text and '"https://docs/x"' in page.text and '"assets/a.png"' in page.text
        assert page.headers["cache-control"] == "no-cache" and page.headers["vary"] == "X-Forwarded-Prefix"
        assert page.headers["content-security-policy"].startswith("default-src 'self'")
    assert (await ana.http.get("/lab/studio9/main.js")).text == "let x = 1"
    assert (await ana.http.get("/lab/studio9/missing.js")).status_code == 404
    for path in ("/lab/studio9/v2.0/me", "/lab/studio9/baile/v2.0/me/", "/v2.0/me"):
        answer = await ana.http.get(path, headers={"Authorization": f"Bearer {ana.token}"})
        assert answer.json()["username"] == "ana" and "default-src 'none'" in answer.headers["content-security-policy"]
    assert (await ana.http.get("/lab/studio9/v1/openapi.json")).status_code == 200
    assert (await ana.http.get("/lab/studio9/v1/models")).status_code == 401
    help_page = await ana.http.get("/lab/studio9/assets/help")
    assert help_page.status_code == 307 and help_page.headers["location"] == "http://baile/lab/studio9/assets/help/"


async def test_only_a_trusted_proxy_says_the_prefix(installation: Any, ana: Any, ui: Path) -> None:
    said = {"X-Forwarded-Prefix": "/lab"}
    http = await restarted(installation, ui_dir=ui, trusted_proxies=("127.0.0.0/8", "::1"))
    assert '<base href="/lab/">' in (await http.get("/desk", headers=said)).text
    assert '<base href="/">' in (await http.get("/desk")).text
    me = await http.get("/lab/v2.0/me", headers={**said, "Authorization": f"Bearer {ana.token}"})
    assert me.json()["username"] == "ana"
    for bad in ("lab", "//evil.test", "/a/../b", '/"><script>', "/x\\y", "/" + "x" * 300, "https://evil.test/"):
        page = await http.get("/desk", headers={"X-Forwarded-Prefix": bad})
        assert page.text == PAGE, bad
    http = await restarted(installation, ui_dir=ui, trusted_proxies=("10.0.0.1",), root_path="/own")
    page = await http.get("/desk", headers=said)
    assert '<base href="/own/">' in page.text and "/lab" not in page.text


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_it_is_the_proxy_that_is_trusted_and_not_the_address_that_it_forwards(
    installation: Any, ui: Path
) -> None:
    """Over a real connection, as an ordinary proxy on the same machine sends it."""
    forwarded = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Prefix": "/lab"}
    for trusted, base in (("127.0.0.1", "/lab/"), ("198.51.100.7", "/")):
        await restarted(installation, ui_dir=ui, trusted_proxies=(trusted,))
        server = HttpServer("127.0.0.1", 0)
        await server.start(installation.baile.asgi)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as http:
            assert f'<base href="{base}">' in (await http.get("/desk", headers=forwarded)).text, trusted
        await server.stop()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("proxy, trusted, others", [
    ("127.0.0.1", None, 400), ("127.0.0.2", ("127.0.0.2",), 400), ("127.0.0.2", None, 429), ("127.0.0.1", (), 429),
])  # fmt: skip
async def test_who_fails_to_sign_in_is_told_apart_behind_a_trusted_proxy_alone(
    installation: Any, ana: Any, proxy: str, trusted: tuple[str, ...] | None, others: int
) -> None:
    """The limit of one address is the user's own, and a forwarded address in front of it makes nobody another one.
    Whom nobody trusts is counted as one, whatever it forwards."""
    assert ana.token
    await restarted(installation, sign_in_failures=1, **({} if trusted is None else {"trusted_proxies": trusted}))
    server = HttpServer("127.0.0.1", 0)
    await server.start(installation.baile.asgi)

    async def tried(name: str, forwarded: str) -> int:
        body = {"username": name, "password": "wrong"}
        return (await http.post("/v1/session", json=body, headers={"X-Forwarded-For": forwarded})).status_code

    transport = httpx.AsyncHTTPTransport(local_address=proxy)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", transport=transport) as http:
        for number in range(FROM_ONE_ADDRESS):
            assert await tried(f"nobody{number}", f"203.0.113.{number}, 198.51.100.7") == 400
        assert await tried("ana", "203.0.113.250, 198.51.100.7") == 429
        assert await tried("ana", "198.51.100.8") == others
    await server.stop()


async def test_mails_lead_to_the_prefix(installation: Any, ana: Any) -> None:
    async with mailbox() as mails:
        ana.http = await restarted(
            installation, root_path="/lab", public_url="https://labs.test/lab/", mail_host="127.0.0.1",
            mail_port=mails.port,
        )  # fmt: skip
        await ana.ok("POST", "/me/password/reset", {"email": "ana@lab.test"})
        to, text = await mails.next()
    assert to == "ana@lab.test"
    (link,) = [word for word in text.split() if word.startswith("https:")]
    assert link.startswith("https://labs.test/lab/") and not link.startswith("https://labs.test/lab//")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_settings_that_do_not_fit_are_refused(installation: Any) -> None:
    core = installation.baile.core
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("root_path", {"root_path": "lab"}),
        ("root_path", {"root_path": "/a b"}),
        ("trusted_proxies", {"trusted_proxies": ("proxy.lab.test",)}),
        ("public_url", {"root_path": "/lab", "public_url": "https://lab.test/"}),
    ]
    for field, settings in wrong:
        changed = installation.settings.model_copy(update=settings)
        with pytest.raises(BadInput) as refused:
            build(changed, bus=installation.bus, objects=installation.objects, aries=core.aries, argo=core.argo)
        assert refused.value.field == field and refused.value.fix


def test_only_paths_of_ones_own_get_the_prefix() -> None:
    assert under("/p", "<a href=/x><form action='/y'><b data-src2=\"/z\">") == (
        "<a href=/p/x><form action='/p/y'><b data-src2=\"/z\">"
    )
