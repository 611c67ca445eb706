"""A compiled decoder, ready to run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import openvino as ov

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from friendli_endpoint.engine.step_model import Logits


class Graph:
    """One decoder over KV caches that others may share. Not for use by two threads at once."""

    def __init__(self, compiled: ov.CompiledModel, caches: Mapping[str, ov.Tensor]) -> None:
        self._request = compiled.create_infer_request()
        self._shared: dict[str, NDArray[np.generic]] = {}
        for name, tensor in caches.items():
            self._request.set_tensor(name, tensor)

    def feed(self, inputs: Mapping[str, NDArray[np.generic]]) -> None:
        """Set inputs, which stay set; they are copied."""
        for name, value in inputs.items():
            self._request.set_tensor(name, ov.Tensor(value))

    def share(self, inputs: Iterable[tuple[str, NDArray[np.generic]]]) -> None:
        """Set inputs that every run reads where they lie."""
        for name, value in inputs:
            self._request.set_tensor(name, ov.Tensor(value, shared_memory=True))
            self._shared[name] = value  # the tensor does not keep it

    def run(self) -> Logits:
        """The logits, valid until the next run. Releases the interpreter's lock meanwhile."""
        self._request.infer()
        logits: Logits = self._request.get_output_tensor(0).data
        return logits
