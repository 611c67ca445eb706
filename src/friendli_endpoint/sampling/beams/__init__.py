"""Beam search: how a beam may go on (`expand`), and which of those ways the search takes (`search`)."""
