#!/bin/sh
# Installs the pinned torch, first and by itself, so that nothing else's requirements choose its build.
# Usage: TORCH=auto|cpu|cuda TORCH_INDEX=URL install_torch.sh PYTHON CONSTRAINTS
# cpu: from TORCH_INDEX (PyTorch's CPU wheels) where that answers, else from wherever pip is set to look.
# cuda: from wherever pip is set to look (on PyPI, Linux wheels carry CUDA). auto: cuda where an NVIDIA driver is
# present, else cpu.
set -eu
python=$1
requirement=$(grep '^torch==' "$2")
want=${TORCH:-auto}
index=${TORCH_INDEX:-https://download.pytorch.org/whl/cpu}
case $want in
auto) if command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi >/dev/null 2>&1; then want=cuda; else want=cpu; fi ;;
cpu | cuda) ;;
*) echo "TORCH must be auto, cpu or cuda, not '$want'" >&2; exit 2 ;;
esac
if "$python" -c "import sys, importlib.metadata as m; sys.exit(m.version('torch').split('+')[0] != '${requirement#torch==}')" 2>/dev/null; then
    exit 0
fi
answers() {
    "$python" -c "import sys, urllib.request; urllib.request.urlopen(sys.argv[1] + '/torch/', timeout=5)" "$1" 2>/dev/null
}
if [ "$want" = cpu ] && answers "$index"; then
    "$python" -m pip install --quiet --index-url "$index" "$requirement"
else
    "$python" -m pip install --quiet "$requirement"
fi
