"""From a real-valued network to an integer program for one target, pass by pass."""
