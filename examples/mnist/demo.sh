# The main job on a real network: handwritten digits on a Loihi 2.
# Run by `make demo`; every line works by itself too. BIN is the folder of snn-deploy and python.
set -eu
BIN=${BIN:-.venv/bin}
OUT=build/demo
HERE=examples/mnist
run() { echo; echo "\$ snn-deploy $*"; "$BIN/snn-deploy" "$@"; }

mkdir -p $OUT
"$BIN/python" $HERE/digits.py --output $OUT

if "$BIN/snn-deploy" lava setup; then AGAINST=reference,lava; else AGAINST=reference; fi

run export $HERE/mnist.pt --arch $HERE/mnist.toml --target loihi --calibrate $OUT/train.npz --output $OUT/mnist-loihi --force
run verify $OUT/mnist-loihi --input $OUT/test.npz --samples 50 --against $AGAINST
run evaluate $OUT/mnist-loihi --data $OUT/test.npz
run estimate $OUT/mnist-loihi --input $OUT/test.npz --samples 100

echo
echo "The report, to open in a browser: $OUT/mnist-loihi/report.html"
if [ $AGAINST = reference ]; then
    echo
    echo "Lava was not compared: it needs a Python 3.10. The lines above say how to add one."
fi
