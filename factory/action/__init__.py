"""Action: the three roles of the GitHub Action, each with exactly the power it needs."""
