# The image that tasks run in where the worker uses containers: the trainers' environment and nothing of the platform.
#
#   docker build -f deploy/trainers.Dockerfile -t trainers:0.1.0 .
#
# With the lock's torch (its CUDA build, which runs on processors too) it is about 7 GB. It holds Ultralytics (AGPL-3.0,
# see docs/decisions/0003). BASE needs Python 3.11 or newer with venv. BuildKit is needed; a package index's
# certificate can be given with `--secret id=ca,src=FILE`.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
COPY requirements/ requirements/
# All is compiled here: a task's container may not keep what it compiles.
RUN --mount=type=secret,id=ca,target=/run/ca.crt --mount=type=cache,target=/root/.cache/uv \
    if [ -s /run/ca.crt ]; then export PIP_CERT=/run/ca.crt SSL_CERT_FILE=/run/ca.crt; fi; \
    export UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1; \
    python3 -m venv /opt/bootstrap \
 && /opt/bootstrap/bin/pip install --quiet --require-hashes --no-deps -r requirements/bootstrap.lock \
 && /opt/bootstrap/bin/uv venv --quiet --python "$(command -v python3)" /opt/trainers \
 && /opt/bootstrap/bin/uv pip sync --quiet --python /opt/trainers/bin/python --require-hashes requirements/trainers.lock
# Our own packages last: a change of theirs leaves the 7 GB above as they are.
COPY libs/task/ libs/task/
COPY libs/trainers/ libs/trainers/
RUN --mount=type=secret,id=ca,target=/run/ca.crt --mount=type=cache,target=/root/.cache/uv \
    if [ -s /run/ca.crt ]; then export SSL_CERT_FILE=/run/ca.crt; fi; \
    export UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1; \
    mkdir /opt/own \
 && /opt/bootstrap/bin/uv pip install --quiet --python /opt/trainers/bin/python --no-deps --target /opt/own \
      --build-constraint requirements/platform.lock ./libs/task ./libs/trainers

FROM ${BASE}
# Images of Python leave its own modules uncompiled, and a container could not keep what it compiles of them.
RUN python3 -m compileall -q -x '/(site-packages|dist-packages|tests?|lib2to3)/' "$(python3 -c 'import os; print(os.path.dirname(os.__file__))')"
COPY --from=build /opt/trainers /opt/trainers
COPY --from=build /opt/own /opt/own
RUN printf '#!/bin/sh\nexec python3 -P -m studio9_trainers.task "$@"\n' > /opt/trainers/bin/studio9-task \
 && chmod 755 /opt/trainers/bin/studio9-task
ENV PATH=/opt/trainers/bin:$PATH PYTHONPATH=/opt/own PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /job
ENTRYPOINT ["studio9-task"]
