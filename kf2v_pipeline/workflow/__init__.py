"""Does one thing end to end, with its tools handed in: plan, drive, collect, reconcile."""
