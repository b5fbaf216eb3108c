"""ONNX's own node tests: `metalora grad` on each, against finite differences.

The onnx package generates its backend tests. A case counts here if it is one operator with a float input and a float
output, and if the runtime runs it at all. The gradient of sum(seed * output) that ONNX Runtime computes from the written
file in float32 is compared with differences of onnx's reference evaluator in float64, of the runtime where the evaluator
cannot (it must reproduce the case's own expected output in float64). Data that lies on a kink (an exact zero under Relu)
is moved a little first.
"""

import argparse
import collections
import multiprocessing
import os
import pathlib
import subprocess
import tempfile
import time
import warnings

import numpy as np
import onnx
import onnxruntime as ort
from onnx.backend.test.case.node import collect_testcases
from onnx.reference import ReferenceEvaluator

warnings.filterwarnings("ignore")
ort.set_default_logger_severity(4)

FLOATS = {onnx.TensorProto.FLOAT: np.float32, onnx.TensorProto.DOUBLE: np.float64}

# What metalora refuses on purpose (and names): operators with a state or a graph inside, signal transforms, quantised
# arithmetic, random draws and optimisers.
INTENDED = {
    "recurrent": {"GRU", "LSTM", "RNN", "LinearAttention", "CausalConvWithState"},
    "control flow": {"If", "Loop", "Scan", "SequenceMap", "FlexAttention"},
    "signal": {"DFT", "STFT", "MelWeightMatrix", "BlackmanWindow", "HannWindow", "HammingWindow"},
    "random": {"Bernoulli", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial"},
    "optimiser": {"Momentum", "Adagrad", "Adam"},
    "quantised": {"DynamicQuantizeLinear"},
    "no neural network": {"TreeEnsemble", "ArrayFeatureExtractor", "Binarizer"},
    "not a tensor": {"OptionalGetElement", "SequenceAt"},
}

# What is refused of operators that have a rule: by what the message says.
MODES = {"random": "in training mode it draws its own mask", "training": "there is no rule for training_mode",
         "opset before 11": "is the oldest that is differentiated"}

# Float inputs that are settings of the operator, not quantities: they set a shape or switch dropout's rate.
SETTINGS = {("Resize", 1), ("Resize", 2), ("Upsample", 1), ("Dropout", 1), ("Dropout", 2)}

# What the pinned runtime reads.
NEWEST_IR, NEWEST_OPSET = 11, 26

ELEMENTS = 40  # finite differences by at most so many elements of an input; beyond, a sample and random directions across all
PATIENCE = 2.0  # seconds of evaluations, times 5, by an input whose elements are many
SLOW = 0.5  # seconds of an evaluation, beyond which the runtime is asked instead of onnx's evaluator
WANTED = 0.97  # the share of cases that must agree
TOLERANCE = 1e-3  # relative to the largest element of a gradient


def elem_type(value):
    return value.type.tensor_type.elem_type if value.type.HasField("tensor_type") else 0


class Case:
    """One node test, with its float inputs and the float output that is differentiated."""

    def __init__(self, test):
        self.name, self.model = test.name, readable(test.model)
        self.node = test.model.graph.node[0]
        inputs, outputs = test.data_sets[0]
        self.feeds = {i.name: array(x) for i, x in zip(test.model.graph.input, inputs)}
        self.expected = {o.name: array(x) for o, x in zip(test.model.graph.output, outputs)}
        settings = {self.node.input[i] for op, i in SETTINGS if op == self.node.op_type and i < len(self.node.input)}
        self.wrt = [i.name for i in test.model.graph.input
                    if elem_type(i) in FLOATS and i.name not in settings and np.size(self.feeds[i.name]) > 0]
        self.of = next((o.name for o in test.model.graph.output if elem_type(o) in FLOATS), None)

    def op(self):
        return (self.node.domain + "::" if self.node.domain else "") + self.node.op_type

    def opset(self):
        return max([o.version for o in self.model.opset_import if o.domain in ("", "ai.onnx")] or [0])


def array(x):
    """An input's value; what is not finite has no derivative and is replaced."""
    x = onnx.numpy_helper.to_array(x) if isinstance(x, onnx.TensorProto) else np.asarray(x)
    return np.where(np.isfinite(x), x, x.dtype.type(0.5)) if x.dtype in FLOATS.values() else x


def readable(model):
    """The model in a format and, where the operator did not change since, an operator set that the runtime reads."""
    model.ir_version = min(model.ir_version, NEWEST_IR)
    for o in model.opset_import:
        node = model.graph.node[0]
        if o.domain == "" and o.version > NEWEST_OPSET and node.domain == "":
            if onnx.defs.get_schema(node.op_type, o.version).since_version <= NEWEST_OPSET:
                o.version = NEWEST_OPSET
    return model


def single_operators():
    for test in collect_testcases(None):
        model = test.model
        if len(model.graph.node) != 1 or "_expanded" in test.name or model.functions:
            continue
        types = [elem_type(v) for v in model.graph.input], [elem_type(v) for v in model.graph.output]
        if any(t in FLOATS for t in types[0]) and any(t in FLOATS for t in types[1]):
            yield Case(test)


def session(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 4
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def differentiate(metalora, case, source, target):
    args = [metalora, "grad", source, "--of", case.of, "-o", target]
    for name in case.wrt:
        args += ["--wrt", name]
    return subprocess.run(args, capture_output=True, text=True, timeout=120)


class Function:
    """The case's differentiated output as a function of its inputs: in float64 by onnx's evaluator, else by the runtime.

    h is the step that suits the precision of the arithmetic, and tolerance what differences with it can promise.
    """

    def __init__(self, case, path):
        self.h, self.tolerance, self.kink, self.wide = 1e-4, TOLERANCE, 2e-5, True
        self.run = self.evaluator(case)
        start = time.monotonic()
        y = self.attempt(case) if np.allclose(case.runtime[case.of], case.expected[case.of], rtol=1e-3, atol=1e-4, equal_nan=True) else None
        seconds = time.monotonic() - start
        self.elements = min(ELEMENTS, max(5, int(PATIENCE / seconds)))
        if y is None or seconds > SLOW:
            self.run, self.wide, self.elements = self.runtime(case, path), False, ELEMENTS
            self.coarse(2e-2, 0)
        elif self.rounds(case):
            self.coarse(2e-2, 0)

    def coarse(self, h, kink):
        """Differences for arithmetic that is in float32 at least in part."""
        self.h, self.tolerance, self.kink = h, 10 * TOLERANCE, kink

    def __call__(self, feeds):
        return np.asarray(self.run(feeds), np.float64)

    def widened(self, feeds):
        if not self.wide:
            return feeds
        return {k: x.astype(np.float64) if x.dtype == np.float32 else x for k, x in feeds.items()}

    @staticmethod
    def evaluator(case):
        evaluator = ReferenceEvaluator(case.model)
        place = [o.name for o in case.model.graph.output].index(case.of)
        return lambda feeds: np.asarray(evaluator.run(None, feeds)[place])

    @staticmethod
    def runtime(case, path):
        forward = session(path)
        return lambda feeds: forward.run([case.of], feeds_of(forward, feeds))[0]

    def attempt(self, case):
        """The evaluator's output in float64, None where it is not the one that the case expects."""
        try:
            y = self.run(self.widened(case.feeds))
        except Exception:
            return None
        want = case.expected[case.of]
        fits = y.dtype == np.float64 and y.shape == want.shape
        return y if fits and np.allclose(y, want, rtol=1e-3, atol=1e-4, equal_nan=True) else None

    def rounds(self, case):
        """Some of the evaluator's operators compute in float32 whatever they are given."""
        rng = np.random.default_rng(3)
        feeds = self.widened(case.feeds)
        moved = {k: x + 1e-4 * rng.uniform(0, 1, x.shape) if k in case.wrt else x for k, x in feeds.items()}
        y = self.run(moved)
        return bool(np.all(y == y.astype(np.float32)) and np.any(y != np.round(y)))


def feeds_of(forward, feeds):
    return {i.name: feeds[i.name] for i in forward.get_inputs() if i.name in feeds}


def directions(x, rng, most):
    """Unit vectors: every element, or a sample of them and a few directions across all."""
    size = x.size
    chosen = np.arange(size) if size <= most else rng.choice(size, most, replace=False)
    for i in chosen:
        v = np.zeros(size)
        v[i] = 1
        yield v.reshape(x.shape)
    if size > most:
        for _ in range(6):
            yield rng.standard_normal(x.shape) / np.sqrt(size)


class Kink(Exception):
    pass


def slope(f, feeds, name, v, seed):
    """The derivative of sum(seed * f) along v, by central differences of fourth order; a Kink where the sides differ."""
    x, h = feeds[name], f.h

    def at(k):
        return float(np.sum(seed * f({**feeds, name: (x + (k * h) * v).astype(x.dtype)})))

    points = {k: at(k) for k in (-2, -1, 1, 2)}
    left, right = (at(0) - points[-1]) / h, (points[1] - at(0)) / h
    narrow, wide = (points[1] - points[-1]) / (2 * h), (points[2] - points[-2]) / (4 * h)
    value = (8 * (points[1] - points[-1]) - (points[2] - points[-2])) / (12 * h)
    if not np.isfinite(value):
        raise Kink
    scale = max(1.0, abs(value))
    if f.kink and (abs(left - right) > 500 * f.kink * scale or abs(narrow - wide) > f.kink * scale):
        raise Kink
    return value


def seed_for(shape):
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32)


def slopes(function, feeds, name, got, seed, rng):
    """Along each direction what the gradient says and what the difference is; those on a kink, a third at most, are left out."""
    pairs, kinks = [], 0
    for v in directions(feeds[name], rng, function.elements):
        try:
            pairs.append((float(np.sum(got * v)), slope(function, feeds, name, v, seed)))
        except Kink:
            kinks += 1
    if 2 * kinks > len(pairs):
        raise Kink
    return pairs


def compare(case, function, gradients, feeds, seed):
    """The largest error relative to the largest element of a gradient; and what is wrong, if it is beyond the tolerance."""
    worst = 0.0
    rng = np.random.default_rng(1)
    for name in case.wrt:
        got = np.asarray(gradients[name], np.float64)
        if got.shape != feeds[name].shape:
            return np.inf, f"the gradient by {name} has shape {got.shape}, want {feeds[name].shape}"
        pairs = slopes(function, feeds, name, got, seed, rng)
        floor = max([0.05] + [abs(w) for _, w in pairs])
        for g, w in pairs:
            error = abs(g - w) / floor
            if not error <= function.tolerance:
                return error, f"by {name}: {g:.6g}, want {w:.6g}"
            worst = max(worst, error)
    return worst, ""


def jittered(feeds, wrt, attempt):
    rng = np.random.default_rng(100 + attempt)
    moved = dict(feeds)
    for name in wrt:
        x = feeds[name]
        step = 0.02 * (1 + 0.1 * np.abs(x)) * rng.uniform(0.3, 1, x.shape) * rng.choice([-1, 1], x.shape)
        moved[name] = np.asarray(x + step, x.dtype)
    return moved


def sound(path):
    """What onnx.checker says against a file: it finds fault with some of onnx's own tests, too."""
    try:
        onnx.checker.check_model(path, full_check=True)
        return ""
    except Exception as e:
        return " ".join(str(e).split())[:300]


def verdict(metalora, case, folder):
    """One of agree, disagree, refused, intended, unrunnable; and why."""
    source, target = str(folder / "m.onnx"), str(folder / "g.onnx")
    onnx.save(case.model, source)
    pathlib.Path(target).unlink(missing_ok=True)
    try:
        forward = session(source)
        case.runtime = dict(zip([o.name for o in forward.get_outputs()], forward.run(None, feeds_of(forward, case.feeds))))
    except Exception as e:
        return "unrunnable", str(e).splitlines()[0][:200]
    if not case.wrt:
        return "nothing", "no float input that is not a setting"
    done = differentiate(metalora, case, source, target)
    if done.returncode:
        if os.path.exists(target):
            return "disagree", "refused, but a file was written"
        why = " ".join(done.stderr.split())[:400]
        if done.returncode < 0 or done.returncode not in (2, 3):
            return "disagree", f"exit code {done.returncode}: {why}"
        kind = next((k for k, ops in INTENDED.items() if case.node.op_type in ops), None)
        kind = kind or next((k for k, text in MODES.items() if text in why), None)
        return ("intended", f"{kind}: {why}") if kind else ("refused", why)
    if sound(source) == "" and (why := sound(target)):
        return "disagree", "onnx.checker: " + why
    return gradients_agree(case, source, target)


def gradients_agree(case, source, target):
    function, backward = Function(case, source), session(target)
    why = ""
    for attempt in range(6):
        if attempt == 4:  # the evaluator is not smooth, or not in float64 throughout
            function.coarse(2e-3, 1e-2)
        feeds = jittered(case.feeds, case.wrt, attempt) if attempt else case.feeds
        wide = function.widened(feeds)
        y = function(wide)
        seed = np.ones(y.shape)
        given = feeds_of(backward, feeds)
        for i in backward.get_inputs():
            if i.name == "cotangent::" + case.of:
                seed = np.random.default_rng(7).standard_normal(y.shape).astype(np.float32)
                given[i.name] = seed.astype(np.float64 if "double" in i.type else np.float32)
        try:
            got = backward.run(["grad::" + n for n in case.wrt], given)
        except Exception as e:
            return "disagree", "running it: " + " ".join(str(e).split())[:300]
        try:
            worst, why = compare(case, function, dict(zip(case.wrt, got)), wide, seed)
        except Kink:
            why = "no derivative here: on a kink"
            continue
        if not why:
            return "agree", f"{worst:.1e}" + ("" if function.h < 1e-3 else " (differences in float32)")
    return "disagree", why


VERDICTS = {
    "agree": "agree with finite differences",
    "disagree": "do not agree",
    "refused": "refused: no rule",
    "intended": "refused as intended",
    "unrunnable": "not run: the runtime has no kernel for it, or does not know it",
    "nothing": "nothing to differentiate: no float input of 32 or 64 bits that is not a setting",
}


def summary(results):
    """The verdicts with their counts, then every case that does not agree."""
    counts = collections.Counter(what for _, what, _ in results)
    judged = counts["agree"] + counts["disagree"] + counts["refused"]
    share = counts["agree"] / max(1, judged)
    yield f"onnx {onnx.__version__}, onnxruntime {ort.__version__}: {len(results)} single-operator cases with a float input and a float output"
    for what, text in VERDICTS.items():
        yield f"{counts[what]:5}  {text}"
    yield f"{100 * share:.1f} % of the {judged} cases that run and are not refused as intended agree"
    operators = collections.Counter(case.op() for case, what, _ in results if what == "agree")
    yield ""
    yield f"{len(operators)} operators agree: " + ", ".join(f"{o} {n}" for o, n in sorted(operators.items()))
    for what, text in VERDICTS.items():
        group = [(case.op(), case.name, case.opset(), why) for case, w, why in results if w == what]
        if what == "agree" or not group:
            continue
        yield ""
        yield f"{text}:"
        for o, name, opset, why in sorted(group):
            yield f"  {o} {opset}  {name}: {why}"


cases = []


def judge(metalora, i):
    """The verdict on case i."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            what, why = verdict(metalora, cases[i], pathlib.Path(folder))
        except subprocess.TimeoutExpired:
            what, why = "disagree", "it took more than two minutes"
        return what, why.replace(folder + "/", "")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--metalora", required=True)
    parser.add_argument("--out", required=True, help="the summary")
    parser.add_argument("--only", default="", help="part of a case's name")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    args = parser.parse_args()
    global cases
    cases = [c for c in single_operators() if args.only in c.name]
    with multiprocessing.get_context("fork").Pool(args.jobs) as pool:  # the cases need not be pickled
        verdicts = pool.starmap(judge, [(args.metalora, i) for i in range(len(cases))], chunksize=4)
    results = [(case, *v) for case, v in zip(cases, verdicts)]
    lines = list(summary(results))
    pathlib.Path(args.out).write_text("\n".join(lines) + "\n")
    print("\n".join(lines[: len(VERDICTS) + 2]))
    good = sum(what == "agree" for _, what, _ in results)
    bad = sum(what in ("disagree", "refused") for _, what, _ in results)
    if good < WANTED * (good + bad):
        raise SystemExit(f"fewer than {100 * WANTED:.0f} % agree")


if __name__ == "__main__":
    main()
