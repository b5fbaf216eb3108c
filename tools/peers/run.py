"""Times the project against PyTorch with PEFT, turn by turn in two warm processes, and prints the results as Markdown.

usage: run.py --metalora PROGRAM --data FOLDER --results FOLDER [--size minilm,base] [--rows full,lora,...] [--turns 20]
Every row is a file in this machine's part of the results folder, written when it is done; the tables show all that are there, of
all machines, so rows can be measured one at a time. Before a size's first row both sides must compute the same losses for the same weights, dropout off, and the peer
gets the allocator that makes it fastest.
"""
import argparse
import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import sys
import tempfile
import time

import duel
from rows import MEMORY, OTHERS, ROWS, mallocs

SIZES = "demo", "minilm", "base"
HERE = os.path.dirname(os.path.abspath(__file__))
p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("--metalora", required=True)
p.add_argument("--data", required=True, help="folder that holds convai2/ and roberta-tokenizer/")
p.add_argument("--results", required=True)
p.add_argument("--size", default="minilm,base")
p.add_argument("--rows", default=",".join([*ROWS, *MEMORY, *OTHERS]), help="of " + ", ".join([*ROWS, *MEMORY, *OTHERS]) + "; none: print what there is")
p.add_argument("--turns", type=int, default=20, help="of each row, spread over the task")
p.add_argument("--threads", type=int, default=2)
a = p.parse_args()


def ours(mode, size, *flags):
    return duel.Peer(" ".join([a.metalora, "bench peer", "--data", a.data, "--mode", mode, "--size", size, "--threads", str(a.threads), *flags]))


def theirs(mode, size, *flags, env=None):
    command = [sys.executable, f"{HERE}/peer.py", "--data", a.data, "--mode", mode, "--size", size, "--threads", str(a.threads), *flags]
    return duel.Peer(" ".join(command), env)


def say(text):
    print(f"{datetime.datetime.now():%H:%M:%S} {text}", file=sys.stderr, flush=True)


def folder():
    """This machine's results: ratios of two machines are not to be mixed."""
    return os.path.join(a.results, re.sub("[^a-z0-9]+", "-", re.sub(r"\(\w+\)", "", processor()).lower()).strip("-"))


def path(name):
    return os.path.join(folder(), name + ".json")


def read(name):
    try:
        with open(path(name)) as f:
            return json.load(f)
    except FileNotFoundError:
        return None


def write(name, result):
    os.makedirs(folder(), exist_ok=True)
    result = dict(result, environment=environment())
    with open(path(name) + ".new", "w") as out:
        json.dump(result, out, indent=1)
        out.write("\n")
    os.replace(path(name) + ".new", path(name))
    return result


