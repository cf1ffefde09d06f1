#!/usr/bin/env python3
"""Compares libcnn with ONNX Runtime on networks as exporters write them, with random weights.

    tests/golden/setup.sh && tests/golden/golden.py                        a representative set
    tests/golden/setup.sh torch keras dynamo && tests/golden/golden.py --set all

Each model is exported, run at two batches or sizes, compared and deleted before the next one. Exit status 1 if any fails
or is further off than rtol 1e-3, atol 1e-4.

Results are collected in build/golden.json, also those of single models (--only). Once they are there for every model of
`--set all`, docs/compatibility.md is written from them. `--missing` goes on where a run was ended.
"""
import argparse
import fnmatch
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RESULTS, TABLE = ROOT / "build" / "golden.json", ROOT / "docs" / "compatibility.md"
RTOL, ATOL = 1e-3, 1e-4
MEMORY = 12 << 30  # bytes, of an exporter
NEWEST = 28  # operator set that PyPI's onnx writes
ENVIRONMENTS = {"torchscript": "torch", "dynamo": "dynamo", "tf2onnx": "keras"}  # exporter: folder in .venv


@dataclass
class Case:
    exporter: str
    library: str
    model: str
    note: str = ""
    opsets: tuple = (17,)
    size: int = 224
    dynamic: str = "batch"  # or "size", batch, height and width, or "fixed"
    convert: bool = False  # by onnx.version_converter to the operator sets behind the first
    external: bool = False  # weights in a file of their own
    pixels: bool = False  # input from 0 to 255
    options: dict = field(default_factory=dict)  # of the library's function that makes the model

    @property
    def name(self):
        return "/".join(filter(None, (self.exporter, self.library, self.model, self.note)))

    @property
    def shapes(self):
        """Of the inputs that it runs on."""
        runs = {"fixed": [(1, 0, 0)], "batch": [(1, 0, 0), (3, 0, 0)], "size": [(1, 0, 0), (2, -64, 32)]}[self.dynamic]
        sizes = [(n, self.size + h, self.size + w) for n, h, w in runs]
        return [[n, h, w, 3] if self.library == "keras" else [n, 3, h, w] for n, h, w in sizes]


def cases(exporter, library, models, **same):
    """From names, "name@size" where the size is not 224."""
    for model in models.split():
        name, _, size = model.partition("@")
        yield Case(exporter, library, name, size=int(size or 224), **same)


