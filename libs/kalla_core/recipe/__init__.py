"""What a user writes down: two sources, their keys, a rule and how to run it.

A document comes in as JSON and leaves as the frozen `model`, or as everything that is wrong with
it, all at once, each fault with the place it stands at (`sources.left.primary_key[0]`).

    model         the recipe as the rest of Kalla sees it
    source_format how a source's text is written; format_document is its JSON, and
                  format_written writes it
    moment_formats `%d/%m/%Y` as a regular expression
    passes        cardinality, passes, amounts and compared columns; passes_document is their JSON,
                  pass_checks what fits together, sql_files the SQL that lies in files
    fields        the kinds of fields documents are made of
    document      its JSON: names, types and bounds of each field, as pydantic models
    checks        what has to fit between fields: aliases, URIs and types, columns named once
    jsontext      reading JSON: where it breaks, fields that are there twice
    faults        pydantic's errors in the words of Kalla
    parse         all of these together: document in, recipe out
    write         recipe in, document out; canonical JSON and its SHA-256
    override      `--set PATH=VALUE`
    job           a recipe as a job request, and back
    type_words    what `types` may say; column_types the Arrow types that it stands for
    uris          schemes, and where relative paths lead; the rest of a URI is the connectors'
    paths, shape  places in a document, and which fields it may have there
    nearest       what somebody may have meant by a name that is not there
"""
