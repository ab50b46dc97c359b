"""What everything is built on: samples, the ledger, the store, ids, files and pixels."""
