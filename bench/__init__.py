"""Side-by-side measurements: the endpoint against llama.cpp's server engine, the client against other clients.

`python -m bench` prints Markdown tables. A measurement is a function that returns data; `report` renders it. Peers live
in environments of their own, made on demand from `peers/*.txt`; nothing else in the repository depends on them.

Modules below `drivers` and `clients` run in a peer's environment: they import the standard library, the peer, and from
here only `wire`.
"""
