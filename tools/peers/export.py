"""Writes a RoBERTa of MiniLM's size and random weights as torch's legacy exporter does: FOLDER/sdpa.onnx and FOLDER/eager.onnx.

usage: export.py FOLDER
"""
import sys
import warnings

import torch
from transformers import RobertaConfig, RobertaForSequenceClassification

warnings.filterwarnings("ignore")
torch.manual_seed(0)
for attention in "sdpa", "eager":
    config = RobertaConfig(vocab_size=50265, hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536,
                           max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5, num_labels=2, attn_implementation=attention)
    ids = torch.randint(4, 1000, (2, 16))
    free = {0: "rows", 1: "length"}
    torch.onnx.export(RobertaForSequenceClassification(config).eval(), (ids, torch.ones_like(ids)), f"{sys.argv[1]}/{attention}.onnx",
                      input_names=["input_ids", "attention_mask"], output_names=["logits"], opset_version=17, dynamo=False,
                      dynamic_axes={"input_ids": free, "attention_mask": free, "logits": {0: "rows"}})