def program():
    with open(a.metalora, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def processor():
    cpu = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return cpu[0] if cpu else platform.processor()


def environment():
    return dict(processor=processor(), cores=os.cpu_count(), system=platform.platform(), load=os.getloadavg()[0],
                time=f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%dT%H:%MZ}", threads=a.threads, metalora=program()[:12],
                **{name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft", "tokenizers")}, python=platform.python_version())


def checked(size):
    """Both sides' losses for one set of weights, unless this program was checked before."""
    name = f"check-{size}"
    done = read(name)
    if done and done["environment"]["metalora"] == program()[:12]:
        return
    worst = {}
    with tempfile.TemporaryDirectory() as folder:
        theirs("eval", size, "--save", folder).end()
        for mode in "eval", "lora", "full":
            peers = {"a": ours(mode, size, "--dropout", "0", "--model", folder), "b": theirs(mode, size, "--dropout", "0", "--model", folder)}
            worst[mode] = duel.check(peers, 2)
            for peer in peers.values():
                peer.end()
    say(f"{size}: losses agree to {max(worst.values()):.1e}")
    write(name, dict(worst_difference=worst))


def malloc(size):
    """The environment in which the peer is fastest at a dropout step of that size."""
    chosen = read(f"malloc-{size}")
    if not chosen:
        seconds = {}
        for name, env in mallocs().items():
            peer = theirs("full", size, "--dropout", "0.1", env=env)
            seconds[name] = min([peer.ask("turn 40")["s"] for _ in range(3)][1:])
            peer.end()
        chosen = write(f"malloc-{size}", dict(seconds=seconds, chosen=min(seconds, key=seconds.get)))
        say(f"{size}: PyTorch gets {chosen['chosen']}: {seconds}")
    return chosen["chosen"], mallocs()[chosen["chosen"]]


def timed(size, row):
    _, mode, dropout, pad, *flags = ROWS[row]
    name, env = malloc(size)
    start = time.time()
    peers = {"a": ours(mode, size, "--dropout", str(dropout), *flags), "b": theirs(mode, size, "--dropout", str(dropout), "--pad", pad, env=env)}

    def told(done, of):
        if done == 1 or done % 5 == 0:
            say(f"{size}, {row}: {done} of {of} turns, about {(time.time() - start) / (done + 2) * (of - done):.0f} s left")

    result = duel.duel(peers, a.turns, told=told)
    for peer in peers.values():
        peer.end()
    write(f"{size}-{row}", dict(duel.summary(result), took_s=round(time.time() - start), malloc=name, **result))


def measured(size, row):
    """Peak memory of one process each over the task's longest turn, twice, and a step; the peer's least over its allocators."""
    _, mode, dropout = MEMORY[row]
    flags = ["--dropout", str(dropout)]

    def peak(peer, turn):
        for line in f"turn {turn}", f"turn {turn}", "step", f"turn {turn}":
            tokens = peer.ask(line).get("tokens")
        mb = peer.ask("peak")["rss_mb"]
        peer.end()
        return tokens, mb

    peer = theirs("eval", "demo")
    widths = [peer.ask(f"turn {i}")["width"] for i in range(peer.hello["turns"])]
    peer.end()
    turn = widths.index(max(widths))
    tokens, mine = peak(ours(mode, size, *flags), turn)
    others = {name: peak(theirs(mode, size, *flags, env=env), turn)[1] for name, env in mallocs().items()}
    best = min(others.values())
    write(f"{size}-{row}", dict(turn=turn, width=max(widths), tokens=tokens, ours_mb=mine, theirs_mb=others, ratio=round(mine / best, 3)))


def tokenized(size, row):
    """All of the validation file, on one thread each, in alternation; the first time apart, when nothing is known yet."""
    peers = {"a": ours("eval", "minilm"), "b": theirs("eval", "demo")}
    readings = []
    for number in range(8):
        readings.append({who: peers[who].ask("tokenize") for who in ("ab" if number % 2 == 0 else "ba")})
        if readings[-1]["a"]["tokens"] != readings[-1]["b"]["tokens"]:
            sys.exit(f"the validation file has {readings[-1]['a']['tokens']} tokens in A, {readings[-1]['b']['tokens']} in B")
    for peer in peers.values():
        peer.end()
    ratios = [r["b"]["s"] / r["a"]["s"] for r in readings]
    tokens = readings[0]["a"]["tokens"]
    write(row, dict(ratio=duel.quantile(ratios[1:], 0.5), quartiles=[duel.quantile(ratios[1:], q) for q in (0.25, 0.75)], first=ratios[0], tokens=tokens,
                    tokens_per_s={who: round(tokens / duel.quantile([r[who]["s"] for r in readings[1:]], 0.5)) for who in "ab"}, readings=readings))


def started(size, row):
    """From the start of the process to being ready for the first turn of full training, its weights read from a file; and to the
    end of that turn. Once without counting, to have the file in the cache."""
    with tempfile.TemporaryDirectory() as folder:
        theirs("eval", size, "--save", folder).end()
        file = os.path.getsize(f"{folder}/model.safetensors")
        with open(f"{folder}/model.safetensors", "rb") as f:
            begin = time.time()
            while f.read(1 << 24):
                pass
            reading = time.time() - begin
        runs = {"a": [], "b": []}
        for number in range(4):
            for who, start in ("a", ours), ("b", theirs):
                begin = time.time()
                peer = start("full", size, "--model", folder)
                ready, mb = time.time() - begin, peer.ask("peak")["rss_mb"]
                peer.ask("turn 0")
                runs[who].append(dict(ready_s=ready, first_turn_s=time.time() - begin, mb=mb))
                peer.end()
    middle = {who: {key: round(duel.quantile([r[key] for r in all[1:]], 0.5), 3) for key in all[0]} for who, all in runs.items()}
    write(f"{size}-{row}", dict(file_mb=round(file / 2**20), reading_s=round(reading, 3), memory_over_file=round(middle["a"]["mb"] * 2**20 / file, 2), **middle, runs=runs))


def table(lines):
    print("\n".join(lines) + "\n")


def report():
    """Everything that the results folder holds, as Markdown, a machine at a time."""
    names = {f"{size}-{row}": (size, row) for size in SIZES for row in [*ROWS, *MEMORY, "start"]} | {"tokenize": ("", "tokenize")}
    machines = {}
    for where in sorted(os.listdir(a.results)):
        for name, key in names.items():
            if os.path.exists(file := os.path.join(a.results, where, name + ".json")):
                with open(file) as f:
                    r = json.load(f)
                e = {k: v for k, v in r["environment"].items() if k in ("processor", "threads", "torch", "transformers", "peft", "python")}
                machines.setdefault(tuple(e.items()), {})[key] = r
    if not machines:
        sys.exit("nothing is measured yet")
    for e, of in machines.items():
        machine(dict(e), of)


def machine(e, results):
    print(f"{e['processor']}, {e['threads']} threads each; PyTorch {e['torch']}, transformers {e['transformers']}, PEFT {e['peft']}, "
          f"Python {e['python']}. Real ConvAI2 turns, float32, a step of the optimiser every 8 turns.\n")
    if names := sorted({r["malloc"] for r in results.values() if "malloc" in r}):
        print(f"PyTorch's allocator: {' and '.join(names)}, the fastest of those tried. Each row's readings: `docs/results/peers`.\n")
    steps = [f"| {size}: {ROWS[row][0]} | {r['ratio']:.2f} ({r['quartiles'][0]:.2f}–{r['quartiles'][1]:.2f}) | {r['pairs']} | {r['tokens_per_s']['a']:.0f} "
             f"| {r['tokens_per_s']['b']:.0f} | {r['gemm_gflops']['a']:.0f} | {r['gemm_gflops']['b']:.0f} |" for (size, row), r in results.items() if row in ROWS]
    if steps:
        table(["| step | tokens/s, ours over PyTorch's (quartiles) | pairs | ours | PyTorch's | our MatMul GFLOP/s | PyTorch's |", "|---|---|---|---|---|---|---|"] + steps)
    memory = [f"| {size}: {MEMORY[row][0]} | {r['tokens']} | {r['ours_mb']} | {min(r['theirs_mb'].values())} | {r['ratio']:.2f} |"
              for (size, row), r in results.items() if row in MEMORY]
    if memory:
        table(["| peak memory at the task's longest turn | tokens | our MB | PyTorch's, its least | ratio |", "|---|---|---|---|---|"] + memory)
    for (size, row), r in results.items():
        if row == "tokenize":
            table([f"The validation file's texts, {r['tokens']} tokens, on one thread each: {r['tokens_per_s']['a']} tokens/s against {r['tokens_per_s']['b']} of Hugging Face's",
                   f"tokenizers, {r['ratio']:.2f} times as fast (quartiles {r['quartiles'][0]:.2f}–{r['quartiles'][1]:.2f}); the first time, with nothing in any cache, {r['first']:.2f}."])
        elif row == "start":
            table([f"Start, {size} size ({r['file_mb']} MiB of safetensors, read alone in {r['reading_s']:.2f} s): ready for training after {r['a']['ready_s']:.2f} s (PyTorch "
                   f"{r['b']['ready_s']:.1f} s),", f"the first turn done after {r['a']['first_turn_s']:.2f} s ({r['b']['first_turn_s']:.1f} s); peak memory when ready {r['memory_over_file']:.2f} "
                   "times the file's size."])


rows = [row for row in a.rows.split(",") if row != "none"]
if unknown := set(rows) - {*ROWS, *MEMORY, *OTHERS}:
    sys.exit(f"there is no row {', '.join(unknown)}")
for size in a.size.split(","):
    for row in rows:
        if row in ROWS:
            checked(size)
        {**dict.fromkeys(ROWS, timed), **dict.fromkeys(MEMORY, measured), "tokenize": tokenized, "start": started}[row](size, row)
report()
