from kalla_core.sources.file_formats import FileFormats
from kalla_core.sources.formats import FormatReader
from kalla_core.sources.uri import FileFormat


def test_each_format_has_one_reader() -> None:
    formats = FileFormats()

    readers: list[FormatReader] = [formats[one] for one in FileFormat]

    assert list(formats) == list(FileFormat)
    assert len({id(reader) for reader in readers}) == len(formats)
    assert all(formats[one] is reader for one, reader in zip(FileFormat, readers, strict=True))
