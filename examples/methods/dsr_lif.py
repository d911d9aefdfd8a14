"""DSR with leaky neurons; dsr.py says what is from the paper."""

from dsr import LEAKY as METHOD
from trip import main

if __name__ == "__main__":
    main(METHOD)
