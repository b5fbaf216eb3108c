"""Adapters and exports that metalora writes, read by Python: PEFT and ONNX Runtime must give metalora's logits.

A small RoBERTa is made by transformers, tuned by `metalora tune` on a few dialogues (from the folder, and from torch's export of
it), and each adapter is loaded by PEFT. `metalora model export` then writes the model with the adapter merged and
beside, which ONNX's checker and ONNX Runtime's LoRA interface take.
"""

import argparse
import json
import logging
import pathlib
import subprocess
import tempfile
import warnings

import numpy as np
import onnx
import onnxruntime as ort
import torch
from huggingface_hub import ModelCard
from peft import PeftModel
from tokenizers import ByteLevelBPETokenizer
from transformers import RobertaConfig, RobertaForSequenceClassification

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
ort.set_default_logger_severity(4)
TOLERANCE = 1e-4
ROWS = [[0, 17, 4, 200, 2, 0, 30, 2], [0, 99, 2, 0, 250, 251, 252, 2]]


def base(folder):
    """A RoBERTa of random weights with a tokenizer, and torch's export of it."""
    torch.manual_seed(0)
    config = RobertaConfig(vocab_size=300, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
                           max_position_embeddings=260, type_vocab_size=1, layer_norm_eps=1e-5, attn_implementation="eager")
    model = RobertaForSequenceClassification(config).eval()
    for p in model.parameters():
        p.data.add_(0.05 * torch.randn_like(p))
    model.save_pretrained(folder)
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(["i like tea and long walks"] * 3, vocab_size=300, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer.save_model(str(folder))
    ids = torch.tensor(ROWS)
    axes = {0: "batch", 1: "sequence"}
    torch.onnx.export(model, (ids, torch.ones_like(ids)), str(folder / "model.onnx"), input_names=["input_ids", "attention_mask"],
                      output_names=["logits"], dynamic_axes={"input_ids": axes, "attention_mask": axes, "logits": {0: "batch"}},
                      opset_version=17, dynamo=False)


def dialogues(path):
    """Five dialogues of one persona, each reply of its own, four candidates a turn, the true reply last."""
    with open(path, "w") as out:
        for d in range(5):
            lines = ["your persona: i like tea.", "your persona: i walk a lot."]
            for turn in range(3):
                true = f"tea number {d} on walk {turn}"
                candidates = [f"the dog {d} has job {i}" for i in range(3)] + [true]
                lines.append(f"what do you do {turn} ?\t{true}\t\t" + "|".join(candidates))
            out.writelines(f"{i + 1} {line}\n" for i, line in enumerate(lines))


def difference(a, b):
    return float(np.abs(np.asarray(a) - np.asarray(b)).max())


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--metalora", required=True)
    args.add_argument("--out", required=True)
    args = args.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        folder, data, rows = work / "base", work / "dialogues.txt", work / "rows.jsonl"
        folder.mkdir()
        base(folder)
        dialogues(data)
        rows.write_text("".join(json.dumps(r) + "\n" for r in ROWS))

        def metalora(*words):
            done = subprocess.run([args.metalora, *map(str, words)], capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(done.stderr)
            return done.stdout

        def logits(model, adapter):
            out = metalora("logits", "--model", model, "--adapter", adapter, "--ids", rows, "--json")
            return [json.loads(line) for line in out.splitlines()]

        ids = np.array(ROWS)
        feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        for kind, model in {"folder": folder, "export": folder / "model.onnx"}.items():
            adapter = work / f"adapter-{kind}"
            metalora("tune", "--model", model, "--data", data, "--adapter-out", adapter, "--set", "adapt.epochs=2",
                     "--set", "adapt.learning_rate=0.01")
            ours = logits(model, adapter)
            card = ModelCard.load(adapter / "README.md", ignore_metadata_errors=False)
            assert card.data.base_model == str(model) and card.data.library_name == "peft" and card.data.eval_results, card.data
            peft = PeftModel.from_pretrained(RobertaForSequenceClassification.from_pretrained(folder), str(adapter)).eval()
            with torch.no_grad():
                theirs = peft(torch.tensor(ROWS), torch.ones(ids.shape, dtype=torch.long)).logits
            results[f"adapter tuned on the {kind}, in PEFT"] = difference(ours, theirs)

            for merge in ([], ["--merge"]):
                file = work / f"{kind}{len(merge)}.onnx"
                metalora("model", "export", model, "-o", file, "--adapter", adapter, "--opset", 17, *merge)
                onnx.checker.check_model(str(file), full_check=True)
                session, options = ort.InferenceSession(str(file)), ort.RunOptions()
                if not merge:
                    lora = ort.LoraAdapter()
                    lora.Load(str(file) + "_adapter")
                    options.add_active_adapter(lora)
                results[f"{kind}, exported with the adapter {'merged' if merge else 'beside'}"] = difference(
                    ours, session.run(None, feeds, options)[0])
    lines = [f"{what}: largest difference of a logit {d:.2g}" for what, d in results.items()]
    text = "\n".join(lines) + "\n"
    print(text, end="")
    pathlib.Path(args.out).write_text(text)
    if not all(d <= TOLERANCE for d in results.values()):
        raise SystemExit(f"more than {TOLERANCE} apart")


if __name__ == "__main__":
    main()
