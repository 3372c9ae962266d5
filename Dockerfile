# syntax=docker/dockerfile:1
FROM python:3.13-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# All that the lock names, as wheels with the hashes it names: nothing is compiled, and nothing else gets in below.
COPY requirements.lock ./
RUN pip download --quiet --require-hashes --no-deps --only-binary :all: --requirement requirements.lock --dest /wheels
COPY pyproject.toml README.md ./
COPY schemas ./schemas
COPY streams ./streams
COPY sinks ./sinks
COPY ringwatch ./ringwatch
# From those wheels alone, without the network; of them, what runs ringwatch and not what tests it.
# The folder has one version of each, the locked one, so none is named here.
# hadolint ignore=DL3013
RUN pip install --quiet --no-index --find-links /wheels hatchling \
    && pip wheel --quiet --no-index --no-deps --no-build-isolation --wheel-dir /wheels . \
    && python -m venv --without-pip /opt/ringwatch \
    && pip --python /opt/ringwatch/bin/python install --quiet --no-index --find-links /wheels ringwatch

FROM python:3.13-slim-bookworm
LABEL org.opencontainers.image.title="ringwatch" \
      org.opencontainers.image.description="A streaming event processor for call-status telemetry"
RUN groupadd --gid 10001 ringwatch \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/ringwatch --shell /usr/sbin/nologin ringwatch \
    && install --directory --owner ringwatch --group ringwatch --mode 0750 /var/lib/ringwatch \
    && install --directory /etc/ringwatch
COPY --from=build /opt/ringwatch /opt/ringwatch
ENV PATH="/opt/ringwatch/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    RINGWATCH_DATA=/var/lib/ringwatch \
    RINGWATCH_HTTP=0.0.0.0:8080
USER 10001:10001
# Where ringwatch.toml is looked for.
WORKDIR /etc/ringwatch
VOLUME ["/var/lib/ringwatch"]
EXPOSE 8080
STOPSIGNAL SIGTERM
# The port is the last part of RINGWATCH_HTTP, and the host may be any address of this container.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --start-interval=2s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['RINGWATCH_HTTP'].rpartition(':')[2]), timeout=4); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["ringwatch"]
CMD ["up"]
