#!/usr/bin/env bash
# What has to be seen on a machine with a GPU, in about ten minutes: the tests file by file, those of
# the device first, then the speed of training steps. Files of results are written to a folder.
#
#     benchmarks/on_gpu.sh FOLDER [SECONDS_FOR_TESTS]
#
# It needs torch with CUDA and the packages of `pip install -e ".[test]"`.
set -uo pipefail
cd "$(dirname "$0")/.."
folder=$(realpath -m "${1:?Give a folder for the results.}")
seconds=${2:-420}
mkdir -p "$folder"
export PYTHONPATH=$PWD
python -c 'import torch; print(torch.__version__, torch.cuda.get_device_name())' || exit 1

first=(tests/neural_network/test_cuda.py tests/neural_network/test_step_graphs.py tests/test_gathered_images.py)
rest=$(find tests/neural_network tests/model_selection tests/losses tests/study -name 'test_*.py' |
    grep -v -F -f <(printf '%s\n' "${first[@]}") | sort)
begin=$SECONDS
for file in "${first[@]}" $rest; do
    left=$((seconds - (SECONDS - begin)))
    if ((left < 10)); then
        echo "not run: $file" >>"$folder/tests.txt"
        continue
    fi
    timeout "$left" python -m pytest -q -n 4 "$file" >"$folder/last.txt" 2>&1
    echo "$file: $(tail -1 "$folder/last.txt")" | tee -a "$folder/tests.txt"
    grep -E '^(FAILED|ERROR)' "$folder/last.txt" >>"$folder/failed.txt"
done

for name in step_graph epoch fit; do
    python "benchmarks/speed/$name.py" --device cuda --repeats 3 --json "$folder/$name-cuda.json" |
        tee "$folder/$name-cuda.txt"
done