CASES = [
    *cases("torchscript", "torchvision", """
        alexnet convnext_tiny densenet121 efficientnet_b0 efficientnet_v2_s googlenet inception_v3@299 mnasnet0_5
        mobilenet_v2 mobilenet_v3_large mobilenet_v3_small regnet_x_400mf regnet_y_400mf resnet18 resnet50
        resnext50_32x4d shufflenet_v2_x0_5 shufflenet_v2_x1_0 squeezenet1_1 swin_t vgg11_bn vit_b_32 wide_resnet50_2"""),
    *cases("torchscript", "timm", """
        convnext_atto convnextv2_tiny cspresnet50 dla34 dpn68 eca_nfnet_l0 ghostnet_100 hrnet_w18_small
        inception_next_atto mixnet_s mobilenetv4_conv_small mobileone_s0 regnety_002 repvgg_a0 res2net50_26w_4s
        resnest14d rexnet_100 seresnet50 tf_efficientnet_b0"""),
    *cases("tf2onnx", "keras", """
        DenseNet121 InceptionV3@299 MobileNet MobileNetV2 NASNetMobile ResNet50 ResNet50V2 Xception@299"""),
    *cases("tf2onnx", "keras", "EfficientNetB0 EfficientNetV2B0 MobileNetV3Small", pixels=True),
    *cases("dynamo", "torchvision", """
        convnext_tiny efficientnet_b0 googlenet mobilenet_v3_small regnet_y_400mf shufflenet_v2_x1_0 swin_v2_t
        vit_b_32""", opsets=(20,)),
    *cases("dynamo", "timm", "ghostnet_100 mixnet_s", opsets=(20,)),
    # operator sets
    *[Case("torchscript", "torchvision", model, "opsets", opsets=tuple(range(first, 17))) for model, first in (
        ("resnet18", 7), ("squeezenet1_1", 7), ("mobilenet_v3_small", 9), ("shufflenet_v2_x0_5", 11))],
    *[Case("torchscript", "torchvision", model, "converted", opsets=tuple(range(17, NEWEST + 1)), convert=True)
      for model in ("resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5")],
    Case("tf2onnx", "keras", "MobileNetV2", "opsets", opsets=(9, 11, 13, 15, 18)),
    Case("dynamo", "torchvision", "resnet18", "opsets", opsets=tuple(range(18, 24))),
    # dynamic height and width
    *[Case("torchscript", "torchvision", model, "any size", dynamic="size")
      for model in ("resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5", "convnext_tiny")],
    Case("torchscript", "timm", "tf_efficientnet_b0", "any size", dynamic="size"),
    Case("tf2onnx", "keras", "MobileNetV2", "any size", dynamic="size", options={"include_top": False, "pooling": "avg"}),
    Case("dynamo", "torchvision", "mobilenet_v3_small", "any size", dynamic="size", opsets=(20,)),
    # several outputs, fixed shapes, weights in a file of their own
    Case("torchscript", "timm", "resnet18", "features", options={"features_only": True}),
    Case("torchscript", "timm", "mobilenetv3_small_100", "features", options={"features_only": True}),
    Case("torchscript", "torchvision", "squeezenet1_1", "fixed shape", dynamic="fixed"),
    Case("torchscript", "torchvision", "resnet18", "external data", external=True),
]

CI = """
    torchscript/torchvision/densenet121 torchscript/torchvision/efficientnet_b0 torchscript/torchvision/googlenet
    torchscript/torchvision/shufflenet_v2_x0_5/converted torchscript/torchvision/resnet18/external?data
    torchscript/torchvision/squeezenet1_1/opsets torchscript/torchvision/mobilenet_v3_small/any?size
    torchscript/torchvision/convnext_tiny torchscript/timm/ghostnet_100 torchscript/timm/mobilenetv3_small_100/features
    tf2onnx/keras/MobileNetV2 tf2onnx/keras/EfficientNetB0""".split()


TABLE_HEAD = f"""# Compatibility

Networks as exporters write them, with random weights, on random input: libcnn compared with ONNX Runtime. Written by
`tests/golden/golden.py --set all`; all are within rtol {RTOL:g} and atol {ATOL:g}, at batch 1 and 3 or, where the size is
any, at two sizes.

*Difference* is the largest of any output's numbers, *relative* that over the largest output. *Transposes* are those in
the file, *moves* the steps that only change the order of data. *Steps without a kernel* run on the plain code that every
operator has; with their share of the time at the last batch.
"""


def python(exporter):
    return HERE / ".venv" / ENVIRONMENTS[exporter] / "bin" / "python"


def limit_memory():
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))


def run(*command):
    """What the command printed; RuntimeError with the last line of its complaint."""
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit_memory)
    if done.returncode < 0:
        raise RuntimeError(f"ended by signal {-done.returncode}")
    if done.returncode:
        raise RuntimeError((done.stderr.strip() or "failed").splitlines()[-1])
    return done.stdout


def export(case, folder):
    """Fills the folder with model.onnx and test_data_set_N; RuntimeError if that fails."""
    request = vars(case) | {"shapes": case.shapes, "folder": str(folder)}
    run(python(case.exporter), HERE / "export.py", json.dumps(request))


