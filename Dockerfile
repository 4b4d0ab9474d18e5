# Two stages: the first has what building needs, the second only what running needs.
# The Python version is the one that the tests run with.
FROM python:3.11-slim AS build
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# without pip: what installs stays in this stage
RUN python -m venv --without-pip /opt/ampelstream
# The dependencies by themselves, so that a change of our code does not fetch them again. Wheels
# only: a package without a wheel is to be noticed.
COPY pyproject.toml ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > requirements.txt \
 && pip --python /opt/ampelstream/bin/python install --only-binary=:all: --requirement requirements.txt
# what compiles the interpreter of packets; the image must not be without that
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/*
ENV AMPELSTREAM_BUILD=compiled
COPY README.md LICENSE hatch_build.py ./
COPY ampelstream ampelstream
COPY schemas schemas
COPY topologies topologies
RUN pip --python /opt/ampelstream/bin/python install --no-deps .

FROM python:3.11-slim
# ampelstream is BSD-3-Clause. The image holds healpy (GPL-2.0-only) beside it: whoever passes the
# image on must heed that licence too.
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ampelstream" \
      org.opencontainers.image.description="Stateful stream processing of telescope alerts and multi-messenger triggers" \
      org.opencontainers.image.source="https://github.com/ampelstream/ampelstream" \
      org.opencontainers.image.licenses="BSD-3-Clause AND GPL-2.0-only" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# A number for the user, so that Kubernetes can see that it is not root. The directory of the state
# is made here: a new volume that is mounted on it takes its owner from it.
RUN python -m pip uninstall --yes pip setuptools wheel \
 && groupadd --gid 10001 ampelstream \
 && useradd --create-home --uid 10001 --gid 10001 ampelstream \
 && install --directory --owner=10001 --group=10001 --mode=0750 /var/lib/ampelstream
COPY --from=build /opt/ampelstream /opt/ampelstream
ENV PATH=/opt/ampelstream/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONFAULTHANDLER=1
USER 10001:10001
WORKDIR /home/ampelstream
EXPOSE 6066
STOPSIGNAL SIGTERM
# asks the worker's own /live; a one-off command has no such thing and counts as healthy
HEALTHCHECK --interval=30s --timeout=10s --start-period=90s --retries=3 \
  CMD ["python", "-m", "ampelstream.runtime.service.probe"]
ENTRYPOINT ["ampelstream"]
CMD ["--help"]
