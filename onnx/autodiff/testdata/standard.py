"""Prints the operators of ONNX's standard set that have a float input and a float output: python standard.py >standard.txt

onnx 1.23.2. A line is an operator and the operator set of its newest form. What has no float on one side has no gradient.
"""
from onnx import defs

FLOATS = {"tensor(float)", "tensor(double)", "tensor(float16)"}


def floating(schema, parameters):
    types = {c.type_param_str: set(c.allowed_type_strs) for c in schema.type_constraints}
    for p in parameters:
        # Sequences and optionals hold tensors.
        if any(f in t for t in types.get(p.type_str, {p.type_str}) for f in FLOATS):
            return True
    return False


for name in sorted({s.name for s in defs.get_all_schemas() if s.domain == ""}):
    schema = defs.get_schema(name)
    if floating(schema, schema.inputs) and floating(schema, schema.outputs):
        print(name, schema.since_version)
