"""Simulators and writers of programs, behind one protocol; none of them sees a float."""
