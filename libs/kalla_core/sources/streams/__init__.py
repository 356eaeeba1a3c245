"""Files whose rows know what they are, read from their start: JSON, Avro, statements of banks.

    kind     what one kind of such files offers
    format   any kind as a `FormatReader`: files united by name, columns that are made, parts

A file is one part unless its kind can be cut (`Kind.cut`).
"""
