"""Match SQL as text: tokens, where calls and operators stand, what is refused, what is put in."""
