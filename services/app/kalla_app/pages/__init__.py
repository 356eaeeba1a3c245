"""The pages: forms that work without a script, and a little script that makes them pleasant.

render      templates, what is in all of them, how numbers and times are written
forms       what forms send, with the word that shows it was a page of ours
today, sources, recipes, runs, exceptions, entry
the pages, one module per noun; thin like the REST routes
"""
