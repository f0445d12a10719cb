"""Every suite below may ask for a real server by name."""

from studio9_cli.pytest_servers import (
    docker_image,
    docker_url,
    elasticsearch_url,
    postgresql_url,
    rabbitmq_management_url,
    rabbitmq_url,
    redshift_url,
    registry_url,
    s3_url,
    sns_url,
    sqs_url,
    trainers_python,
)

__all__ = [
    "docker_image",
    "docker_url",
    "elasticsearch_url",
    "postgresql_url",
    "rabbitmq_management_url",
    "rabbitmq_url",
    "redshift_url",
    "registry_url",
    "s3_url",
    "sns_url",
    "sqs_url",
    "trainers_python",
]
