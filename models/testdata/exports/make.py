"""Makes the .onnx files beside it, of the smallest models of each family in ../micro: what exporters write that the reference
exports have none of.

    python make.py      (torch 2.13.0, transformers 5.12.0, onnx 1.23.2, onnxscript 0.7.2, onnxruntime 1.30.0)

FAMILY-bare.onnx are encoders without a classification head. attention-23.onnx is torch's newest form, with ONNX's own
Attention; multihead.onnx is
the reference's nano-bert-optimum, fused by ONNX Runtime's optimizer into MultiHeadAttention, with the first rows of its tables
alone. Traces of the source code, which name
folders of the machine, are taken out.
"""
import os
import warnings

import onnx
import torch
from onnxruntime.transformers.fusion_options import FusionOptions
from onnxruntime.transformers.optimizer import optimize_model
from transformers import AutoModel, AutoModelForSequenceClassification

warnings.filterwarnings("ignore")
HERE = os.path.dirname(os.path.abspath(__file__))
MICRO = os.path.join(HERE, "..", "micro")
REFERENCE = os.path.join(HERE, "..", "..", "..", "..", "shared", "reference", "onnx-exports", "nano-bert-optimum.onnx")
IDS = torch.tensor([[5, 6, 7, 8, 9], [5, 9, 8, 1, 1]])


def inputs(model):
    named = {"input_ids": IDS, "attention_mask": (IDS != 1).long()}
    if model.config.model_type == "bert":
        named["token_type_ids"] = (torch.arange(IDS.shape[1]) > 2).long().expand(IDS.shape).contiguous()
    return named


def legacy(model, path, outputs, opset):
    named, forward = inputs(model), model.forward
    model.forward = lambda *values: tuple(forward(**dict(zip(named, values)))[name] for name in outputs)
    names = list(named)
    axes = {name: {0: "rows", 1: "length"} for name in names}
    axes |= {name: {0: "rows", 1: "length"} if name == "last_hidden_state" else {0: "rows"} for name in outputs}
    torch.onnx.export(model, tuple(named.values()), path,
                      dynamo=False, opset_version=opset, input_names=names, output_names=outputs, dynamic_axes=axes)


def dynamo(model, path, outputs, opset):
    named = inputs(model)
    rows, length = torch.export.Dim("rows"), torch.export.Dim("length")
    torch.onnx.export(model, (), path, kwargs=named, dynamo=True, opset_version=opset, input_names=list(named), output_names=outputs,
                      dynamic_shapes={name: {0: rows, 1: length} for name in named}, external_data=False)


def clean(path):
    model = onnx.load(path)
    for node in model.graph.node:
        kept = [m for m in node.metadata_props if m.key == "pkg.torch.onnx.name_scopes"]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
        node.ClearField("doc_string")
    del model.graph.value_info[:]
    del model.metadata_props[:]
    onnx.save(model, path)


def load(make, name, attention):
    return make.from_pretrained(os.path.join(MICRO, name), attn_implementation=attention).eval()


def out(name):
    return os.path.join(HERE, name + ".onnx")


legacy(load(AutoModel, "xlm-roberta", "eager"), out("roberta-bare"), ["last_hidden_state", "pooler_output"], 14)
dynamo(load(AutoModel, "bert-relu", "sdpa"), out("bert-bare"), ["last_hidden_state", "pooler_output"], 20)
legacy(load(AutoModel, "distilbert", "eager"), out("distilbert-bare"), ["last_hidden_state"], 17)
dynamo(load(AutoModelForSequenceClassification, "xlm-roberta", "sdpa"), out("attention-23"), ["logits"], 23)

# The optimizer knows the attention of optimum's export, not that of transformers 5.
options = FusionOptions("bert")
options.use_multi_head_attention = True
fused = optimize_model(REFERENCE, "bert", num_heads=4, hidden_size=32, optimization_options=options, opt_level=0)
for table, rows in {"word": 40, "position": 16}.items():
    tensor = fused.get_initializer(f"bert.embeddings.{table}_embeddings.weight")
    tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor)[:rows], tensor.name))
fused.save_model_to_file(out("multihead"))

for name in sorted(os.listdir(HERE)):
    if name.endswith(".onnx"):
        clean(os.path.join(HERE, name))
        model = onnx.load(os.path.join(HERE, name))
        print(name, os.path.getsize(os.path.join(HERE, name)), [o.name for o in model.graph.output],
              sorted({n.domain + "::" + n.op_type for n in model.graph.node if "ttention" in n.op_type or n.domain}))
