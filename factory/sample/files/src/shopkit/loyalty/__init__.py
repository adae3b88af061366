"""Points for faithful customers."""
