"""The Kalla App: sources, recipes, runs and exceptions, over REST and in a browser.

It works with a coordinator as any other client does, over its HTTP API. Nothing of what a run has
found is ever changed here; what people decide about it lies beside it.

    app           builds, starts and stops everything
    access/       who may come in and what for; sessions of browsers; requests from elsewhere
    store/        the tables, and the one module per noun that reads and writes them
    sources/      what is known of each source, and looking into it through the coordinator
    recipes/      recipes and their versions
    runs/         a run's life as a pure function, its dispatch, what the coordinator tells of it
    evidence/     rows of a run, a page at a time
    exceptions/   what people decide about rows without a partner
    builder/      from two sources and a few yes and no to a recipe: conversations
    uploads/      files that browsers bring
    api/          the REST routes
    pages/        the pages
"""
