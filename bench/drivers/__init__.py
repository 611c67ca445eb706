"""Engines behind one pipe protocol: each module is the main program of a child that works off jobs."""
