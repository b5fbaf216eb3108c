"""Event files of a run, read by TensorBoard's own reader: every step's loss, every epoch's accuracy, texts, hyper-parameters, figures.

A small experiment on made-up dialogues runs, a tuning and a linear study; what the reader finds must be what the units'
metrics.jsonl, the report's figures, the tuning's result and the study's parts say.
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


def near(events, steps, values):
    assert [x.step for x in events] == list(steps), (events, steps)
    assert all(abs(x.value - y) <= 1e-6 * abs(y) for x, y in zip(events, values, strict=True)), (events, values)


def program(metalora, *words):
    done = subprocess.run([metalora, *words], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


def tuning(metalora, model, folder):
    """Compares a tuning's events with its result; returns how many steps and epochs there were."""
    data = folder / "dialogues.txt"
    talk = ["your persona: i like {0}.", "hello , {0}\thi {0}\t\thi {0}|bye {0}", "what do you like ?\ti like {0}\t\tnot {0}|i like {0}"]
    things = ["tea", "cats", "rain", "jazz", "chess", "bread"]
    data.write_text("".join(f"{i + 1} {line.format(thing)}\n" for thing in things for i, line in enumerate(talk)))
    out = program(metalora, "tune", "--model", model, "--data", data, "--adapter-out", folder / "adapter", "--set", "adapt.epochs=3", "--json", "--quiet")
    result, board = json.loads(out), accumulate(folder / "adapter/runs")
    assert [x.step for x in board.Scalars("train/loss")] == list(range(1, result["steps"] + 1)), result
    last = [result["steps"] * (i + 1) // 3 for i in range(3)]
    near(board.Scalars("epoch/loss"), last, [e["loss"] for e in result["epochs"]])
    near(board.Scalars("held_out/mrr"), last, [e["held_out"]["mrr"] for e in result["epochs"]])
    assert "dialogues.txt" in board.Tensors("unit")[0].tensor_proto.string_val[0].decode()
    return result["steps"], len(result["epochs"])


def study(metalora, root, folder):
    """Compares a small linear study's events with its parts; returns how many courses there were."""
    small = ["retrain.steps=50", "vary={dimension: [6], tasks: [3], samples: [100], adapt_samples: [60], rank: [1]}",
             "adapt.steps={dimension: 40, tasks: 40, samples: 40, adapt_samples: 40, rank: 40}", "slope={rank: [1], steps: 40}"]
    program(metalora, "linear", root / "configs/linear-small.yaml", "--out", folder, "--quiet", *[word for s in small for word in ("--set", s)])
    lines = {}
    for part in (folder / "parts").glob("*.json"):
        for x in json.loads(part.read_text()).get("adapted", []):
            value = x["point"][{"dimension": "d", "tasks": "T", "samples": "N", "adapt_samples": "N_adapt", "rank": "k"}[x["figure"]]]
            lines.setdefault(f"{x['figure']}={value}.noise={x['noise']:g}.{x['method']}", []).append(x)
    assert {f.name for f in (folder / "events").iterdir()} == {"report", *lines}, lines.keys()
    for name, runs in lines.items():
        means = [sum(errors) / len(runs) for errors in zip(*[x["errors"] for x in runs], strict=True)]
        near(accumulate(folder / "events" / name).Scalars("adaptation/error"), runs[0]["steps"], means)
    images = accumulate(folder / "events/report").Tags()["images"]
    assert sorted(images) == sorted(f"figures/{f.stem}" for f in (folder / "figures").glob("*.png")), images
    return len(lines)


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--metalora", required=True)
    args.add_argument("--out", required=True)
    args = args.parse_args()
    root = pathlib.Path(__file__).parents[2]
    with tempfile.TemporaryDirectory() as name:
        run = pathlib.Path(name) / "run"
        sets = [word for s in SETTINGS for word in ("--set", s)]
        program(args.metalora, "run", root / "configs/demo.yaml", "--quiet", "--out", run, *sets)
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
        [model] = run.glob("units/retrain-*/model")
        tuned = tuning(args.metalora, model, pathlib.Path(name))
        courses = study(args.metalora, root, pathlib.Path(name) / "study")
    result = f"{len(boards)} units: {steps} steps' losses, {epochs} epochs' metrics, texts and hyper-parameters; {len(figures)} figures: all as written\n"
    result += f"a tuning: {tuned[0]} steps, {tuned[1]} epochs; a linear study: {courses} courses and the report: as their results have them\n"
    print(result, end="")
    pathlib.Path(args.out).write_text(result)


if __name__ == "__main__":
    main()
