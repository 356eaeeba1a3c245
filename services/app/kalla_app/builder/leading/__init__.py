"""A model that leads the conversation, behind a port; without one the guide does alone.

    port        what is asked of a model and what it answers, whoever provides it
    doors       what a call of a model does, if anything. Pure
    shown       what of the state a model sees: shapes of values, unless a person allows more. Pure
    told        what a model is told: the rules, the conversation, its tools. Pure
    budget      how much a model may use up. Pure
    turn        lets a model think once: within its budget, until somebody is heard
    providers/  adapters, each over the SDK of its provider

A model looks, suggests and offers; it decides nothing. Answers that it suggests are a person's to
take over, a rule that it writes is validated, run on samples and held against every judgement by
the engine before a person is asked, and phases follow from the state, whatever it says.
"""
