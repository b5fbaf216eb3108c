"""Do metalora and Python's huggingface_hub find what the other fetched?

A local server stands for the hub: the API, files with ETag and X-Repo-Commit, and large files by a redirect to a second host,
which must not be sent the token. One side pulls into an empty cache; then the server is gone and the other side looks there.
"""
import argparse
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REPO, COMMIT, TOKEN = "org/tiny", "0123456789abcdef0123456789abcdef01234567", "hf_secret"
WEIGHTS = b"\x08\0\0\0\0\0\0\0{}      " + bytes(range(256)) * 4000
FILES = {  # name: (bytes, in large-file storage)
    "config.json": (b'{"model_type": "roberta"}', False),
    "vocab.json": (b'{"<s>": 0}', False),
    "merges.txt": (b"#version: 0.2\n", False),
    "README.md": (b"# tiny\n", False),
    "model.safetensors": (WEIGHTS, True),
}
leaks = []


def blob(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def entry(name):
    data, large = FILES[name]
    e = {"type": "file", "path": name, "rfilename": name, "size": len(data), "oid": blob(data), "blobId": blob(data)}
    if large:
        digest = hashlib.sha256(data).hexdigest()
        e["lfs"] = {"oid": digest, "sha256": digest, "size": len(data), "pointerSize": 134}
    return e


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def send(self, status, data=b"", **headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), str(value))
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def do_GET(self):
        path = self.path.split("?")[0]
        if self.server.storage is None:  # this is the storage
            if self.headers.get("Authorization"):
                leaks.append(path)
            return self.ranged(FILES[path[1:]][0])
        if self.headers.get("Authorization") != "Bearer " + TOKEN:
            return self.send(401, X_Error_Code="GatedRepo", X_Error_Message="Access to model is restricted.")
        if path.startswith(f"/api/models/{REPO}/tree/"):
            return self.send(200, json.dumps([entry(n) for n in FILES]).encode(), Content_Type="application/json")
        if path.startswith(f"/api/models/{REPO}"):
            return self.send(200, json.dumps({"id": REPO, "sha": COMMIT, "siblings": [entry(n) for n in FILES]}).encode())
        name = path.removeprefix(f"/{REPO}/resolve/").partition("/")[2]
        if name not in FILES:
            return self.send(404, X_Error_Code="EntryNotFound")
        data, large = FILES[name]
        if not large:
            return self.ranged(data, ETag=f'"{blob(data)}"', X_Repo_Commit=COMMIT)
        self.send(302, X_Linked_Etag=f'"{hashlib.sha256(data).hexdigest()}"', X_Linked_Size=len(data), X_Repo_Commit=COMMIT,
                  Location=f"{self.server.storage}/{name}?signature=1")

    do_HEAD = do_GET

    def ranged(self, data, **headers):
        asked = self.headers.get("Range", "")
        if not asked.startswith("bytes="):
            return self.send(200, data, Content_Length=len(data), **headers)
        first, _, last = asked.removeprefix("bytes=").partition("-")
        first, last = int(first), int(last or len(data) - 1)
        part = data[first:last + 1]
        self.send(206, part, Content_Length=len(part), Content_Range=f"bytes {first}-{last}/{len(data)}", **headers)


def serve(storage=None, host="127.0.0.1"):
    server = ThreadingHTTPServer((host, 0), Handler)
    server.storage = storage
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://{host}:{server.server_port}"


PATTERNS = ["config.json", "vocab.json", "merges.txt", "*.safetensors"]


def python(environment, offline):
    code = f"""from huggingface_hub import snapshot_download
print(snapshot_download({REPO!r}, local_files_only={offline}, allow_patterns={PATTERNS}))"""
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)


def check(what, run, cache, lines):
    folder = pathlib.Path(run.stdout.splitlines()[0]) if run.stdout else pathlib.Path("nowhere")
    good = run.returncode == 0 and folder == cache / "hub" / "models--org--tiny" / "snapshots" / COMMIT and all(
        (folder / n).read_bytes() == data for n, (data, _) in FILES.items() if n != "README.md")
    lines.append(f"{what}: {'the same folder and bytes' if good else 'FAILED: ' + run.stderr.strip()[-500:]}")
    return good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--metalora", required=True)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    import huggingface_hub

    storage, address = serve()
    server, endpoint = serve(address, "localhost")
    lines, good = [f"huggingface_hub {huggingface_hub.__version__}"], True
    pull = [options.metalora, "model", "pull", REPO]
    with tempfile.TemporaryDirectory() as top:
        for puller in ("metalora", "Python"):
            cache = pathlib.Path(top) / puller
            online = {**os.environ, "HF_HOME": str(cache), "HF_ENDPOINT": endpoint, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1"}
            offline = {**online, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "1"}
            theirs, ours = lambda env, off: python(env, off), lambda env, _: subprocess.run(pull, env=env, capture_output=True, text=True, timeout=120)
            first, second, finder = (ours, theirs, "Python") if puller == "metalora" else (theirs, ours, "metalora")
            good &= check(f"{puller} pulls", first(online, False), cache, lines)
            good &= check(f"  {finder} finds it without a network", second(offline, True), cache, lines)
    for s in (server, storage):
        s.shutdown()
    if leaks:
        good = False
    lines.append(f"requests to storage that had the token: {len(leaks)}")
    text = "\n".join(lines) + "\n"
    print(text, end="")
    pathlib.Path(options.out).write_text(text)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
