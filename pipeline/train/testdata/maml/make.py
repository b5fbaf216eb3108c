"""Writes fomaml.* and anil.*: short runs in PyTorch, in float64, from ../nano-roberta without dropout. The turns, the adapters and
heads that every task starts from, and the orders are drawn here. Needs torch, transformers and safetensors:

    python make.py
"""
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn import functional
from transformers import RobertaForSequenceClassification

HERE = Path(__file__).parent
HYPER = {"lr": 1e-3, "inner_lr": 2e-3, "inner_steps": 3, "batch": 4, "epochs": 2, "schedule": 2.0, "rank": 4, "alpha": 16.0,
         "eps": 1e-5}  # AdamW's: with 1e-8 a gradient of zero but for rounding becomes a step of the full rate
TURNS, CANDIDATES, DECAY = [8, 6, 5], 3, 0.01  # of the third task's batches, 4 and 1, the second has no halves


def draw_tasks(generator):
    """[turns, candidates, length] ids padded with 1 to the task's longest, and the place of the true reply."""
    tasks = []
    for count in TURNS:
        rows = [[0, *torch.randint(4, 1000, (int(torch.randint(5, 13, (), generator=generator)),), generator=generator).tolist(), 2]
                for _ in range(count * CANDIDATES)]
        length = max(map(len, rows))
        ids = torch.tensor([row + [1] * (length - len(row)) for row in rows]).reshape(count, CANDIDATES, length)
        tasks.append((ids, torch.randint(0, CANDIDATES, (count,), generator=generator)))
    return tasks


def linears(model):
    return [name for name, m in model.named_modules() if isinstance(m, torch.nn.Linear) and name.startswith("roberta.encoder.")]


def draw_own(model, generator, with_lora):
    """A head and, in FOMAML, LoRA pairs with B zero."""
    def uniform(*shape, bound):
        return (2 * torch.rand(*shape, generator=generator) - 1).mul(bound).double()

    hidden, own = model.config.hidden_size, {}
    for layer, out in (("dense", hidden), ("out_proj", 2)):
        own[f"classifier.{layer}.weight"] = uniform(out, hidden, bound=hidden**-0.5)
        own[f"classifier.{layer}.bias"] = uniform(out, bound=hidden**-0.5)
    for name in linears(model) if with_lora else []:
        out, width = model.get_submodule(name).weight.shape
        own[name + ".lora_A.weight"] = uniform(HYPER["rank"], width, bound=width**-0.5)
        own[name + ".lora_B.weight"] = torch.zeros(out, HYPER["rank"], dtype=torch.float64)
    return {name: x.float().double() for name, x in own.items()}  # what the file holds


def loss_of(model, base, own, batch):
    """Mean cross-entropy of the batch's pairs with weights W + (alpha/rank) B A and the task's head."""
    ids, gold = batch
    weights = dict(base)
    for name in linears(model):
        if name + ".lora_A.weight" in own:
            update = own[name + ".lora_B.weight"] @ own[name + ".lora_A.weight"]
            weights[name + ".weight"] = base[name + ".weight"] + HYPER["alpha"] / HYPER["rank"] * update
    weights.update({name: x for name, x in own.items() if ".lora_" not in name})
    ids = ids.flatten(0, 1)
    logits = torch.func.functional_call(model, weights, kwargs={"input_ids": ids, "attention_mask": (ids != 1).long()}).logits
    return functional.cross_entropy(logits, functional.one_hot(gold, CANDIDATES).reshape(-1))


def adamw(weights, lr):
    return torch.optim.AdamW(weights.values(), lr=lr, weight_decay=DECAY, eps=HYPER["eps"], foreach=False)


def descend(optimiser, weights, loss):
    for x in weights.values():
        x.grad = None
    loss.backward(inputs=list(weights.values()))
    norm = sum(float((x.grad**2).sum()) for x in weights.values()) ** 0.5
    optimiser.step()
    return {"loss": float(loss.detach()), "grad_norm": norm}


