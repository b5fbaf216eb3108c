"""Event files of a run, read by TensorBoard's own reader: every step's loss, every epoch's accuracy, texts, hyper-parameters, figures.

A small experiment on made-up dialogues runs; what the reader finds must be what the units' metrics.jsonl and the report's
figures say.
"""

import argparse
import json
import pathlib
import struct
import subprocess
import tempfile

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

SETTINGS = ["seeds=[0]", "retrain.methods=[sr]", "retrain.epochs=1", "adapt.families=[lora-4]", "adapt.epochs=2", "tasks.test.ranks=1-2"]


def accumulate(folder):
    board = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0, "tensors": 0})
    board.Reload()
    return board


def size(png):
    return struct.unpack(">II", png[16:24])


def unit(board, folder):
    """Compares a unit's events with its metrics; returns how many steps and epochs there were."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    steps, epochs = [x for x in lines if "step" in x], [x for x in lines if "held_out" in x]
    losses, accuracies = board.Scalars("train/loss"), board.Scalars("held_out/accuracy")
    assert [x.step for x in losses] == [x["step"] + 1 for x in steps], folder
    assert all(abs(x.value - y["loss"]) <= 1e-6 * abs(y["loss"]) for x, y in zip(losses, steps, strict=True)), folder
    assert all(abs(x.value - y["held_out"]["accuracy"]) <= 1e-6 for x, y in zip(accuracies, epochs, strict=True)), folder
    label = json.loads((folder / "unit.json").read_text())["label"]
    assert label in board.Tensors("unit")[0].tensor_proto.string_val[0].decode(), label
    content = board.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    values = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    assert values["method"].string_value == "sr" and values["seed"].number_value == 0, values
    return len(steps), len(epochs)


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--metalora", required=True)
    args.add_argument("--out", required=True)
    args = args.parse_args()
    root = pathlib.Path(__file__).parents[2]
    with tempfile.TemporaryDirectory() as name:
        run = pathlib.Path(name) / "run"
        sets = [word for s in SETTINGS for word in ("--set", s)]
        done = subprocess.run([args.metalora, "run", root / "configs/demo.yaml", "--quiet", "--out", run, *sets], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr)
        steps = epochs = 0
        units = {json.loads((u / "unit.json").read_text())["id"]: u for u in (run / "units").iterdir()}
        boards = [f for f in (run / "events").iterdir() if f.name != "report"]
        for folder in boards:
            [found] = [u for id, u in units.items() if id.split("-")[1][:6] == folder.name.rsplit(".", 1)[1]]
            s, e = unit(accumulate(folder), found)
            steps, epochs = steps + s, epochs + e
        assert len(boards) == len(units) == 3, (boards, units)
        report = accumulate(run / "events/report")
        figures = sorted((run / "report/figures").glob("*.png"))
        assert sorted(report.Tags()["images"]) == [f"figures/{f.stem}" for f in figures]
        for f in figures:
            [image] = report.Images(f"figures/{f.stem}")
            assert image.encoded_image_string == f.read_bytes() and (image.width, image.height) == size(f.read_bytes()), f
        text = report.Tensors("report")[0].tensor_proto.string_val[0].decode()
        assert "Accuracy" in text, text
    result = f"{len(boards)} units: {steps} steps' losses, {epochs} epochs' metrics, texts and hyper-parameters; {len(figures)} figures: all as written\n"
    print(result, end="")
    pathlib.Path(args.out).write_text(result)


if __name__ == "__main__":
    main()
