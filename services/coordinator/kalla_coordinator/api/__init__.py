"""What the coordinator says to the outside: HTTP, gRPC and Flight over one `JobService`.

    serve        starts the three servers on their ports, and stops them in bounded time
    auth         tokens
    watching     the changes of a job, with pauses, for both kinds of streams
    results      the evidence of a job, opened for reading
    inspector    validate, explain and preview, each in a process of its own

    http         the application: routes, errors, the OpenAPI description
    job_routes, evidence_routes, inspect_routes, operate_routes
    bodies       requests, bounded      streams     answers that come in pieces
    accept       the format of rows that a client likes best
    answers      errors as answers      documents   the schemas of the description
    docs         the page at /docs

    grpc         `kalla.v1.Jobs`, health, reflection
    flight       result sets

HTTP and gRPC live on the event loop and never block it: reading evidence happens in threads, and
whatever looks at sources in child processes. Flight has threads of its own and asks the loop. All
three speak of errors as `kalla_core.wire.status` says.
"""
