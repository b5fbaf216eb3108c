"""Makes unigram/: a small SentencePiece vocabulary in the form of XLM-R's tokenizer.json, and ids that Hugging Face gives.

    python make.py HARD.jsonl       (sentencepiece 0.2.3, tokenizers 0.22.2)
"""
import json
import os
import sys
import tempfile

import sentencepiece as spm
from sentencepiece import sentencepiece_model_pb2 as pb
from tokenizers import Tokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
texts = [json.loads(line)["text"] for line in open(sys.argv[1])]
RULES = [(chr(0xFF21 + i), chr(0x41 + i)) for i in range(26)] + [(chr(0xFF41 + i), chr(0x61 + i)) for i in range(26)] + [
    ("\u00a0", " "), ("\u3000", " "), ("\t", " "), ("\n", " "), ("\u200b", " "), ("\ufeff", ""), ("\u00ad", ""), ("e\u0301", "\u00e9"),
    ("a\u0308", "\u00e4"), ("\u00bd", "1\u20442"), ("\u2026", "..."), ("\ufb01", "fi"), ("\u2460", "1"), ("\u1e9e", "SS")]
with tempfile.TemporaryDirectory() as tmp:
    with open(tmp + "/rules.tsv", "w") as f:
        for a, b in RULES:
            f.write(" ".join("%X" % ord(c) for c in a) + "\t" + " ".join("%X" % ord(c) for c in b) + "\n")
    with open(tmp + "/texts", "w") as f:
        f.write("\n".join(t.replace("\n", " ").replace("\0", " ") for t in texts if t.isascii()))
    spm.SentencePieceTrainer.train(input=tmp + "/texts", model_prefix=tmp + "/m", vocab_size=300, hard_vocab_limit=False, model_type="unigram",
                                   normalization_rule_tsv=tmp + "/rules.tsv", character_coverage=0.98, unk_id=0, bos_id=1, eos_id=2)
    model = pb.ModelProto.FromString(open(tmp + "/m.model", "rb").read())
import base64
pieces = [["<s>", 0.0], ["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0]] + [[p.piece, p.score] for p in model.pieces[3:]]
special = [(i, p) for i, (p, _) in enumerate(pieces[:4])] + [(len(pieces), "<mask>")]
file = {
    "version": "1.0", "truncation": {"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0}, "padding": None,
    "added_tokens": [dict(id=i, content=p, single_word=False, lstrip=p == "<mask>", rstrip=False, normalized=False, special=True) for i, p in special],
    "normalizer": {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()},
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}]},
    "post_processor": None, "decoder": None,
    "model": {"type": "Unigram", "unk_id": 3, "vocab": pieces, "byte_fallback": False},
}
json.dump(file, open(os.path.join(HERE, "tokenizer.json"), "w"), separators=(",", ":"))
t = Tokenizer.from_file(os.path.join(HERE, "tokenizer.json"))
t.no_truncation()
more = ["\uff28\uff45\uff4c\uff4c\uff4f", "caf\u00e9 cafe\u0301 na\u00efve", "a\u2581b \u2581c \u2581\u2581d", "\u00bd \u2026 \ufb01ne \u2460", "x" * 300, "\u1e9e\u00df", "\u4e2d\u6587zz\u4e2d", "e\u0301\u0301", "a\u0308\u0304b"]
with open(os.path.join(HERE, "hard.jsonl"), "w") as f:
    for text in dict.fromkeys(texts + more):
        if not any(p in text for _, p in special):
            f.write(json.dumps({"text": text, "ids": t.encode(text, add_special_tokens=False).ids}, separators=(",", ":")) + "\n")
