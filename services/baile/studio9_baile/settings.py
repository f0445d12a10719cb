"""Settings of Baile (`STUDIO9_BAILE_…`)."""

import json
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from studio9_common.objects.settings import WithObjects


class Bucket(BaseModel):
    """A watched place that users can choose for online jobs and imports. Its credentials are not known here: they are
    a secret in Argo (or the machine's own role)."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str = Field(min_length=1, max_length=64, pattern=r"^[\w-]+$")
    name: str = Field(min_length=1, max_length=255, description="the bucket's name, as the stream's events carry it")
    region: str = "us-east-1"


class BaileSettings(WithObjects):
    """What Baile is built from."""

    service: ClassVar[str] = "baile"

    port: int = Field(20016, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    metrics_port: int | None = Field(
        None, ge=0, le=65535, description="a port for /metrics alone, as the other one is public; empty: the same port"
    )
    database_url: SecretStr = Field(
        SecretStr(""),
        description="postgresql://user:password@host/database or sqlite:///file; empty: a file in state_dir",
    )
    database_pool: int = Field(10, ge=1, le=100, description="connections kept to the database")
    user_keys: SecretStr = Field(
        SecretStr(""), description="keys of users' tokens, newest first: kid:base64url,kid:base64url"
    )
    token_lifetime_s: int = Field(86_400, ge=7_200, description="life of a sign-in; Salsa needs well over an hour")
    access_lifetime_s: int = Field(900, ge=60, le=86_400, description="life of an access token of /v1")
    refresh_lifetime_s: int = Field(2_592_000, ge=3_600, description="life of a sign-in to /v1, if it is renewed")
    password_memory_kib: int = Field(19_456, ge=8, description="memory of one argon2id hash")
    bootstrap_lifetime_s: int = Field(86_400, ge=60, description="life of the one-time token of the first user")
    sign_in_failures: int = Field(
        5, ge=1, description="failed sign-ins of one user before it must wait; of one address, ten times as many"
    )
    sign_in_wait_s: int = Field(60, ge=1, description="how long it must wait then")
    sign_up_organisation: str = Field("", description="whom people who sign up join; empty: nobody can sign up")
    confirm_email: bool = Field(True, description="who signs up must follow the link of a mail first")
    code_lifetime_s: int = Field(86_400, ge=300, description="life of a code that goes out by mail")
    mail_host: str = Field("", description="SMTP server; empty: no mail is sent")
    mail_port: int = Field(25, ge=1, le=65535, description="its port")
    mail_tls: bool = Field(False, description="encrypt with STARTTLS")
    mail_user: str = Field("", description="user name at the SMTP server; empty: none is needed")
    mail_password: SecretStr = Field(SecretStr(""), description="its password")
    mail_from: str = Field("studio9@localhost", description="the sender of mails")
    public_url: str = Field("", description="the address that users see, for links; empty: that of the request")
    root_path: str = Field(
        "", description="path that a proxy serves everything under (/studio9), part of public_url; empty: none"
    )
    trusted_proxies: tuple[str, ...] = Field(
        ("127.0.0.1", "::1"),
        description="addresses or networks of proxies that are believed: whose request it is (X-Forwarded-For), how it"
        " came (X-Forwarded-Proto), and under which path (X-Forwarded-Prefix, instead of root_path)",
    )
    ui_dir: Path | None = Field(None, description="folder of a built web UI to serve at /")
    ui_policy: str = Field(
        "default-src 'self'; img-src 'self' data: blob: https: http:; media-src 'self' blob: https: http:;"
        " style-src 'self' 'unsafe-inline'; font-src 'self' data:; script-src 'self' 'unsafe-eval';"
        " object-src 'none'; base-uri 'self'; frame-ancestors 'self'",
        description="Content-Security-Policy of the UI's pages",
    )
    cors_origins: tuple[str, ...] = Field(
        (), description="origins of browsers, besides our own, that may call /v2.0 and /v1; a UI in ui_dir needs none"
    )
    webhooks_private: bool = Field(
        False, description="webhooks may lead to private addresses and without TLS: for a network of one's own"
    )
    requests_at_once: int = Field(512, ge=1, description="open requests of one process; more are answered with 429")
    requests_at_once_each: int = Field(64, ge=1, description="open requests of one token")
    requests_each_s: float = Field(1_000.0, gt=0, description="requests a second of one token, for long")
    buckets: tuple[Bucket, ...] = Field(
        (), description="places to watch: [{id, name, region}], as JSON in the environment"
    )
    buckets_endpoint: str = Field("", description="where users' buckets answer, if not at AWS (http://host:9000)")
    train_gpus: int = Field(0, ge=0, description="GPUs of a training; 0: it runs on a CPU slot")
    predict_gpus: int = Field(0, ge=0, description="GPUs of a prediction or evaluation")
    max_body: int = Field(4 << 20, description="bytes of a request that is not an upload")
    max_picture: int = Field(64 << 20, description="bytes of one picture")
    max_pixels: int = Field(178_956_970, description="pixels of one picture")
    max_labels_csv: int = Field(256 << 20, description="bytes of one labels CSV")
    max_video: int = Field(2 << 30, description="bytes of one video")
    max_frames: int = Field(5_000, ge=1, le=9_000, description="pictures that one video may give")
    video_limit_s: float = Field(3_600.0, gt=0, description="how long taking a video apart, or making one, may take")
    max_files: int = Field(1 << 30, description="bytes of one upload of files to a dataset, all together")
    max_code: int = Field(16 << 20, ge=1, description="bytes of one package of a user's own code")
    max_model: int = Field(4 << 30, description="bytes of one model file")
    max_call: int = Field(16 << 20, description="bytes of one picture sent to an online API")
    call_limit_s: float = Field(60.0, gt=0, description="how long a call to an online API may take")
    decoders: int = Field(2, ge=1, le=32, description="child processes that check uploaded pictures")
    decode_limit_s: float = Field(20.0, gt=0, description="longest that checking one picture may take")
    decode_memory: int = Field(2 << 30, description="bytes of address space of a checking process")
    picture_url_s: int = Field(7_200, ge=3_600, description="life of a picture's URL; Salsa keeps it for an hour")
    event_days: int = Field(7, ge=1, description="how long server-sent events can be resumed")
    sweep_s: float = Field(21_600.0, gt=0, description="how often objects that nothing names are looked for")
    orphan_age_s: float = Field(
        172_800.0,
        ge=0,
        description="age of an object that nothing names before it is marked, and of the mark before it goes",
    )
    reread_s: float = Field(60.0, gt=0, description="how often jobs that have not ended are read again")
    republish_s: float = Field(10.0, gt=0, description="how long to wait for job.accepted before asking again")

    @field_validator("buckets", "cors_origins", "trusted_proxies", mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        text = value.strip()
        return json.loads(text) if text.startswith("[") else tuple(filter(None, text.split(",")))

    @property
    def database(self) -> str:
        """The database's address with the embedded default filled in."""
        return self.database_url.get_secret_value() or f"sqlite:///{self.state_dir / 'baile.sqlite'}"

    @property
    def work_dir(self) -> Path:
        """Where files lie while they are worked on. What is in it at a start was left by a crash and is removed."""
        return self.state_dir / "baile-work"
