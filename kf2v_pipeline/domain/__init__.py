"""What is decided: values and pure functions. Standard library only; no I/O, no clock, no logging."""
