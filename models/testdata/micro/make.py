"""Makes the folders beside it: the smallest model of each family, with logits, loss and gradients in float64.

    python make.py      (torch 2.13.0, transformers 5.12.0, peft 0.19.1, safetensors 0.8.0)

Each folder is what save_pretrained writes, and golden.safetensors: a batch with padding in the middle of its ids and under
its mask, the outputs (float64) and grad.PARAMETER (computed in float64, stored as float32).
"""
import os

import torch
from safetensors.torch import save_file
from transformers import (BertConfig, BertForSequenceClassification, DistilBertConfig, DistilBertForSequenceClassification,
                          XLMRobertaConfig, XLMRobertaForSequenceClassification)

BERT = dict(vocab_size=40, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12,
            max_position_embeddings=16)
MODELS = {
    "bert-gelu-new": (BertForSequenceClassification, BertConfig(hidden_act="gelu_new", **BERT)),
    "bert-relu": (BertForSequenceClassification, BertConfig(hidden_act="relu", **BERT)),
    "distilbert": (DistilBertForSequenceClassification, DistilBertConfig(
        vocab_size=40, dim=8, n_layers=2, n_heads=2, hidden_dim=12, max_position_embeddings=16)),
    "xlm-roberta": (XLMRobertaForSequenceClassification, XLMRobertaConfig(type_vocab_size=1, layer_norm_eps=1e-5, **BERT)),
}
HERE = os.path.dirname(os.path.abspath(__file__))


def start(model):
    for name, p in model.named_parameters():
        if p.dim() == 2:
            torch.nn.init.normal_(p, 0, 0.4)
        elif name.endswith("weight"):
            torch.nn.init.normal_(p, 1, 0.1)
        else:
            torch.nn.init.normal_(p, 0, 0.1)


def batch(config):
    rows, length, pad = 3, 9, config.pad_token_id
    ids = torch.randint(3, 40, (rows, length))
    mask = torch.ones_like(ids)
    ids[0, 6:], mask[0, 6:] = pad, 0
    ids[1, 4] = pad
    mask[2, 7:] = 0
    out = {"input_ids": ids, "attention_mask": mask}
    if config.model_type == "bert":
        out["token_type_ids"] = (torch.arange(length) > 4).long().expand(rows, length).contiguous()
    return out, torch.tensor([0, 1, 1])


for i, (name, (make, config)) in enumerate(MODELS.items()):
    torch.manual_seed(i)
    config.attn_implementation = "eager"
    model = make(config).eval()
    start(model)
    folder = os.path.join(HERE, name)
    model.save_pretrained(folder)
    inputs, labels = batch(config)
    model = model.double()
    out = model(**inputs, labels=labels)
    out.loss.backward()
    golden = dict(inputs, labels=labels, logits=out.logits.detach(), loss=out.loss.detach())
    for parameter, p in model.named_parameters():
        golden["grad." + parameter] = p.grad.float()
    save_file(golden, os.path.join(folder, "golden.safetensors"))

# Adapters of PEFT 0.19.1 on two of them: "all-linear" adapts BERT's pooler too, and DistilBERT's layers have names of their own.
from peft import LoraConfig, TaskType, get_peft_model  # noqa: E402

for i, (name, targets) in enumerate({"bert-relu": "all-linear", "distilbert": ["q_lin", "lin1"]}.items()):
    torch.manual_seed(10 + i)
    make, config = MODELS[name]
    folder = os.path.join(HERE, name)
    model = get_peft_model(make.from_pretrained(folder), LoraConfig(task_type=TaskType.SEQ_CLS, r=2, lora_alpha=4, target_modules=targets))
    for parameter, p in model.named_parameters():
        if "lora_" in parameter or "modules_to_save" in parameter:
            torch.nn.init.normal_(p, 0, 0.3)
    model.save_pretrained(os.path.join(folder, "adapter"))
    os.remove(os.path.join(folder, "adapter", "README.md"))
    inputs, _ = batch(config)
    inputs.pop("labels", None)
    with torch.no_grad():
        logits = model.double().eval()(**inputs).logits
    save_file(dict(inputs, logits=logits.float()), os.path.join(folder, "adapter", "expected.safetensors"))
