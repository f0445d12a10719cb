"""Documents in Elasticsearch, versions 8.19 and 9, through its official async client."""

from studio9_common.documents.elasticsearch.adapter import ElasticsearchDocuments

__all__ = ["ElasticsearchDocuments"]
