"""From the bytes of a body to what the engine is asked to do, or to a sentence that says what would be right."""

from friendli_endpoint.server.order.read import Manner, Order, Origin, make_order, manner_of, read_body

__all__ = ["Manner", "Order", "Origin", "make_order", "manner_of", "read_body"]
