"""Every change of the ledger's tables, oldest first. A released file is never edited, nor does it import the schema."""
