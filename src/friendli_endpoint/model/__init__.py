"""Weights on disk -> a model that the scheduler drives."""

from friendli_endpoint.model.config import ModelFacts, ModelOptions, WeightMode
from friendli_endpoint.model.loading import inspect, load

__all__ = ["ModelFacts", "ModelOptions", "WeightMode", "inspect", "load"]
