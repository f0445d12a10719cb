"""Settings of Argo."""

from typing import ClassVar

from pydantic import Field, SecretStr

from studio9_common.settings import ServiceSettings


class ArgoSettings(ServiceSettings):
    """Where the documents are, and the keys that secrets are encrypted with."""

    service: ClassVar[str] = "argo"

    documents_url: SecretStr = Field(
        SecretStr(""),
        description="sqlite:///path or http(s)://user:password@host:port of Elasticsearch; empty: a file in state_dir",
    )
    documents_timeout_s: float = Field(10.0, gt=0, le=120, description="seconds for one request to the store")
    fernet_keys: SecretStr = Field(
        SecretStr(""),
        description="keys of secrets, newest first, joined by commas: 32 bytes in base64url each (Fernet)",
    )
    sweep_s: float = Field(5.0, gt=0, description="seconds between two looks for changes not announced yet")
    rotate_s: float = Field(60.0, gt=0, description="seconds between two looks for secrets under an old key")

    @property
    def prefix(self) -> str:
        """Begins the names of all indexes, so that installations can share a cluster."""
        return f"{self.installation}-argo"

    @property
    def documents(self) -> str:
        """The store's address with the embedded default filled in."""
        return self.documents_url.get_secret_value() or f"sqlite:///{self.state_dir / 'documents.sqlite'}"
