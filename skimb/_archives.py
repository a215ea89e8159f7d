"""Files of arrays and plain values, in safetensors and JSON: reading one runs no code from it."""

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from skimb._archive_checks import check_text, checked_dtype, random_again
from skimb._files import replacing

__all__ = ["Decoder", "Encoder", "read_archive", "write_archive"]

#: The version of the layout of files. A reader refuses files of later versions.
VERSION = 1

#: The name of the only tensor in a file without arrays.
NO_ARRAYS = "no arrays"

#: The kinds of arrays that safetensors stores; the byte order is the machine's.
STORED = "biuf"

#: What may go wrong where the content of a file is not what was written.
DAMAGE = (LookupError, TypeError, AttributeError, StopIteration, OverflowError, MemoryError)


class Encoder:
    """Turn a tree of plain values and arrays into JSON and a dict of arrays.

    Plain values are None, bool, int, float, str, bytes, slices, numpy's scalars, dtypes, arrays and
    random generators, and lists, tuples, sets and dicts of plain values. Keys of dicts may be any
    of these. Types are kept: a tuple comes back as a tuple, ``np.int64(3)`` as ``np.int64(3)``.

    Parameters
    ----------
    special : callable, default=None
        A function ``(value, encode)`` for other objects, where ``encode(value, name)`` encodes a
        part of it. It returns ``(kind, content)``: a name for the kind of object, and JSON; or None
        for an object that it does not know.

    Attributes
    ----------
    arrays : dict of str to ndarray
        The arrays of all values that were encoded.
    name : str
        Where the value stands for which `special` is called.
    """

    def __init__(self, special=None):
        self.special = special
        self.arrays = {}
        self.name = ""

    def encode(self, value, name=""):
        """Return the JSON of a value.

        Parameters
        ----------
        value : object
            A plain value, or an object that `special` knows.
        name : str, default=""
            Where the value stands in the tree; arrays are named by it.

        Returns
        -------
        JSON

        Raises
        ------
        ValueError
            If the value is neither plain nor known to `special`.
        """
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if np.isfinite(value) else {"float": repr(value)}
        if type(value) is list:
            return [self._part(part, name, i) for i, part in enumerate(value)]
        if type(value) in (tuple, set, frozenset):
            # Sets have no order, but a file has one.
            parts = value if type(value) is tuple else sorted(value, key=repr)
            return {type(value).__name__: self.encode(list(parts), name)}
        if type(value) is dict:
            pairs = [
                [self.encode(key, f"{name}.key"), self._part(part, name, key)]
                for key, part in value.items()
            ]
            return {"dict": pairs}
        if type(value) is bytes:
            return {"bytes": value.hex()}
        if type(value) is slice:
            return {"slice": [self.encode(part) for part in (value.start, value.stop, value.step)]}
        if isinstance(value, np.generic | np.dtype | np.ndarray):
            return self._numpy(value, name)
        if type(value) is np.random.RandomState and _is_mersenne_twister(value):
            return {"RandomState": self.encode(value.get_state(legacy=False), name)}
        if type(value) is np.random.Generator:
            return {"Generator": self.encode(value.bit_generator.state, name)}
        self.name = name
        found = None if self.special is None else self.special(value, self.encode)
        if found is None:
            where = f" of {name!r}" if name else ""
            raise ValueError(
                f"A value{where} cannot be written to a file, as it is no plain value: "
                f"{value!r} ({type(value).__module__}.{type(value).__qualname__})."
            )
        kind, content = found
        return {"special": kind, "content": content}

    def _part(self, value, name, key):
        key = str(key)
        return self.encode(value, f"{name}.{key}" if name else key)

    def _numpy(self, value, name):
        if isinstance(value, np.dtype):
            return {"type": value.str}
        if isinstance(value, np.ndarray) and type(value) is np.ndarray:
            if value.dtype.kind in STORED and value.dtype.itemsize <= 8:
                return self._array(value, name)
            if value.dtype.kind in "UO":
                values = value.ravel().tolist()
                check_text(value.dtype, values)
                content = self.encode(values, name)
                return {"values": content, "shape": list(value.shape), "dtype": value.dtype.str}
        if isinstance(value, np.generic) and value.dtype.kind in STORED + "U":
            return {"scalar": self.encode(value.item()), "dtype": value.dtype.str}
        raise ValueError(
            f"The array {name!r} of {value.dtype} cannot be written to a file. Numbers, booleans "
            "and text can."
        )

    def _array(self, value, name):
        # The order in memory decides by which kernel a matrix is multiplied, and so about bits.
        is_transposed = value.flags.f_contiguous and not value.flags.c_contiguous
        stored = value.T if is_transposed else value
        stored = np.ascontiguousarray(stored, dtype=value.dtype.newbyteorder("="))
        unique, number = name or "array", 1
        while unique in self.arrays:
            number += 1
            unique = f"{name or 'array'}#{number}"
        self.arrays[unique] = stored.reshape(value.T.shape if is_transposed else value.shape)
        return {"array": unique} | ({"is_transposed": True} if is_transposed else {})


