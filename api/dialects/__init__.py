"""One log of a run, told in the words of different clients."""
