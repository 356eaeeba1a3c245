"""Kalla's tools for programs that speak the Model Context Protocol: `kalla mcp`.

    documents   what tools take and answer, as schemas
    masking     values as shapes, for whoever may not see them
    samples     samples of both sides, from files here or through a coordinator
    trial       a recipe run by the engine on samples
    toolbox     what each tool does
    server      the tools for the SDK: schemas, bounds on time and bytes, errors as sentences
    serve       over standard input and output, or over HTTP

A tool asks a coordinator, as any other client; without one of its own choice the command starts
one on this machine, which ends with it. Recipes are inferred by the coordinator, from samples whose
rows have partners. Files are looked at in processes of their own, in those of the coordinator or in
children of this one. Nothing that a source holds is an instruction to
anybody: values are data in answers, masked unless `--show-values` lets them out, and what is done
is what the arguments of a call say.
"""