def _is_mersenne_twister(rng):
    # NumPy sets the state of no other RandomState.
    return rng.get_state(legacy=False)["bit_generator"] == "MT19937"


class Decoder:
    """Turn the JSON and the arrays of an `Encoder` into values again.

    Parameters
    ----------
    arrays : dict of str to ndarray
        The arrays.
    special : callable, default=None
        A function ``(kind, content, decode)`` that returns an object which the encoder's `special`
        wrote; ``decode(content)`` decodes a part of it.
    """

    def __init__(self, arrays, special=None):
        self.arrays, self.special = arrays, special

    def decode(self, node):
        """Return the value of JSON.

        Raises
        ------
        ValueError
            If `Encoder` writes no such JSON.
        """
        try:
            return self._decode(node)
        except RecursionError as exc:
            raise ValueError("Values in the file are nested too deeply.") from exc
        except ValueError:
            raise
        except DAMAGE as exc:
            raise ValueError(f"The file holds {_shown(node)}, which is no value.") from exc

    def _decode(self, node) -> Any:
        if node is None or type(node) in (bool, int, float, str):
            return node
        if type(node) is list:
            return [self.decode(part) for part in node]
        kind = next(iter(node))
        content = node[kind]
        if not set(node) - {kind} <= OTHERS.get(kind, set()):
            raise ValueError(f"The file holds {_shown(node)}, which has too many entries.")
        if kind == "special" and self.special is not None:
            return self.special(content, node["content"], self.decode)
        return getattr(self, f"_{KINDS[kind]}")(kind, content, node)

    def _collection(self, kind, content, node):
        return {"tuple": tuple, "set": set, "frozenset": frozenset}[kind](self.decode(content))

    def _dict(self, kind, content, node):
        return {self.decode(key): self.decode(value) for key, value in content}

    def _float(self, kind, content, node):
        if content not in ("nan", "inf", "-inf"):
            raise ValueError(f"The file holds the number {content!r}, which is no number.")
        return float(content)

    def _bytes(self, kind, content, node):
        return bytes.fromhex(content)

    def _slice(self, kind, content, node):
        start, stop, step = map(self.decode, content)
        return slice(start, stop, step)

    def _dtype(self, kind, content, node):
        return np.dtype(checked_dtype(content))

    def _scalar(self, kind, content, node):
        return np.dtype(checked_dtype(node["dtype"])).type(self.decode(content))

    def _array(self, kind, content, node):
        if content not in self.arrays:
            raise ValueError(f"The file lacks the array {content!r}.")
        array = self.arrays[content]
        return array.T if node.get("is_transposed") else array

    def _values(self, kind, content, node):
        dtype, decoded = np.dtype(checked_dtype(node["dtype"])), self.decode(content)
        check_text(dtype, decoded)
        values = np.empty(len(decoded), dtype=dtype)
        values[:] = decoded
        return values.reshape(node["shape"])

    def _random(self, kind, content, node):
        return random_again(kind, self.decode(content))


#: How the decoder reads each kind of node.
KINDS = {
    "tuple": "collection",
    "set": "collection",
    "frozenset": "collection",
    "dict": "dict",
    "float": "float",
    "bytes": "bytes",
    "slice": "slice",
    "type": "dtype",
    "scalar": "scalar",
    "array": "array",
    "values": "values",
    "RandomState": "random",
    "Generator": "random",
}

