"""How a model is called: prices, budgets, limits, and the one door to each provider."""
