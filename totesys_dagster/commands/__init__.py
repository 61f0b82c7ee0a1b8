"""The commands of `totesys`, one module for each section of its help."""
