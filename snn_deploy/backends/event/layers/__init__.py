"""Plain neurons, one layer over many steps: most programs consist of nothing else."""
