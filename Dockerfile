# syntax=docker/dockerfile:1
# One image for the api, the worker and the migrations.

FROM python:3.12.13-slim-bookworm AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/parley
COPY requirements.lock .
# Exactly what is locked: nothing resolved, every file checked against its hash.
RUN /opt/parley/bin/python -m pip install --no-deps --require-hashes --only-binary=:all: -r requirements.lock

FROM python:3.12.13-slim-bookworm
RUN useradd --create-home --uid 10001 --user-group parley \
 && install -d -o parley -g parley /data
COPY --from=packages /opt/parley /opt/parley
# guardrails-ai reports usage to its vendor unless this file in HOME says otherwise.
COPY deploy/guardrailsrc /home/parley/.guardrailsrc
WORKDIR /app
COPY core core
COPY db db
COPY embeddings embeddings
COPY knowledge knowledge
COPY safety safety
COPY tgi tgi
COPY tools tools
COPY nodes nodes
COPY graphs graphs
COPY api api
COPY docs docs
COPY README.md CHANGELOG.md LICENSE ./
ENV PATH=/opt/parley/bin:$PATH \
    HOME=/home/parley \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    LOG_FORMAT=json \
    ORT_DISABLE_TELEMETRY=1 \
    DATABASE_FOLDER=/data/postgres
USER parley
# Without DATABASE_URL the embedded Postgres keeps its files here.
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ.get('API_PORT') or 8080}/health\", timeout=4)"]
CMD ["python", "-m", "api", "serve"]
