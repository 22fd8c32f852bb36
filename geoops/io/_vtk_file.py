"""The XML files of VTK, opened without VTK: its own reader ends the process on damaged files, and takes a second to
load.
"""

import base64
import binascii
import lzma
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

Element = ElementTree.Element
_TYPES = {
    "Int8": "i1", "UInt8": "u1", "Int16": "i2", "UInt16": "u2", "Int32": "i4", "UInt32": "u4", "Int64": "i8",
    "UInt64": "u8", "Float32": "f4", "Float64": "f8", "vtkIdType": "i8", "String": "u1",
}  # fmt: skip
_START = b"<AppendedData"


@dataclass
class File:
    """A parsed file: the XML tree, and how to read the numbers that it mentions.

    Args:
        root: the element <VTKFile>.
        appended: the bytes after the underscore, or empty.
        encoded: whether they are base64.
    """

    root: Element
    appended: bytes = b""
    encoded: bool = False
    order: str = field(init=False)
    header: np.dtype = field(init=False)
    compressor: str = field(init=False)

    def __post_init__(self) -> None:
        self.order = ">" if self.root.get("byte_order") == "BigEndian" else "<"
        self.header = np.dtype(self.order + ("u8" if self.root.get("header_type") == "UInt64" else "u4"))
        self.compressor = self.root.get("compressor", "")

    @classmethod
    def open(cls, path: Path, kind: str | None = None) -> "File":
        """Parses a file.

        Raises:
            ValueError: it is no complete XML file of VTK, or not of this kind.
        """
        data = path.read_bytes()
        if b"<VTKFile" not in data[:4096]:
            raise ValueError("it is not a VTK XML file (there is no <VTKFile> at the start)")
        if not data[-256:].rstrip().endswith(b"</VTKFile>"):
            raise ValueError("it is truncated (there is no </VTKFile> at the end)")
        start, appended, encoded = data.find(_START), b"", False
        if start >= 0:
            # What follows is binary, so the XML is closed here.
            head, _, rest = data[start:].partition(b">")
            encoded = b"base64" in head
            appended = rest[rest.find(b"_") + 1 : rest.rfind(b"</AppendedData>")]
            data = data[:start] + b"</VTKFile>"
        try:
            root = ElementTree.fromstring(data)
        except ElementTree.ParseError as error:
            raise ValueError(f"it is no complete XML file ({error})") from None
        found = root.get("type")
        if kind is not None and found != kind:
            raise ValueError(f"it holds {found}, expected {kind}")
        return cls(root, appended, encoded)

    def array(self, element: Element) -> np.ndarray | list[str]:
        """Returns the numbers or texts of a <DataArray> or <Array>, flat."""
        name, kind, form = element.get("Name"), element.get("type", ""), element.get("format", "ascii")
        if kind not in _TYPES:
            raise ValueError(f"array {name!r} has the unsupported type {kind!r}")
        dtype = np.dtype(_TYPES[kind])
        text = (element.text or "").strip()
        try:
            if form == "ascii":
                value = np.array(text.split()).astype(dtype) if text else np.zeros(0, dtype)
            elif form == "binary":
                value = self._block(text.encode(), 0, dtype, encoded=True)
            else:
                value = self._block(self.appended, int(element.get("offset", "-1")), dtype, encoded=self.encoded)
        except (ValueError, OverflowError, binascii.Error, zlib.error, lzma.LZMAError) as error:
            raise ValueError(f"array {name!r} is damaged or truncated: {error}") from None
        return _texts(value) if kind == "String" else value

    def _block(self, data: bytes, offset: int, dtype: np.dtype, *, encoded: bool) -> np.ndarray:
        if not 0 <= offset <= len(data):
            raise ValueError(f"its numbers should begin at byte {offset} of {len(data)}")
        source = _Source(data, offset, encoded)
        word = self.header.itemsize
        if not self.compressor:
            size = int(np.frombuffer(source.take(word), self.header)[0])
            # In base64 head and numbers are one text.
            raw = source.again().take(word + size)[word:] if encoded else source.take(size)
        else:
            count = int(np.frombuffer(source.take(word), self.header)[0])
            head = (
                np.frombuffer(source.again().take((3 + count) * word), self.header).astype(np.int64)
                if count
                else np.zeros(3, np.int64)
            )
            source = source.after((3 + count) * word)
            whole, last, sizes = int(head[1]), int(head[2]), head[3:].tolist()
            packed = source.take(sum(sizes))
            parts, at = [], 0
            for i, size in enumerate(sizes):
                expected = last if last and i == count - 1 else whole
                parts.append(self._unpack(packed[at : at + size], expected))
                at += size
            raw = b"".join(parts)
        if len(raw) % dtype.itemsize:
            raise ValueError(f"{len(raw)} bytes are no whole number of {dtype} values")
        return np.frombuffer(raw, dtype.newbyteorder(self.order)).astype(dtype)

    def _unpack(self, data: bytes, size: int) -> bytes:
        if self.compressor == "vtkZLibDataCompressor":
            unpacker: Any = zlib.decompressobj()
        elif self.compressor == "vtkLZMADataCompressor":
            unpacker = lzma.LZMADecompressor()
        else:
            raise ValueError(f"numbers packed by {self.compressor} are not supported; write the file with zlib compression")
        # The checksum is compared only once the end is reached, so one byte more than announced is asked for.
        found = unpacker.decompress(data, size + 1)
        if len(found) != size or not unpacker.eof:
            raise ValueError(f"a block unpacks to {len(found)} bytes, {size} are announced")
        return found


@dataclass
class _Source:
    """Bytes that may be written as base64, read from an offset on."""

    data: bytes
    offset: int
    encoded: bool
    at: int = 0

    def take(self, count: int) -> bytes:
        start = self.offset + self.at
        width = 4 * ((count + 2) // 3) if self.encoded else count
        if count < 0 or start + width > len(self.data):
            raise ValueError(f"{count} bytes are announced, there are fewer")
        found = self.data[start : start + width]
        self.at += width
        return base64.b64decode(found, validate=True)[:count] if self.encoded else found

    def again(self) -> "_Source":
        return _Source(self.data, self.offset, self.encoded)

    def after(self, count: int) -> "_Source":
        """Where the text for `count` bytes ends."""
        return _Source(self.data, self.offset + (4 * ((count + 2) // 3) if self.encoded else count), self.encoded)


def _texts(value: np.ndarray) -> list[str]:
    return [part.decode("utf-8", errors="replace") for part in value.tobytes().split(b"\0")[:-1]]
