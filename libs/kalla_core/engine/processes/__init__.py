"""Processes as their parents hold them: started, forked, watched and ended."""
