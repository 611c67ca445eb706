"""What the endpoint promises under load, faults and attack, measured: `python -m bench.endurance`."""
