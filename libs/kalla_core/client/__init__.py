"""What talks to a coordinator: async, typed, used by the command line and by applications."""
