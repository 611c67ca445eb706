"""A few repositories of models and adapters, served as the Hugging Face hub does it."""

from __future__ import annotations

import json
from hashlib import sha1
from http.server import BaseHTTPRequestHandler

FILES = {
    "adapter": ["README.md", "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin", "tokenizer.json"],
    "pickle": ["adapter_config.json", "adapter_model.bin"],
    "full": ["config.json", "tokenizer.json", "model.safetensors", "consolidated.safetensors", "model.bin", "a.gguf"],
    "ggufs": ["README.md", "q4/model.gguf"],
    "gated": [],
}
COMMIT = "c0ffee" + "0" * 34


def content(name: str) -> bytes:
    return b"GGUF" if name.endswith(".gguf") else b"{}"


def entry(name: str) -> dict[str, object]:
    return {"type": "file", "path": name, "size": len(content(name)), "oid": sha1(content(name)).hexdigest()}  # noqa: S324


class SmallHub(BaseHTTPRequestHandler):
    """As much of the hub's HTTP as fetching a repository takes."""

    def do_GET(self) -> None:
        match self.path.partition("?")[0].strip("/").split("/"):
            case ["api", "models", "org", "gated", *_]:
                self.answer(403, b"{}", {"X-Error-Code": "GatedRepo"})
            case ["api", "models", "org", name, "tree", *_]:
                self.answer(200, json.dumps([entry(file) for file in FILES[name]]).encode(), {})
            case ["api", "models", "org", name, *_] if name in FILES:
                siblings = [{"rfilename": file} for file in FILES[name]]
                self.answer(200, json.dumps({"id": f"org/{name}", "sha": COMMIT, "siblings": siblings}).encode(), {})
            case ["org", name, "resolve", _, *file] if "/".join(file) in FILES[name]:
                data = content(file[-1])
                self.answer(200, data, {"ETag": f'"{sha1(data).hexdigest()}"', "X-Repo-Commit": COMMIT})  # noqa: S324
            case _:
                self.answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    do_HEAD = do_GET  # noqa: N815

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body)), "Content-Type": "application/json"}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
