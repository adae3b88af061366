"""One strategy for what a survey found: root causes, stations with disjoint scopes, waves."""
