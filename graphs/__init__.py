"""The state machines, each reads like its diagram, and the runner that keeps a run alive."""
