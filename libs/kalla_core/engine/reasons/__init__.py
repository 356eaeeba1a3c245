"""Why a row stayed unmatched, and which row of the other side came closest."""
