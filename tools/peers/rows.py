"""What is timed against PyTorch, and which allocator's settings it may have."""
import glob

# name: what the table calls it, mode, dropout, how the peer pads, and further flags of ours.
ROWS = {
    "full": ("all weights + LoRA 8, dropout 0.1", "full", 0.1, "turn"),
    "full-task": ("the same, PyTorch padded to the task", "full", 0.1, "task"),
    "full-spin": ("all weights + LoRA 8, dropout 0.1, `spin: true`", "full", 0.1, "turn", "--spin"),
    "full-task-spin": ("the same, PyTorch padded to the task", "full", 0.1, "task", "--spin"),
    "lora": ("LoRA 8, dropout 0.1", "lora", 0.1, "turn"),
    "full-0": ("all weights + LoRA 8", "full", 0, "turn"),
    "lora-0": ("LoRA 8", "lora", 0, "turn"),
    "eval": ("scoring", "eval", 0, "turn"),
}

# Peak memory at the task's longest turn, apart from the timing: name: what the table calls it, mode, dropout.
MEMORY = {
    "memory-full": ("all weights + LoRA 8, dropout 0.1", "full", 0.1),
    "memory-lora": ("LoRA 8, dropout 0.1", "lora", 0.1),
}

# Others: the tokenizer on one thread, and from the start of the process to being ready, at a saved model of that size.
OTHERS = ["tokenize", "start"]


def mallocs():
    """PyTorch gives and takes blocks of many MB with every operator. glibc maps and unmaps such blocks by default, and each
    page of a fresh one costs a fault; kept blocks cost memory instead. Other allocators are tried where the machine has them."""
    found = {
        "glibc": {},
        "glibc that keeps its blocks": dict(MALLOC_MMAP_MAX_="0", MALLOC_TRIM_THRESHOLD_=str(1 << 40), MALLOC_TOP_PAD_=str(256 << 20)),
    }
    for name, library in dict(jemalloc="libjemalloc.so.2", tcmalloc="libtcmalloc_minimal.so.4").items():
        for path in glob.glob(f"/usr/lib/*/{library}")[:1]:
            found[name] = dict(LD_PRELOAD=path)
    return found
