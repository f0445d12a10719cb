"""Signed URLs: AWS' signature, windows of stable text, the key of the local ones."""

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from studio9_common.errors import BadInput
from studio9_common.objects.local_url import UrlRefused, UrlSigner, installation_secret
from studio9_common.objects.s3_url import Credentials, Location, presign
from studio9_common.objects.windows import MAX_EXPIRES_S, WINDOW_S, Validity, validity

NOW = 1_790_000_000


@pytest.mark.parametrize("token", [None, "session/token+"])
@pytest.mark.parametrize("filename", [None, "Käfer.png"])
@pytest.mark.parametrize(
    "location",
    [
        Location("examples", "eu-west-1"),
        Location("dotted.name", "eu-west-1"),
        Location("examples", "us-east-1", "http://127.0.0.1:9000"),
    ],
)
def test_presigned_urls_carry_the_signature_that_botocore_computes(
    location: Location, token: str | None, filename: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = presign(location, Credentials("AKID", "secret", token), "GET", "o/ä b+%.png", Validity(NOW, 7200), filename)
    url = location.url("o/ä b+%.png")
    if filename:
        header = "attachment; filename=\"K_fer.png\"; filename*=UTF-8''K%C3%A4fer.png"
        url += f"?response-content-disposition={quote(header)}"
    moment = datetime.fromtimestamp(NOW, UTC)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: moment)
    request = AWSRequest("GET", url)
    signer = botocore.auth.S3SigV4QueryAuth(BotoCredentials("AKID", "secret", token), "s3", location.region, 7200)
    signer.add_auth(request)
    assert ours.rpartition("X-Amz-Signature=")[2] == request.url.rpartition("X-Amz-Signature=")[2]


def test_the_secret_of_credentials_is_never_shown() -> None:
    assert "hidden" not in repr(Credentials("id", "hidden", "hidden"))


def test_a_long_validity_has_the_same_text_for_an_hour_and_holds_at_least_as_long_as_asked() -> None:
    seen = {validity("o/key", 3600, NOW + second) for second in range(0, WINDOW_S, 10)}
    assert len(seen) <= 2
    for second in range(0, 2 * WINDOW_S, 7):
        held = validity("o/key", 3600, NOW + second)
        assert held.issued <= NOW + second
        assert 3600 <= held.expires - (NOW + second) <= 3600 + WINDOW_S
    assert len({validity(f"o/{number}", 3600, NOW).issued for number in range(100)}) > 50, (
        "keys change at their own time"
    )


def test_a_short_validity_is_exact_and_an_impossible_one_is_refused() -> None:
    assert validity("o/key", 5, NOW + 0.9) == Validity(NOW, 5)
    assert validity("o/key", MAX_EXPIRES_S, NOW).seconds == 7 * 86_400
    for bad in (0, -1, MAX_EXPIRES_S + 1):
        with pytest.raises(BadInput):
            validity("o/key", bad, NOW)


def test_a_local_url_is_valid_to_its_last_second_and_for_this_installation_only() -> None:
    now = float(NOW)
    signer = UrlSigner(b"k" * 32, "http://host/objects/", now=lambda: now)
    url = signer.sign("o/a b", "GET", 10)
    assert url.startswith("http://host/objects/o/a%20b?expires=1790000010&signature=")
    query = {"expires": "1790000010", "signature": url.rpartition("=")[2]}
    assert signer.check("o/a b", "GET", query) == 10
    assert signer.check("o/a b", "HEAD", query) == 10
    with pytest.raises(UrlRefused):
        UrlSigner(b"x" * 32, "http://host", now=lambda: now).check("o/a b", "GET", query)
    with pytest.raises(UrlRefused):
        signer.check("o/a b", "PUT", query)
    with pytest.raises(UrlRefused):
        signer.check("o/a b", "GET", query | {"filename": ""})
    with pytest.raises(UrlRefused):
        signer.check("o/a b", "GET", {})
    now += 10
    with pytest.raises(UrlRefused, match="expired"):
        signer.check("o/a b", "GET", query)


def test_the_installation_secret_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "url.secret"
    secret = installation_secret(path)
    assert len(secret) == 32
    assert installation_secret(path) == secret
    assert path.stat().st_mode & 0o777 == 0o600
    assert [found.name for found in tmp_path.iterdir()] == ["url.secret"]
