"""Real servers for tests and benchmarks: found at an address, or started here from packages and artifacts.

The tests learn of them through the environment. Each variable may be set by hand to use a server that runs already;
what is not set, `./studio9 test` starts, and sets for the tests it runs:

    STUDIO9_TEST_RABBITMQ_URL             amqp://USER:PASSWORD@HOST:PORT/ (an administrator)
    STUDIO9_TEST_RABBITMQ_MANAGEMENT_URL  http://USER:PASSWORD@HOST:PORT (the management plugin's HTTP API)
    STUDIO9_TEST_ELASTICSEARCH_URL        http://USER:PASSWORD@HOST:PORT (role superuser)
    STUDIO9_TEST_POSTGRESQL_URL           postgresql://USER:PASSWORD@HOST:PORT/DATABASE (a superuser)
    STUDIO9_TEST_S3_URL                   http://ACCESS_KEY:SECRET_KEY@HOST:PORT (path-style buckets)
    STUDIO9_TEST_SQS_URL                  http://ACCESS_KEY:SECRET_KEY@HOST:PORT
    STUDIO9_TEST_SNS_URL                  http://ACCESS_KEY:SECRET_KEY@HOST:PORT
    STUDIO9_TEST_REDSHIFT_URL             redshift://USER:PASSWORD@HOST:PORT/DATABASE (no TLS: ssl=False)
    STUDIO9_TEST_DOCKER_URL               unix:///SOCKET of a Docker Engine
    STUDIO9_TEST_DOCKER_IMAGE             sha256:… of a small Debian image in it

The region is us-east-1. SNS stands beside an SQS and an S3 of the same simulated account, for S3 → SNS → SQS at low
volume. Redshift's COPY reads the S3 server of STUDIO9_TEST_S3_URL.

Everything listens on loopback with credentials made at random for the run, and ends with the run, however it ends.
"""
