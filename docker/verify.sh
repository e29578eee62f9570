#!/usr/bin/env bash
# Builds the image, brings the compose file up, tracks a folder of images through the published port, takes it down.
# Usage: docker/verify.sh FOLDER x,y,w,h     (after `make setup`; needs a Docker engine and compose)
# TORCH_INDEX overrides where the image's build looks for PyTorch's CPU wheels; PORT the port on this host.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:?a folder of images}
box=${2:?the target in the first of them: x,y,w,h}
export PORT=${PORT:-8018}
url=http://127.0.0.1:$PORT
docker info >/dev/null 2>&1 || { echo "verify: there is no Docker engine here" >&2; exit 2; }
compose=docker-compose
docker compose version >/dev/null 2>&1 && compose="docker compose"

docker build -q -f docker/Dockerfile ${TORCH_INDEX:+--build-arg "TORCH_INDEX=$TORCH_INDEX"} -t siamfc-service:cpu .
size=$(docker image inspect -f '{{.Size}}' siamfc-service:cpu)
echo "image: $((size / 1000000)) MB"
docker run --rm --entrypoint python siamfc-service:cpu -c 'import sys, torch; sys.exit(torch.version.cuda is not None)' ||
    { echo "verify: the CPU image carries CUDA" >&2; exit 1; }
if docker run --rm --entrypoint sh siamfc-service:cpu -c 'command -v gcc cc g++'; then
    echo "verify: the image carries a compiler" >&2
    exit 1
fi

trap '$compose logs --tail 20 tracker || true; $compose down --timeout 20' EXIT
$compose up -d --no-build
for _ in $(seq 120); do
    curl -sf "$url/readyz" >/dev/null && break
    sleep 0.5
done
curl -sf "$url/readyz"
echo
curl -sf "$url/v1/model"
echo
container=$($compose ps -q tracker)
[ "$(docker exec "$container" id -u)" != 0 ] || { echo "verify: it runs as root" >&2; exit 1; }
if docker exec "$container" sh -c 'touch /opt/siamfc/probe' 2>/dev/null; then
    echo "verify: its root file system can be written to" >&2
    exit 1
fi
.venv/bin/siamfc track "$folder" --box "$box" --server "$url" --json /tmp/siamfc-verify.jsonl
frames=$(find "$folder" -maxdepth 1 -type f | wc -l)
[ "$(wc -l </tmp/siamfc-verify.jsonl)" = "$frames" ] || { echo "verify: not every frame was answered" >&2; exit 1; }
echo "verify: $frames frames tracked; last: $(tail -n 1 /tmp/siamfc-verify.jsonl)"
