"""The coordinator: jobs over HTTP and gRPC. It is empty: recipes run in process so far."""
