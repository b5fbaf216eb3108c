// Reads an .onnx_adapter file: a FlatBuffer with the identifier TORT,
//
//   table Parameter { name: string; dims: [int64]; data_type: int32; raw_data: [uint8]; }
//   table Adapter   { format_version: int32; adapter_version: int32; model_version: int32; parameters: [Parameter]; }
import { ByteBuffer } from "flatbuffers";

const float = 1; // ONNX's number of the type
const vtable = (field) => 4 + 2 * field;

/** Parameters by name: { name: { dims, data } }, data a Float32Array. */
export function readAdapter(bytes) {
  const b = new ByteBuffer(bytes);
  if (!b.__has_identifier("TORT")) throw new Error("no .onnx_adapter file: its identifier is not TORT");
  const adapter = b.readInt32(b.position()) + b.position();
  const list = adapter + b.__offset(adapter, vtable(3));
  const parameters = {};
  for (let i = 0; i < b.__vector_len(list); i++) {
    const p = b.__indirect(b.__vector(list) + 4 * i);
    const at = (field) => p + b.__offset(p, vtable(field));
    if (b.readInt32(at(2)) !== float) throw new Error("a parameter is of another type than float");
    const dims = Array.from({ length: b.__vector_len(at(1)) }, (_, d) => Number(b.readInt64(b.__vector(at(1)) + 8 * d)));
    const raw = b.__vector(at(3));
    parameters[b.__string(at(0))] = { dims, data: new Float32Array(bytes.slice(raw, raw + b.__vector_len(at(3))).buffer) };
  }
  return parameters;
}
