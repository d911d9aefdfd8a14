"""Every program, one step of all populations after another: what the layers cannot do."""
