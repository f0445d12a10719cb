"""Settings of Aries."""

from typing import ClassVar

from pydantic import Field, SecretStr

from studio9_common.settings import ServiceSettings


class AriesSettings(ServiceSettings):
    """Where the documents are, and how long a request to the store may take."""

    service: ClassVar[str] = "aries"

    documents_url: SecretStr = Field(
        SecretStr(""),
        description="sqlite:///path or http(s)://user:password@host:port of Elasticsearch; empty: a file in state_dir",
    )
    documents_timeout_s: float = Field(10.0, gt=0, le=120, description="seconds for one request to the store")
    max_request_bytes: int = Field(
        16 * 1024 * 1024, ge=65_536, description="largest body of a request, in bytes; larger ones get 413"
    )

    @property
    def prefix(self) -> str:
        """Begins the names of all indexes, so that installations can share a cluster."""
        return f"{self.installation}-aries"

    @property
    def documents(self) -> str:
        """The store's address with the embedded default filled in."""
        return self.documents_url.get_secret_value() or f"sqlite:///{self.state_dir / 'documents.sqlite'}"