def leaves(tensors):
    return {name: x.clone().requires_grad_() for name, x in tensors.items()}


def rounds(counts):
    """One batch a task in turn; counts never rise along the list."""
    return [t for k in range(max(counts)) for t, n in enumerate(counts) if k < n]


def run(name, with_lora):
    generator = torch.Generator().manual_seed(20241022)
    model = RobertaForSequenceClassification.from_pretrained(HERE.parent / "nano-roberta", attn_implementation="eager").double().eval()
    tasks = draw_tasks(generator)
    start = draw_own(model, generator, with_lora)
    base = leaves({n: p.detach() for n, p in model.named_parameters() if not n.startswith("classifier.")})
    outer, adapted, steps = adamw(base, 0.0), {}, []
    size, batches = HYPER["batch"], -(-TURNS[0] // HYPER["batch"])
    warmup, total = 0.1 * batches * HYPER["epochs"], batches * HYPER["epochs"] * HYPER["schedule"]
    orders = [[torch.randperm(n, generator=generator).tolist() for _ in range(HYPER["epochs"])] for n in TURNS]
    for epoch in range(HYPER["epochs"]):
        rest = [list(orders[t][epoch]) for t in range(len(TURNS))]
        for t in rounds([-(-n // size) for n in TURNS]):
            turns, rest[t] = rest[t][:size], rest[t][size:]
            if len(turns) < 2:
                continue
            half = (len(turns) + 1) // 2
            own = leaves(start)  # every task starts anew, with an optimiser that has seen nothing
            inner = adamw(own, HYPER["inner_lr"])
            ids, gold = tasks[t]
            losses = []
            for _ in range(HYPER["inner_steps"]):
                support = ids[turns[:half]], gold[turns[:half]]
                losses.append({"turns": turns[:half], **descend(inner, own, loss_of(model, base, own, support))})
            at = len(steps)
            lr = HYPER["lr"] * (at / max(1, warmup) if at < warmup else max(0.0, (total - at) / max(1, total - warmup)))
            outer.param_groups[0]["lr"] = lr
            query = ids[turns[half:]], gold[turns[half:]]
            moved = descend(outer, base, loss_of(model, base, {n: x.detach() for n, x in own.items()}, query))
            steps.append({"epoch": epoch, "task": t, "turns": turns[half:], "lr": lr, "inner": losses, **moved})
            adapted[t] = own
    save(name, tasks, start, base, adapted, {"hyper": HYPER, "orders": orders}, steps)


def save(name, tasks, start, base, adapted, head, steps):
    tensors = {"start." + n: x.float() for n, x in start.items()}
    for t, (ids, gold) in enumerate(tasks):
        tensors |= {f"turns.{t}.input_ids": ids, f"turns.{t}.gold": gold}
        tensors |= {f"tasks.{t}.{n}": x.detach().float().contiguous() for n, x in adapted[t].items()}
    used = torch.unique(torch.cat([ids.flatten() for ids, _ in tasks]))[::8]
    rows = {"word_embeddings": torch.cat([used, torch.arange(990, 1000)]), "position_embeddings": torch.arange(0, 24)}
    for n, x in base.items():
        kept = next((r for table, r in rows.items() if table in n), None)
        if kept is None:
            tensors[n] = x.detach().float().contiguous()
        else:
            tensors |= {n + ".indices": kept, n + ".rows": x.detach()[kept].float()}
    save_file(tensors, HERE / f"{name}.safetensors")
    lines = ",\n".join("  " + json.dumps(s) for s in steps)
    (HERE / f"{name}.json").write_text(json.dumps(head, indent=1)[:-2] + f',\n "steps": [\n{lines}\n ]\n}}\n')


if __name__ == "__main__":
    torch.set_num_threads(1)
    run("fomaml", with_lora=True)
    run("anil", with_lora=False)
