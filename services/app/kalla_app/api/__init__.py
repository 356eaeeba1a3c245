"""The REST API; thin: each route reads its request, asks one part, and shows what that says."""
