"""Networks and distributions; every parameter has a leading member axis `M`."""
