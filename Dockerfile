# Two stages: the first has what building needs, the second only what running needs.
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY ampelstream ampelstream
COPY schemas schemas
COPY topologies topologies
RUN python -m venv /opt/ampelstream && /opt/ampelstream/bin/pip install --no-cache-dir .

FROM python:3.12-slim
RUN useradd --create-home --uid 10001 ampelstream
COPY --from=build /opt/ampelstream /opt/ampelstream
ENV PATH=/opt/ampelstream/bin:$PATH PYTHONUNBUFFERED=1
USER ampelstream
WORKDIR /home/ampelstream
HEALTHCHECK --interval=60s --timeout=20s CMD ["ampelstream", "topology", "check", "skymap-only"]
ENTRYPOINT ["ampelstream"]
CMD ["--help"]
