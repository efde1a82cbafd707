"""Pure structure: columns, nodes, the decision flow graph and the reader of description files."""
