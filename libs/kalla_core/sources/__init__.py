"""Where rows come from: connectors, and what they share.

A recipe names a source by URI; `registry` finds the connector for it, and the connector pins the
source (exact types, snapshot), cuts it into parts, and reads each part as a stream of Arrow
batches with the recipe's filters applied (`protocol`).

    registry     URI and type → connector, by entry points named after the URI's scheme
    uri          reading, completing and masking of URIs
    filters      the recipe's filters over Arrow batches, the same for every connector
    pins         pinning the sources of a run together
    files        the connector for files: any byte store, any file format
    store        what a byte store offers; `local` has this machine's files, `s3` a bucket's
    csv, parquet the file formats
    postgres     the connector for Postgres

Another store is a class as in `store` and an entry point that hands it to `files`; another
kind of source is a class as in `protocol` and an entry point. Nothing here changes for either.
"""
