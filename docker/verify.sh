#!/usr/bin/env bash
# Builds the image, brings it up alone and scaled, tracks frames through the published port, takes it down.
# Usage: docker/verify.sh [FOLDER x,y,w,h]     (after `make setup`; needs a Docker engine and compose)
# FOLDER holds images, the box is the target's in the first of them; without them a scene is rendered.
# TORCH_INDEX overrides where the image's build looks for PyTorch's CPU wheels; PORT the port on this host; BUILD=no
# takes the image that is there.
set -euo pipefail
cd "$(dirname "$0")/.."
# Two trackers of a thread each, rather than two that want every core.
export PORT=${PORT:-8018} THREADS=1 COMPOSE_PROJECT_NAME=siamfc-verify
url=http://127.0.0.1:$PORT
image=siamfc-service:cpu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "verify: $*" >&2
    exit 1
}
docker info >/dev/null 2>&1 || { echo "verify: there is no Docker engine here" >&2; exit 2; }
if docker compose version >/dev/null 2>&1; then compose=(docker compose); else compose=(docker-compose); fi

if [ $# -ge 2 ]; then
    folder=$1 box=$2
elif [ $# = 0 ]; then
    .venv/bin/python -c 'import sys, pathlib; from tests.support import scenes
scenes.write_sequence(scenes.translation(48), pathlib.Path(sys.argv[1]))' "$work/scene"
    folder=$work/scene/img box=$(head -n 1 "$work/scene/groundtruth.txt")
else
    echo "usage: docker/verify.sh [FOLDER x,y,w,h]" >&2
    exit 2
fi

check_image() {
    if [ "${BUILD:-yes}" = yes ]; then
        docker build -q -f docker/Dockerfile ${TORCH_INDEX:+--build-arg "TORCH_INDEX=$TORCH_INDEX"} -t "$image" .
    fi
    size=$(docker image inspect -f '{{.Size}}' "$image")
    base=$(docker image inspect -f '{{.Size}}' python:3.11-slim-bookworm 2>/dev/null || echo 0)
    echo "image: $((size / 1000000)) MB, of which the base image $((base / 1000000)) MB"
    docker run --rm --entrypoint sh "$image" -c '
        python -c "import sys, torch; sys.exit(torch.version.cuda is not None)" || { echo "carries CUDA" >&2; exit 1; }
        [ -z "$(find /opt/siamfc -name "libcu*.so*" -o -name "libnv*.so*" -o -type d -name nvidia)" ] ||
            { echo "carries libraries of CUDA" >&2; exit 1; }
        ! command -v gcc cc g++ clang || { echo "carries a compiler" >&2; exit 1; }
        [ "$(id -u)" != 0 ] || { echo "runs as root" >&2; exit 1; }' || fail "the image is not as it should be"
}

up() {
    "${compose[@]}" "$@" up -d --no-build --scale "tracker=$trackers"
    for _ in $(seq 180); do
        [ "$(ready_containers)" = "$trackers" ] && curl -sf "$url/readyz" >/dev/null && return
        sleep 0.5
    done
    "${compose[@]}" "$@" logs --tail 20
    fail "not ready in time"
}

ready_containers() {
    for each in $(docker ps -q --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" \
        --filter label=com.docker.compose.service=tracker); do
        docker exec "$each" python /opt/siamfc/healthcheck.py 2>/dev/null && echo "$each" || true
    done | wc -l
}

track() {
    .venv/bin/siamfc track "$folder" --box "$box" --server "$url" --json "$work/tracked.jsonl"
    frames=$(find "$folder" -maxdepth 1 -type f | wc -l)
    [ "$(wc -l <"$work/tracked.jsonl")" = "$frames" ] || fail "not every frame was answered"
    echo "verify: $frames frames tracked; last: $(tail -n 1 "$work/tracked.jsonl")"
}

alone() {
    trackers=1
    up -f docker-compose.yml
    curl -sf "$url/v1/model" && echo
    container=$("${compose[@]}" -f docker-compose.yml ps -q tracker)
    if docker exec "$container" sh -c 'touch /opt/siamfc/probe' 2>/dev/null; then
        fail "its root file system can be written to"
    fi
    track
    # SIGTERM, a drain, status 0: well within the grace period.
    "${compose[@]}" -f docker-compose.yml stop
    status=$(docker inspect -f '{{.State.ExitCode}}' "$container")
    [ "$status" = 0 ] || fail "it stopped with status $status"
    "${compose[@]}" -f docker-compose.yml down
}

scaled() {
    trackers=2
    up -f docker/compose.scale.yml
    [ "$(curl -s -o /dev/null -w '%{http_code}' "$url/metrics")" = 404 ] || fail "the balancer shows /metrics"
    track
    .venv/bin/python docker/verify_failover.py "$url" "$folder" "$box" \
        $("${compose[@]}" -f docker/compose.scale.yml ps -q tracker)
    "${compose[@]}" -f docker/compose.scale.yml down --volumes
}

take_down() {
    "${compose[@]}" -f docker/compose.scale.yml down --volumes --remove-orphans >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap take_down EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
check_image
alone
scaled
echo "verify: done"
