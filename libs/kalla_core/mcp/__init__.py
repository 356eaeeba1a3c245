"""Kalla's tools for programs that speak the Model Context Protocol: `kalla mcp`.

    documents   what tools take and answer, as schemas
    masking     values as shapes, for whoever may not see them
    reach       what sources may be named
    toolbox     what each tool does
    server      the tools for the SDK: schemas, bounds on time and bytes, errors as sentences
    serve       over standard input and output, or over HTTP

A tool asks a coordinator, as any other client; without one of its own choice the command starts
one on this machine, which ends with it. What is inferred and tried is, by the coordinator, on
samples whose rows have partners. Nothing that a source holds is an instruction to anybody: values
are data in answers, masked unless `--show-values` lets them out, and what is done is what the
arguments of a call say.
"""
