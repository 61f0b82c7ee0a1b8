"""From bytes to text, by the declared encoding."""

from __future__ import annotations

import codecs

from totesys_dagster.drops.record import RefusedFileError

# The first bytes of files that are not what their name says.
_SIGNATURES = {
    b"PK\x03\x04": "is a ZIP archive or an Excel workbook: save the sheet as CSV",
    b"PK\x05\x06": "is an empty ZIP archive: deliver the file itself",
    b"\xd0\xcf\x11\xe0": "is an old Excel workbook: save the sheet as CSV",
    b"\x1f\x8b": "is compressed by gzip: deliver it unpacked",
    b"\x28\xb5\x2f\xfd": "is compressed by zstd: deliver it unpacked",
    b"BZh": "is compressed by bzip2: deliver it unpacked",
    b"\xfd7zXZ": "is compressed by xz: deliver it unpacked",
    b"7z\xbc\xaf": "is a 7-Zip archive: deliver the file itself",
    b"%PDF": "is a PDF: deliver the data as CSV",
    b"PAR1": "is a Parquet file: let its name end in .parquet",
}
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def require_no_other_kind(body: bytes) -> None:
    """Raise RefusedFileError if a file that should be text is something else."""
    for signature, what in _SIGNATURES.items():
        if body.startswith(signature):
            raise RefusedFileError(what)


def decode(body: bytes, encoding: str) -> str:
    """The text of a file, without a byte order mark.

    Raises RefusedFileError if it is not what the contract declares, or does not end with a line
    break.
    """
    if not body:
        raise RefusedFileError("is empty: deliver it again in full")
    require_no_other_kind(body)
    marked = next((name for mark, name in _MARKS.items() if body.startswith(mark)), encoding)
    if marked != encoding:
        raise RefusedFileError(
            f"begins with the mark of {marked}, and its contract declares {encoding}: save it so"
        )
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError as error:
        line = body[: error.start].count(b"\n") + 1
        raise RefusedFileError(
            f"is not {encoding}, as its contract declares, from line {line} on: save it so"
        ) from None
    if not encoding.startswith("utf") and _is_utf8(body):
        raise RefusedFileError(
            f"is utf-8, and its contract declares {encoding}: save it so, or change the contract"
        )
    text = text.removeprefix("\ufeff")
    if not text.endswith("\n"):
        raise RefusedFileError(
            "does not end with the end of a line, so that its end may be missing: deliver it again"
            " in full, with a line break after the last line"
        )
    return text


def _is_utf8(body: bytes) -> bool:
    """Whether a body has letters beyond ASCII and is UTF-8, as other encodings hardly are."""
    if body.isascii():
        return False
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
