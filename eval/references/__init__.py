"""What seismologists did before networks: the answer that every head has to beat."""
