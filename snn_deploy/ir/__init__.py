"""The program types: what a network is, in reals and in integers."""
