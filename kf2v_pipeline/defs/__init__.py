"""Where ``dg scaffold defs`` writes in a checkout of this project; empty in the package, and nothing belongs here."""
