"""Who gets what of a sale: versioned rules and the arithmetic, to the cent. See docs/ledger.md."""
