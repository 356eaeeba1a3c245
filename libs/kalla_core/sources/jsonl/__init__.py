"""JSON: objects line by line, one after the other, in one array, or in one within an object.

    records   where objects begin and end, by an automaton over quotes and brackets
    envelope  the array that an object holds: where it begins, and what is around it
    told      from the values of a sample to the types of columns
    texts     values as the JSON that was written
    reader    all of it as a `streams.kind.Kind`

Numbers are integers or decimals as they are written, never doubles unless their exponents ask for
it. Texts are texts, but for columns in which all are dates or timestamps (JSON has no type for
those). Objects are structs, arrays lists; what `types` calls text is the JSON that was written.

Arrow's reader parses whole blocks with all types given, and refuses what does not fit them exactly;
only then, to say which line and field it is, are records read one by one.
"""
