"""Adapters that metalora writes, in JavaScript: onnxruntime-web under Node must give metalora's logits.

A small RoBERTa is tuned twice by `metalora tune` and exported with each adapter beside it. One session of ONNX Runtime's
WebAssembly build then runs the base under both .onnx_adapter files.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import tempfile

from peft_adapters import ROWS, TOLERANCE, base, dialogues, difference


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--metalora", required=True)
    args.add_argument("--out", required=True)
    args = args.parse_args()
    lines, worst = [], 0
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        folder, data, rows, scripts = work / "base", work / "dialogues.txt", work / "rows.jsonl", work / "javascript"
        folder.mkdir()
        base(folder)
        dialogues(data)
        rows.write_text("".join(json.dumps(r) + "\n" for r in ROWS))
        shutil.copytree(pathlib.Path(__file__).parent / "javascript", scripts)

        def run(*words):
            done = subprocess.run([*map(str, words)], capture_output=True, text=True, cwd=scripts)
            if done.returncode:
                raise SystemExit(done.stdout + done.stderr)
            return done.stdout

        run("npm", "install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund")
        ranks, ours = [4, 8], []
        for rank in ranks:
            adapter = work / f"adapter-{rank}"
            run(args.metalora, "tune", "--model", folder, "--data", data, "--adapter-out", adapter, "--set", "adapt.epochs=2",
                "--set", "adapt.learning_rate=0.01", "--set", f"adapt.families=[lora-{rank}]")
            out = run(args.metalora, "logits", "--model", folder, "--adapter", adapter, "--ids", rows, "--json")
            ours.append([json.loads(line) for line in out.splitlines()])
            run(args.metalora, "model", "export", folder, "-o", work / f"{rank}.onnx", "--adapter", adapter, "--opset", 17,
                "--no-defaults")
        files = [work / f"{rank}.onnx_adapter" for rank in ranks]
        theirs = [json.loads(line) for line in run("node", scripts / "logits.mjs", rows, work / f"{ranks[0]}.onnx", *files).splitlines()]
        version = json.loads((scripts / "node_modules/onnxruntime-web/package.json").read_text())["version"]
        if difference(ours[0], ours[1]) < 1e-3:
            raise SystemExit("both adapters give the same, so nothing is shown")
        for rank, own, other in zip(ranks, ours, theirs, strict=True):
            d = difference(own, other)
            worst = max(worst, d)
            lines.append(f"adapter of rank {rank} as .onnx_adapter, in onnxruntime-web {version}: largest difference of a logit {d:.2g}")
    text = "\n".join(lines) + "\n"
    print(text, end="")
    pathlib.Path(args.out).write_text(text)
    if not worst <= TOLERANCE:
        raise SystemExit(f"more than {TOLERANCE} apart")


if __name__ == "__main__":
    main()
