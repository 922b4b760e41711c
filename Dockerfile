# docker build -t slipstream .
# docker run --init -p 8000:8000 -v MODELS:/models:ro slipstream /models/NAME --host 0.0.0.0 --api-key KEY --continuous-batching
FROM debian:12 AS build
WORKDIR /src
COPY . .
RUN CONFIGURE="-DSLIPSTREAM_TESTS=OFF -DSLIPSTREAM_BENCH=OFF" tools/build release \
 && tools/install dpkg-dev file \
 && cpack --config build/release/CPackConfig.cmake -B /package

FROM debian:12-slim
COPY --from=build /package/*.deb /package/
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends /package/*.deb \
 && rm -rf /package /var/lib/apt/lists/* \
 && useradd --system --uid 999 --no-create-home slipstream
USER 999
# Names of repositories are looked up here: mount what `hf download` has filled.
ENV HF_HOME=/models
EXPOSE 8000
STOPSIGNAL SIGTERM
ENTRYPOINT ["slipstream", "serve"]
