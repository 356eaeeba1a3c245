"""The coordinator: jobs over HTTP and gRPC. Nothing is in it yet; the library runs recipes in process."""
