"""The benchmark: real models, Ferroductor and its peers side by side.

`python -m benches` runs it, `python -m benches.demo` is the short form that the README shows first.

What must hold: every model and peer has a process and caches of its own; a failure of ours is never
timed as eager; every figure is a median of rounds that alternate with eager in the same process.
"""
