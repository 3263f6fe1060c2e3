"""Passes over the graph, one a file. Each is a function of nodes; none knows a shape."""
