"""The safetensors container: tensor places, read from a memory map without touching the weights."""

from __future__ import annotations

import json
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from friendli_endpoint.errors import ModelError
from friendli_endpoint.files.stored import Kind, StoredTensor, mapped, opened, stored_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
KINDS = {"F32": Kind.F32, "F16": Kind.F16, "BF16": Kind.BF16}
METADATA = "__metadata__"
MOST_JSON_BYTES = 100 * 2**20  # a bound against absurd amounts of memory; the reference reader's for headers, too
LENGTH_BYTES = 8
ALIGNMENT = 8  # of the tensors in a file


def read_weights(folder: Path) -> dict[str, StoredTensor]:
    """The tensors of a folder's one file, or of all the files that its index names; ModelError when one is broken."""
    if (folder / SINGLE).exists():
        return read_file(folder / SINGLE)
    if not (folder / INDEX).exists():
        raise ModelError(f"{folder} has no weights: neither {SINGLE} nor {INDEX} is there")
    files = _weight_map(folder / INDEX)
    shards = {name: read_file(folder / name) for name in sorted(set(files.values()))}
    if lost := [tensor for tensor, file in files.items() if tensor not in shards[file]]:
        raise ModelError(f"{INDEX} says that tensor {lost[0]!r} is in {files[lost[0]]}, but it is not")
    return {tensor: shards[file][tensor] for tensor, file in files.items()}


def read_json(path: Path) -> Mapping[str, object]:
    """The JSON object in a file; ModelError when it cannot be read or is none."""
    with opened(path) as file:
        return _object(path.name, file.read(MOST_JSON_BYTES + 1))


def read_file(path: Path) -> dict[str, StoredTensor]:
    """The tensors of one safetensors file; ModelError when it is broken or has been cut short."""
    view = mapped(path)
    try:
        header, start = _header(view)
        return {name: _tensor(name, entry, view[start:]) for name, entry in header.items() if name != METADATA}
    except ModelError as error:
        raise ModelError(f"{path.name}: {error}") from error


def write_file(path: Path, tensors: Mapping[str, NDArray[np.float32]]) -> None:
    """Write float32 tensors to a safetensors file; raises OSError."""
    ends = list(accumulate((tensor.nbytes for tensor in tensors.values()), initial=0))
    header = {
        name: {"dtype": "F32", "shape": tensor.shape, "data_offsets": [begin, begin + tensor.nbytes]}
        for (name, tensor), begin in zip(tensors.items(), ends, strict=False)
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(LENGTH_BYTES, "little") + text)
        for tensor in tensors.values():
            file.write(np.ascontiguousarray(tensor, "<f4").data)


def _header(view: memoryview) -> tuple[Mapping[str, object], int]:
    start = LENGTH_BYTES + int.from_bytes(view[:LENGTH_BYTES], "little")
    if len(view) < LENGTH_BYTES or start > len(view):
        raise ModelError("the file is cut short in its header, or is no safetensors file; fetch it again")
    return _object("the header", bytes(view[LENGTH_BYTES:start][: MOST_JSON_BYTES + 1])), start


def _object(source: str, data: bytes) -> Mapping[str, object]:
    """The JSON object in `data`; ModelError, which names `source`, when there is none."""
    if len(data) > MOST_JSON_BYTES:
        raise ModelError(f"{source} is broken: it is larger than {MOST_JSON_BYTES >> 20} MiB")
    try:
        value = json.loads(data)
        # Half a surrogate pair is no character: a message that repeats it could be neither sent nor printed.
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{source} is broken: {error}") from error
    if not isinstance(value, dict):
        raise ModelError(f"{source} is broken: it holds no JSON object")
    return value


def _tensor(name: str, entry: object, data: memoryview) -> StoredTensor:
    match entry:
        case {"dtype": str(dtype), "shape": list(lengths), "data_offsets": [int(begin), int(end)]}:
            pass
        case _:
            raise ModelError(f"the header's entry of tensor {name} is broken")
    if dtype not in KINDS:
        raise ModelError(
            f"tensor {name} has weight type {dtype}, which is not supported; supported are {', '.join(KINDS)}"
        )
    if not all(isinstance(length, int) for length in lengths):
        raise ModelError(f"the header's entry of tensor {name} is broken")
    kind, shape = KINDS[dtype], tuple(lengths)
    if not 0 <= begin <= end <= len(data):
        raise ModelError(f"tensor {name} is cut short: the file ends before it; fetch it again")
    if end - begin != stored_bytes(name, kind, shape):
        raise ModelError(f"tensor {name} has {end - begin} bytes, which do not fit its shape {list(shape)}")
    return StoredTensor(name, kind, shape, np.frombuffer(data[begin:end], np.uint8))


def _weight_map(path: Path) -> dict[str, str]:
    files = read_json(path).get("weight_map")
    if not isinstance(files, dict) or not files:
        raise ModelError(f"{path.name} has no weight_map")
    for file in files.values():
        if not isinstance(file, str) or "/" in file or not (path.parent / file).is_file():
            raise ModelError(f"{path.name} names the file {file!r}, which is not in the folder")
    return files
