#!/bin/sh
# Takes out of an environment what a running server never opens: tests, and what only a C++ compiler would read.
# Usage: trim.sh ENVIRONMENT
set -eu
packages=$(echo "$1"/lib/python3*/site-packages)
torch=$packages/torch
rm -rf "$torch/test" "$torch/include" "$torch/share"
# torch_shm_manager is started by torch itself; the rest of the folder is PyTorch's own tests and protoc.
find "$torch/bin" -mindepth 1 -maxdepth 1 ! -name torch_shm_manager -exec rm -rf {} +
find "$torch/lib" -name '*_test.so' -delete
find "$packages/sympy" "$packages/mpmath" "$packages/networkx" "$packages/numpy" \
    -type d \( -name tests -o -name benchmarks \) -prune -exec rm -rf {} +
# OpenVINO for a CPU, from a graph built in memory: no other devices, no readers of model files.
openvino=$packages/openvino
rm -rf "$openvino/include" "$openvino/libs/cache.json"
rm -f "$openvino"/libs/*_gpu_plugin.so "$openvino"/libs/*_npu_plugin.so "$openvino"/libs/*_frontend.so*
find "$packages" \( -name '*.a' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.h' \) -type f -delete
