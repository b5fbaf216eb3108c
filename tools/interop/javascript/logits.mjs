// node logits.mjs ROWS MODEL.onnx ADAPTER...: the logits of rows of token ids (a JSON list a line) under each adapter, in one session
// of onnxruntime-web. Its JavaScript has no call for adapters, so their parameters are fed as the inputs that they are; and it
// feeds no input that has a default, so the model is one that was exported with --no-defaults.
import { readFileSync } from "node:fs";
import * as ort from "onnxruntime-web";
import { readAdapter } from "./adapter.mjs";

const [rowsFile, modelFile, ...adapterFiles] = process.argv.slice(2);
const rows = readFileSync(rowsFile, "utf8").trim().split("\n").map((line) => JSON.parse(line));
ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(new Uint8Array(readFileSync(modelFile)), { executionProviders: ["wasm"] });
const shape = [rows.length, rows[0].length];
const ids = BigInt64Array.from(rows.flat().map(BigInt));
for (const file of adapterFiles) {
  const feeds = { input_ids: new ort.Tensor("int64", ids, shape), attention_mask: new ort.Tensor("int64", ids.map(() => 1n), shape) };
  for (const [name, p] of Object.entries(readAdapter(new Uint8Array(readFileSync(file))))) {
    feeds[name] = new ort.Tensor("float32", p.data, p.dims);
  }
  const { logits } = await session.run(feeds);
  const [, width] = logits.dims;
  console.log(JSON.stringify(rows.map((_, r) => Array.from(logits.data.slice(r * width, (r + 1) * width)))));
}
