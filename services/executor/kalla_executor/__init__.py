"""The executor: fragments on many machines. Nothing is in it yet; the library runs recipes in process."""
