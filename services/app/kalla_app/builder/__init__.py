"""The recipe builder: from two sources and a few yes and no to a recipe that runs.

    events     what happened in a conversation, in order: all that is kept of one
    state      what a conversation has come to: its events, folded. Pure
    phases     the phases as data: which tools, when one may be entered, when it is done. Pure
    cards      what a person can answer now, and what an answer does. Pure
    guide      what is to be done next, where no model leads. Pure
    words      what a person's words mean, as an answer. Pure
    tools      what the phases may call; thin, over the app's own parts
    desk       keeps conversations, and does what the guide says

Nothing but the events is kept, and what is to be done next follows from them alone: so a
conversation goes on after a restart where it was, browsers that look at the same one agree, and one
that was exported can be replayed. The engine decides: a rule shown was run on samples by a
coordinator, and the counts and rows beside it are of that run.
"""
