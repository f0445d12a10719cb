"""Opens the document store that a URL names."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from studio9_common.documents.elasticsearch import ElasticsearchDocuments
from studio9_common.documents.embedded import SqliteDocuments
from studio9_common.documents.port import Documents
from studio9_common.errors import BadInput


async def open_documents(url: str, *, prefix: str = "studio9", timeout_s: float = 10.0) -> Documents:
    """`sqlite:///relative/path` or `sqlite:////absolute/path`; `http(s)://user:password@host:port` is Elasticsearch.

    `prefix` begins the names of its indexes, so that installations can share a cluster; `timeout_s` is for one
    request. Elasticsearch is not contacted yet. Raises BadInput for another URL, DocumentsUnavailable for a file that
    cannot be opened.
    """
    parts = urlsplit(url)
    if parts.scheme == "sqlite" and not parts.netloc and len(parts.path) > 1:
        return await SqliteDocuments.open(Path(unquote(parts.path[1:])))
    if parts.scheme in {"http", "https"} and parts.hostname:
        return ElasticsearchDocuments.connect(url, prefix=prefix, timeout_s=timeout_s)
    raise BadInput(
        "the document store is sqlite:///path or http(s)://user:password@host:port",
        field="documents_url",
        fix="correct the setting",
    )
