"""Made by `make proto` from `proto/`; not to be edited."""
