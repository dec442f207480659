# Klamm in a container, a stand-in for apache/kafka: same port, folders, user and start script.
#
#   docker build -t klamm . && docker run -p 9092:9092 klamm

FROM rust:1.95-slim-bookworm AS build
WORKDIR /klamm
COPY . .
# The caches outlive the layer: RocksDB and the dependencies are built once on a machine.
RUN --mount=type=cache,target=/root/.cache/klamm \
    --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/klamm/target \
    scripts/setup build && \
    build_env="$(scripts/rocksdb env)" && eval "$build_env" && \
    cargo build --release --locked && \
    install -s target/release/klamm /usr/local/bin/klamm

# A shell stays in the image because test harnesses start the official one through `sh -c`.
FROM debian:bookworm-slim
RUN useradd --uid 1000 --create-home --shell /bin/bash appuser && \
    mkdir -p /var/lib/kafka/data /mnt/shared/config /etc/kafka/secrets && \
    chown -R appuser:appuser /var/lib/kafka /mnt/shared /etc/kafka
COPY --from=build /usr/local/bin/klamm /usr/local/bin/klamm
COPY scripts/docker-run /etc/kafka/docker/run
USER appuser
# Without log.dirs the data is in ./klamm-data, so inside the volume.
WORKDIR /var/lib/kafka/data
VOLUME ["/etc/kafka/secrets", "/var/lib/kafka/data", "/mnt/shared/config"]
EXPOSE 9092
CMD ["/etc/kafka/docker/run"]
