#!/usr/bin/env bash
# What has to be seen on a machine with a GPU, in about ten minutes: the speed of training steps while
# nothing else runs, then the tests, those of the device first. Results are written to a folder.
#
#     benchmarks/on_gpu.sh FOLDER [SECONDS_FOR_TESTS]
#
# It needs torch with CUDA and the packages of `pip install -e ".[test]"`.
set -uo pipefail
cd "$(dirname "$0")/.."
folder=$(realpath -m "${1:?Give a folder for the results.}")
seconds=${2:-300}
mkdir -p "$folder"
export PYTHONPATH=$PWD PYTHONUNBUFFERED=1
python -c 'import torch; print(torch.__version__, torch.cuda.get_device_name())' || exit 1

# A table is written as soon as it is there, so what is stopped loses only its last one.
timeout 200 python benchmarks/speed/step_graph.py --repeats 2 --rows 6400 \
    --json "$folder/step_graph-cuda.json" | tee "$folder/step_graph-cuda.txt"
for name in epoch fit; do
    timeout 80 python "benchmarks/speed/$name.py" --device cuda --repeats 3 \
        --json "$folder/$name-cuda.json" | tee "$folder/$name-cuda.txt"
done

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
    # skorch imports torch_geometric where it is installed, whose own warnings are no errors here.
    timeout "$left" python -m pytest -v -n 8 -W "ignore:.*torch.jit.script:DeprecationWarning" "$file" \
        >"$folder/last.txt" 2>&1
    echo "$file: $(tail -1 "$folder/last.txt")" | tee -a "$folder/tests.txt"
    # With -v a failure is named when it happens, also in a file that is stopped.
    grep -E '(FAILED|ERROR) ' "$folder/last.txt" | sort -u >>"$folder/failed.txt"
    cat "$folder/last.txt" >>"$folder/log.txt"
done