#: The entries that nodes have in addition to that of their kind.
OTHERS = {
    "special": {"content"},
    "scalar": {"dtype"},
    "array": {"is_transposed"},
    "values": {"shape", "dtype"},
}


def _shown(node):
    text = repr(node)
    return text if len(text) <= 80 else f"{text[:77]}..."


def write_archive(path, kind, document, arrays, *, name=""):
    """Write a document and arrays to one file, under a temporary name that is then renamed.

    Parameters
    ----------
    path : str or Path
        The file. One that exists is replaced.
    kind : str
        The kind of the file, such as ``"model"``.
    document : JSON
        Values; numbers must be finite.
    arrays : dict of str to ndarray
        Arrays of numbers or booleans.
    name : str, default=""
        Part of the temporary name, as in `replacing`.

    Raises
    ------
    OSError
        If the file cannot be written; a file of that name that existed is still there.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skimb._archives import Encoder, Decoder, read_archive, write_archive
    >>> encoder = Encoder()
    >>> document = encoder.encode({"classes": ("cat", "dog"), "weight": np.arange(3)})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "example"
    ...     write_archive(path, "example", document, encoder.arrays)
    ...     document, arrays = read_archive(path, "example")
    >>> Decoder(arrays).decode(document)
    {'classes': ('cat', 'dog'), 'weight': array([0, 1, 2])}
    """
    text = json.dumps(document, allow_nan=False)
    metadata = {
        "kind": f"skimb {kind}",
        "version": str(VERSION),
        "document": text,
        "sha256": _digest(kind, VERSION, text, arrays),
    }
    with replacing(path, name=name) as temporary:
        # safetensors gives a file to its owner alone; others may read it as any other new file.
        temporary.touch(exist_ok=False)
        mode = stat.S_IMODE(temporary.stat().st_mode)
        try:
            # Up to version 0.4, safetensors cannot read a file without any.
            save_file(arrays or {NO_ARRAYS: np.zeros(1, np.uint8)}, temporary, metadata)
            temporary.chmod(mode)
        except SafetensorError as exc:
            raise OSError(f"{path} cannot be written: {exc}") from exc


def read_archive(path, kind):
    """Read a file of `write_archive`.

    Parameters
    ----------
    path : str or Path
        The file.
    kind : str
        The kind that it must be of.

    Returns
    -------
    document : JSON
    arrays : dict of str to ndarray

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no such file, is damaged, or was written by a later version.
    """
    path = Path(path)
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError(f"{path} is no regular file. Give a file that skimb has written.")
    # safetensors says of a file without permission that there is none.
    with path.open("rb"):
        pass
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            found = metadata.get("kind", "")
            if not found.startswith("skimb "):
                raise ValueError(f"{path} was not written by skimb.")
            if found != f"skimb {kind}":
                raise ValueError(f"{path} is a {found} file. A skimb {kind} file is wanted.")
            version = int(metadata["version"])
            if version > VERSION:
                raise ValueError(
                    f"{path} was written by a later version of skimb (layout {version}; this one "
                    f"reads up to {VERSION}). Update skimb."
                )
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            arrays.pop(NO_ARRAYS, None)
            text = metadata["document"]
            is_whole = metadata["sha256"] == _digest(kind, version, text, arrays)
            if not is_whole:
                raise ValueError(f"{path} is damaged: its checksum does not fit its content.")
            return json.loads(text), arrays
    except ValueError as exc:
        # An error of json is a ValueError too, and does not name the file.
        if str(path) in str(exc):
            raise
        raise ValueError(f"{path} is damaged: {exc}") from exc
    except OSError:
        raise
    # safetensors raises errors of several types for damaged headers.
    except Exception as exc:
        raise ValueError(
            f"{path} is damaged, or was not written by skimb ({exc}). Give a file that skimb has "
            "written, or write it again."
        ) from exc


def _digest(kind, version, text, arrays):
    """Return the SHA-256 of everything in a file: of the document, and of each array."""
    described = [
        [name, array.dtype.str, list(array.shape)] for name, array in sorted(arrays.items())
    ]
    digest = hashlib.sha256(json.dumps([kind, version, text, described]).encode())
    for name in sorted(arrays):
        array = arrays[name]
        if array.size:
            digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
