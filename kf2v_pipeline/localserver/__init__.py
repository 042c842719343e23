"""A stand-in for Wan's service that speaks its protocol and really renders. Imports nothing of ours."""