def check(case, library, folder):
    """The result of compare.py, with `problem`: what is wrong, or ""."""
    try:
        export(case, folder)
    except RuntimeError as error:
        return {"problem": f"not exported: {error}"}
    try:
        result = json.loads(run(python(case.exporter), HERE / "compare.py", library, folder, str(RTOL), str(ATOL)))
    except RuntimeError as error:
        return {"problem": str(error)}
    far = f"off by {result['absolute']:.2g}, {result['tolerances']:.2g} times what is allowed"
    result["producer"] = (folder / "producer.txt").read_text()
    return result | {"problem": far if result["tolerances"] > 1 else ""}


def fallback(result):
    steps = ", ".join(f"{op} × {n}" if n > 1 else op for op, n in result["fallback"].items())
    return f"{steps} ({result['fallback_share']:.0%})" if steps else ""


def row(case, r):
    model = f"{case.library} {case.model}" + f", {case.note}" * bool(case.note)
    opsets = f"{min(r['opsets'])} to {max(r['opsets'])}" if len(r["opsets"]) > 1 else r["opsets"][0]
    return (f"| {model} | {opsets} | {r['parameters'] / 1e6:.1f} M | {r['absolute']:.1e} | {r['relative']:.1e} "
            f"| {r['transposes']} | {r['moves']} | {fallback(r)} |\n")


def table(results):
    """docs/compatibility.md, from the result of every case."""
    text = TABLE_HEAD
    for producer in dict.fromkeys(results[case.name]["producer"] for case in CASES):
        text += f"\n## {producer}\n\n"
        text += "| model | opset | parameters | difference | relative | transposes | moves | steps without a kernel |\n"
        text += "|---|--:|--:|--:|--:|--:|--:|---|\n"
        text += "".join(row(case, results[case.name]) for case in CASES if results[case.name]["producer"] == producer)
    return text


def one_line(case, result):
    if "steps" not in result:
        return f"FAIL  {case.name}: {result['problem']}"
    text = (f"{'FAIL' if result['problem'] else 'ok':5} {case.name}: {result['absolute']:.1e} "
            f"(relative {result['relative']:.1e}), {result['steps']} steps, {result['moves']} moves for "
            f"{result['transposes']} transposes, {result['milliseconds']:.1f} ms")
    return text + f", plain: {fallback(result)}" * bool(fallback(result)) + f"; {result['problem']}" * bool(result["problem"])


def choose(options):
    patterns = [options.only] if options.only else CI if options.set == "ci" else ["*"]
    there = stored() if options.missing else {}
    return [case for case in CASES if any(fnmatch.fnmatch(case.name, pattern) for pattern in patterns)
            and there.get(case.name, {"problem": "missing"})["problem"]]


def run_case(case, options):
    with tempfile.TemporaryDirectory(prefix="golden-") as scratch:
        folder = options.keep / case.name.replace("/", "-").replace(" ", "-") if options.keep else Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        return check(case, options.library, folder)


def stored():
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def store(case, result):
    """Keeps a result; writes the table if none is missing."""
    results = stored() | {case.name: result}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1))
    if all(case.name in results and not results[case.name]["problem"] for case in CASES):
        TABLE.write_text(table(results))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--set", choices=("ci", "all"), default="ci")
    parser.add_argument("--only", metavar="PATTERN", help="of the names that it prints, with * and ?")
    parser.add_argument("--missing", action="store_true", help="only those without a good result in build/golden.json")
    parser.add_argument("--library", default=str(ROOT / "build/release/engine/libcnn.so"), help="libcnn.so")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave the test folders there, for cnnserve verify")
    options = parser.parse_args()
    failed, start, chosen = 0, time.monotonic(), choose(options)
    for case in chosen:
        result = run_case(case, options)
        failed += bool(result["problem"])
        store(case, result)
        print(one_line(case, result), flush=True)
    print(f"{len(chosen) - failed} passed, {failed} failed in {time.monotonic() - start:.0f} s")
    sys.exit(failed > 0 or not (chosen or options.missing))


if __name__ == "__main__":
    main()
